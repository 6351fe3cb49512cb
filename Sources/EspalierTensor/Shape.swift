/// The dimensions of a tensor, outermost first. A shape without dimensions is a scalar's and counts one element.
public struct Shape: Hashable, Sendable, ExpressibleByArrayLiteral, CustomStringConvertible {
  /// Outermost first.
  public let dimensions: [Int]
  /// The number of elements: the product of all dimensions.
  public let count: Int

  /// - Precondition: no dimension is negative and the product fits an `Int`.
  public init(_ dimensions: [Int]) {
    var count = 1
    for dimension in dimensions {
      require(dimension >= 0, "a shape has no negative dimensions, got \(dimensions)")
      let (product, overflow) = count.multipliedReportingOverflow(by: dimension)
      require(!overflow, "the shape \(dimensions) has more elements than an Int counts")
      count = product
    }
    self.dimensions = dimensions
    self.count = count
  }

  /// The shape `[a, b, …]`.
  public init(arrayLiteral elements: Int...) { self.init(elements) }

  public subscript(index: Int) -> Int { dimensions[index] }

  /// The innermost dimension; 1 for a scalar.
  public var columns: Int { dimensions.last ?? 1 }

  /// The product of all dimensions but the innermost: how many rows of `columns` elements there are.
  public var rows: Int { dimensions.dropLast().reduce(1, *) }

  /// "[2, 3]"
  public var description: String { "[" + dimensions.map(String.init).joined(separator: ", ") + "]" }
}

extension Shape: Codable {
  /// A list of dimensions.
  public func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(dimensions)
  }

  /// - Throws: `DecodingError` for what is no list of dimensions.
  public init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    let dimensions = try container.decode([Int].self)
    var count = 1
    for dimension in dimensions {
      let (product, overflow) = count.multipliedReportingOverflow(by: dimension)
      guard dimension >= 0, !overflow else {
        throw DecodingError.dataCorruptedError(in: container, debugDescription: "\(dimensions) are no dimensions")
      }
      count = product
    }
    self.init(dimensions)
  }
}
