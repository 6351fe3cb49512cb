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
    /// What it counts: channels, features.
    public let size: Int
    /// Elements for each of these, one behind the other: the places of a convolution's kernel; 1 for a plain product.
    public let taps: Int
    /// How many stay together when the part grows: the width of a head.
    public let block: Int

    /// Elements.
    public var count: Int { size * taps }

    /// A part of a size that grows in blocks.
    public init(_ label: String, _ size: Int, block: Int = 1, taps: Int = 1) {
      self.label = label
      self.size = size
      self.block = block
      self.taps = taps
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
  public static func output(_ label: String, _ size: Int, block: Int = 1) -> Axis {
    Axis(role: .output, parts: [Part(label, size, block: block)])
  }

  /// What a layer reads.
  /// - Parameter taps: elements for each coordinate.
  public static func input(_ label: String, _ size: Int, block: Int = 1, taps: Int = 1) -> Axis {
    Axis(role: .input, parts: [Part(label, size, block: block, taps: taps)])
  }

  /// Entries that are looked up.
  public static func index(_ label: String, _ size: Int) -> Axis { Axis(role: .index, parts: [Part(label, size)]) }

  /// Coordinates that the weight acts on one by one.
  public static func elementwise(_ label: String, _ size: Int) -> Axis {
    Axis(role: .elementwise, parts: [Part(label, size)])
  }

  /// An axis of several outputs that one product computes together.
  public static func outputs(_ parts: [Part]) -> Axis { Axis(role: .output, parts: parts) }
}
