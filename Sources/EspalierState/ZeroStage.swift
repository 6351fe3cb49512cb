/// What of a weight's state is cut among ranks (Rajbhandari et al. 2020, arXiv:1910.02054).
public enum ZeroStage: Int, Codable, Sendable, CaseIterable {
  /// Everything whole on every rank: the baseline.
  case none = 0
  /// Optimizer and method slots are shards.
  case slots = 1
  /// And gradients are shards: whole for one segment at a time.
  case gradients = 2
  /// And values are shards: whole for two segments at a time.
  case values = 3

  /// Whether optimizer and method slots are cut among ranks.
  public var shardsSlots: Bool { rawValue >= 1 }
  /// Whether gradients are.
  public var shardsGradients: Bool { rawValue >= 2 }
  /// Whether the weights themselves are.
  public var shardsValues: Bool { rawValue >= 3 }
  /// Segments whose values an update gathers for the pass behind it where they are shards: the one that it enters and the next.
  package var segmentsAhead: Int { shardsValues ? 2 : 0 }
}
