public import EspalierTensor

/// A whole network as ordinary single-device code; its only concession to sharding is `Segment`.
public protocol Model: SendableMetatype {
  associatedtype Configuration: Settings
  /// The name in recipes.
  static var name: String { get }
  /// One sentence, with the source, for `espalier describe`.
  static var summary: String { get }
  /// The configuration with what the data decides filled in.
  /// - Throws: `ModelError` where the numbers do not fit each other or the data.
  static func validated(_ configuration: Configuration, for data: DataDescription) throws -> Configuration
  /// Builds the model; allocates nothing.
  init(_ scope: Scope, _ configuration: Configuration)
  /// The logits of a batch, `[targets, classes]`: one row for each entry of `batch.targets`.
  func logits(_ batch: Batch, on tape: Tape) -> Tensor
  /// The configuration in which layers read mixtures of their inputs as well; nil for a model whose layers cannot.
  /// - Parameter added: by the name of a layer's weight and by task, in the order of learning.
  static func widened(_ configuration: Configuration, by added: [String: [Int]]) -> Configuration?
  /// What the matrix products of the forward and backward pass of one sample take.
  static func operationsPerSample(_ configuration: Configuration, _ blueprint: Blueprint) -> ProductOperations
}

extension Model {
  public static func widened(_ configuration: Configuration, by added: [String: [Int]]) -> Configuration? { nil }
}

/// What a model must know of its data.
public struct DataDescription: Hashable, Codable, Sendable {
  /// The number of classes that a target may name: the vocabulary of a language model.
  public var classes: Int
  /// The number of features of a dense sample; 0 for tokens.
  public var features: Int
  /// The shape of a dense sample; empty for tokens.
  public var shape: Shape

  /// A description of its parts.
  /// - Parameter shape: nil for one dimension of `features`.
  public init(classes: Int, features: Int = 0, shape: Shape? = nil) {
    self.classes = classes
    self.features = features
    self.shape = shape ?? (features > 0 ? [features] : [])
  }
}

/// A configuration that describes no model.
public struct ModelError: Error, CustomStringConvertible, Equatable {
  /// The option, "heads".
  public let subject: String
  /// What is wrong, with the values.
  public let reason: String
  /// What to write instead.
  public let remedy: String

  /// An error about one option.
  public init(_ subject: String, _ reason: String, remedy: String) {
    self.subject = subject
    self.reason = reason
    self.remedy = remedy
  }

  /// One sentence.
  public var description: String { "model option '\(subject)': \(reason); \(remedy)" }
}
