public import EspalierNN

/// Learns one task after the other and does nothing against forgetting: the lower bound.
public struct Finetune: ContinualMethod {
  public static let name = "finetune"
  public static let summary = "Learns one task after the other and does nothing against forgetting: the lower bound."
  /// There is nothing to set.
  public init(_ options: NoOptions) {}
}
