public import EspalierNN

/// Learns every task from the samples of all tasks so far: the upper bound, for those that may keep all data.
public struct Joint: ContinualMethod {
  public static let name = "joint"
  public static let summary = "Learns every task from the samples of all tasks so far: the upper bound."
  /// There is nothing to set.
  public init(_ options: NoOptions) {}
  public var exposure: Exposure { .seen }
}
