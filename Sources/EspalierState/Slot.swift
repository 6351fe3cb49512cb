/// One float for every element of every trainable weight, under a name: `value`, `adamw.m`, an importance, an anchor.
///
/// All slots of a weight share one layout, so whatever can shard, save, reshard or grow one slot can do it for all.
public struct SlotSpec: Hashable, Codable, Sendable {
  /// "adamw.m"; begins with the name of whom it belongs to, except for `value`.
  public let name: String
  /// How it follows its weight through growth.
  public let growth: GrowthRule
  /// Other slots that it can be read from, and what their elements are multiplied with: other forms of the same memory.
  public let conversions: [String: Float]

  /// A slot of its parts.
  public init(_ name: String, growth: GrowthRule, conversions: [String: Float] = [:]) {
    self.name = name
    self.growth = growth
    self.conversions = conversions
  }

  /// The weights themselves.
  public static let value = SlotSpec("value", growth: .likeValue)
}

/// How a slot follows its weight through growth.
public enum GrowthRule: String, Codable, Sendable {
  /// By the map of the weight: anchors, teachers, averages.
  case likeValue
  /// By the dual map: first moments.
  case likeGradient
  /// By the dual map with squared coefficients: second moments, Fisher information.
  case likeSquaredGradient
  /// New elements start at zero.
  case zero
}
