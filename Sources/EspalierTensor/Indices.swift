/// A dense array of 32-bit integers: tokens, classes, positions. Not a `Tensor`: nothing differentiates through it.
public struct Indices: Sendable, Equatable {
  /// Its dimensions.
  public let shape: Shape
  /// Row-major.
  public let values: [Int32]

  /// - Precondition: `values.count == shape.count`.
  public init(_ values: [Int32], shape: Shape) {
    require(values.count == shape.count, "\(values.count) indices do not fill the shape \(shape)")
    self.values = values
    self.shape = shape
  }

  /// The number of indices.
  public var count: Int { values.count }
}
