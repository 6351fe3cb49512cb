/// One dimension of a weight, with the name of what it counts: all that growth and sharding need to know about a model.
///
/// Axes with one label have one size throughout a model ("model", "hidden"), so an operator that widens a label widens every
/// weight that carries it.
public struct Axis: Hashable, Codable, Sendable {
  /// Which side of a product an axis stands on.
  public enum Role: String, Codable, Sendable {
    /// What a layer produces: widening it adds rows.
    case output
    /// What a layer reads: widening it adds columns.
    case input
    /// Entries that are looked up, such as a vocabulary.
    case index
    /// Coordinates that the weight acts on one by one, such as a gain: neither written nor read by a product.
    case elementwise
  }

  /// One of several pieces that lie in one axis behind each other (query, key and value in a fused projection).
  public struct Part: Hashable, Codable, Sendable {
    /// What the part counts; parts and axes of one label have one size.
    public let label: String
    /// Elements.
    public let count: Int
    /// Elements that stay together when the part grows: the width of a head.
    public let block: Int

    /// A part of `count` elements that grow in blocks.
    public init(_ label: String, _ count: Int, block: Int = 1) {
      self.label = label
      self.count = count
      self.block = block
    }
  }

  /// Which side of a product it stands on.
  public let role: Role
  /// In order; a plain axis has one.
  public let parts: [Part]

  /// Elements of all parts.
  public var count: Int { parts.reduce(0) { $0 + $1.count } }
  /// The labels of its parts, joined by "+".
  public var label: String { parts.map(\.label).joined(separator: "+") }

  /// What a layer produces.
  public static func output(_ label: String, _ count: Int, block: Int = 1) -> Axis {
    Axis(role: .output, parts: [Part(label, count, block: block)])
  }

  /// What a layer reads.
  public static func input(_ label: String, _ count: Int, block: Int = 1) -> Axis {
    Axis(role: .input, parts: [Part(label, count, block: block)])
  }

  /// Entries that are looked up.
  public static func index(_ label: String, _ count: Int) -> Axis { Axis(role: .index, parts: [Part(label, count)]) }

  /// Coordinates that the weight acts on one by one.
  public static func elementwise(_ label: String, _ count: Int) -> Axis {
    Axis(role: .elementwise, parts: [Part(label, count)])
  }

  /// An axis of several outputs that one product computes together.
  public static func outputs(_ parts: [Part]) -> Axis { Axis(role: .output, parts: parts) }
}
