import CKernels

extension Tensor {
  /// y = x · Wᵀ + b.
  ///
  /// x [rows, in], `weight` [out, in], `bias` [out] → [rows, out]; more leading dimensions of x are kept. No rows give no rows,
  /// and then a weight's gradient is zero.
  /// - Precondition: the shapes fit.
  public func linear(_ weight: Tensor, bias: Tensor? = nil) -> Tensor {
    precondition(
      weight.shape.dimensions.count == 2 && weight.shape[1] == shape.columns,
      "a weight of \(weight.shape) does not take rows of \(shape)")
    let (rows, inputs, outputs) = (shape.rows, shape.columns, weight.shape[0])
    precondition(bias.map { $0.count == outputs } ?? true, "a bias of \(bias!.shape) does not fit \(outputs) outputs")
    let output = tape.pool.storage(count: rows * outputs)
    if let bias {
      for row in 0..<rows { (output.pointer + row * outputs).update(from: bias.pointer, count: outputs) }
    }
    multiply(
      rows, outputs, inputs, matrix(inputs), weight.matrix(inputs), bTransposed: true, beta: bias == nil ? 0 : 1,
      into: MatrixPlace(output.pointer, stride: max(1, outputs)))
    let x = weight.node == nil ? place : self
    let biasPlace = bias?.place
    return tape.record(
      output, Shape(shape.dimensions.dropLast() + [outputs]), inputs: [self, weight] + (bias.map { [$0] } ?? [])
    ) { dy, gradients in
      // dW before dx: the weight is bound in either case, and x is then free to go.
      gradients.add(to: weight) { destination, beta in
        multiply(
          outputs, inputs, rows, dy.matrix(outputs), aTransposed: true, x.matrix(inputs), beta: beta,
          into: MatrixPlace(destination, stride: max(1, inputs)))
      }
      gradients.add(to: x) { destination, beta in
        multiply(
          rows, inputs, outputs, dy.matrix(outputs), weight.matrix(inputs), beta: beta,
          into: MatrixPlace(destination, stride: max(1, inputs)))
      }
      if let biasPlace, gradients.wants(biasPlace) {
        let sums = Sums(dy.tape.pool, count: outputs)
        ck_column_sums(dy.pointer, rows, outputs, sums.pointer)
        gradients.add(sums, to: biasPlace)
      }
    }
  }
}

/// Sums in double on their way to a gradient.
struct Sums {
  private let storage: Storage
  let count: Int

  init(_ pool: Pool, count: Int) {
    storage = pool.storage(count: 2 * count)
    self.count = count
  }

  var pointer: UnsafeMutablePointer<Double> {
    UnsafeMutableRawPointer(storage.pointer).assumingMemoryBound(to: Double.self)
  }
}

extension Gradients {
  func add(_ sums: Sums, to tensor: Tensor) {
    add(to: tensor) { destination, beta in ck_store_sums(sums.pointer, sums.count, beta, destination) }
  }
}
