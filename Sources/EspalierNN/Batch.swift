public import EspalierTensor

/// Some samples of a data set as plain values: what a reader thread hands to a rank.
public struct Batch: Sendable, Equatable {
  /// What a model reads.
  public enum Inputs: Sendable, Equatable {
    /// Tokens, `[samples, time]`.
    case tokens(Indices)
    /// Dense features, `[samples, features…]`, row-major.
    case features([Float], Shape)
  }

  /// What the model reads.
  public let inputs: Inputs
  /// What the logits should say: `[samples, time]` for a language model, `[samples]` for a classifier; `Batch.ignored` where
  /// nothing is asked.
  public let targets: Indices
  /// The global index of each sample in its data set.
  public let samples: [UInt64]

  /// The target that the loss passes over.
  public static let ignored: Int32 = -1

  /// A batch of its parts; all three have one number of samples.
  public init(inputs: Inputs, targets: Indices, samples: [UInt64]) {
    self.inputs = inputs
    self.targets = targets
    self.samples = samples
  }

  /// The number of targets that count: the integer weight of this batch in a mean.
  public var weight: Int { targets.values.count { $0 != Self.ignored } }
}
