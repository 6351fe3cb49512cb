import EspalierNN
import EspalierTensor

/// How a network for images normalises the outputs of a layer.
public enum ChannelNormalization: String, Codable, Sendable, CaseIterable {
  /// Batch norm with running statistics for evaluation.
  case running
  /// Batch norm by the batch at hand, also in evaluation.
  case batch
  case none

  static let field = SettingField(
    "normalization", unit: "running | batch | none",
    "Batch norm with running statistics in evaluation, by the batch at hand always, or none.")

  /// The child `name` of a scope; nil for none.
  func layer(_ scope: Scope, _ name: String = "norm", channels: Int, label: String) -> BatchNormalization? {
    guard self != .none else { return nil }
    return scope.child(name) {
      BatchNormalization($0, channels: channels, label: label, keepsStatistics: self == .running)
    }
  }
}

extension Tensor {
  /// As it is where there is no norm.
  func normalized(by norm: BatchNormalization?) -> Tensor { norm?(self) ?? self }
}
