public import EspalierTensor

extension Blueprint {
  /// What one use of a product's weight `[outputs, inputs]` takes for so many rows: forward once; backward once for the weight
  /// where it is trained, and once for the input where anything before is.
  /// - Parameter source: the first parameter that has no part in what the product reads; nil for its weight itself.
  public func product(with parameter: Int, rows: Int, before source: Int? = nil) -> ProductOperations {
    let product = 2 * rows * (parameters[parameter].count - parameters[parameter].mixtureCount)
    let own = parameters[parameter].isTrainable ? product : 0
    let input = isTrained(before: source ?? parameter) ? product : 0
    return ProductOperations(forward: product, backward: own + input, recomputed: isSwept(parameter) ? product : 0)
  }

  /// What an operation takes that has no weight and follows the product with a weight: nothing backward where nothing
  /// up to there is trained.
  public func operations(_ operations: ProductOperations, after parameter: Int) -> ProductOperations {
    // The bias of a product stands behind its weight.
    let own = parameters[parameter].name.split(separator: ".").dropLast()
    let last = parameters.lastIndex { $0.name.split(separator: ".").dropLast() == own } ?? parameter
    return ProductOperations(
      forward: operations.forward, backward: isTrained(before: last + 1) ? operations.backward : 0,
      recomputed: isSwept(parameter) ? operations.recomputed : 0)
  }

  private func isSwept(_ parameter: Int) -> Bool {
    segments.firstIndex { $0.parameters.contains(parameter) }.map { sweptSegments[$0] } ?? false
  }

  private func isTrained(before parameter: Int) -> Bool { parameters[..<parameter].contains { $0.isTrainable } }
}

extension ParameterSpec {
  /// Elements in columns for mixtures of the inputs: they are folded into the others before the product.
  fileprivate var mixtureCount: Int {
    guard axes.count == 2, axes[1].role == .input else { return 0 }
    return axes[0].count * axes[1].parts.dropFirst().reduce(0) { $0 + $1.count }
  }
}
