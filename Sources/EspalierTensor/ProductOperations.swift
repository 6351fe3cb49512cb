import CKernels

/// Floating-point operations of matrix products, 2·m·n·k a product: the work of a pass, as models tell it from their shapes.
///
/// Everything else that a pass does is a few per cent of it and is not counted.
public struct ProductOperations: Hashable, Codable, Sendable {
  public var forward: Int
  public var backward: Int
  /// What is added where the backward pass computes activations again.
  public var recomputed: Int

  /// Operations of their parts.
  /// - Parameter recomputed: nil for the forward pass once more.
  public init(forward: Int = 0, backward: Int = 0, recomputed: Int? = nil) {
    self.forward = forward
    self.backward = backward
    self.recomputed = recomputed ?? forward
  }

  /// All of a training pass.
  public func total(recompute: Bool) -> Int { forward + backward + (recompute ? recomputed : 0) }

  public static func + (a: ProductOperations, b: ProductOperations) -> ProductOperations {
    ProductOperations(
      forward: a.forward + b.forward, backward: a.backward + b.backward, recomputed: a.recomputed + b.recomputed)
  }
}

/// The products that were really computed: what `ProductOperations` is checked against.
package enum ProductCounter {
  /// Floating-point operations of this thread's products since it began.
  package static var operations: Int { Int(ck_noted_operations()) }
}
