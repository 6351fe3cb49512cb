public import EspalierTensor

/// A part of a model: a struct of `let`s that turns an input into a tensor on the same tape.
public protocol Layer<Input> {
  /// What the layer reads.
  associatedtype Input: OnTape
  /// The output of the layer, on the tape of its input.
  func callAsFunction(_ input: Input) -> Tensor
}

/// Tokens on their way into a model, with the tape to record on.
public struct TokenInput: OnTape {
  /// `[samples, time]`.
  public let tokens: Indices
  /// Where the model records.
  public let tape: Tape

  /// Tokens for a model that records on `tape`.
  public init(_ tokens: Indices, on tape: Tape) {
    self.tokens = tokens
    self.tape = tape
  }
}
