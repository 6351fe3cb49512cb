/// What a method wants layers to read besides their inputs, from the task under way on.
public struct LayerWidening: Sendable {
  /// By the name of a layer's weight: how many mixtures of its inputs.
  public let added: [String: Int]
  /// By the name of a layer's map: the new rows, `[added, inputs]`, row-major; where none are given they are random.
  public let maps: [String: [Float]]
  /// By layer, the numbers that decided, for the journal.
  public let measured: [String: Double]
  /// Whether the weight's new columns are 0, so that the function stays what it is, or random.
  public let startsSilent: Bool

  /// A wish of its parts.
  public init(added: [String: Int], maps: [String: [Float]] = [:], measured: [String: Double] = [:], startsSilent: Bool)
  {
    self.added = added
    self.maps = maps
    self.measured = measured
    self.startsSilent = startsSilent
  }

  /// "blocks.0.convolution.weight 3, layers.0.linear.weight 1"
  package var text: String { added.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }.joined(separator: ", ") }
}
