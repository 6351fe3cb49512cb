public import EspalierTensor

/// A part of a model: a struct of `let`s that turns an input into a tensor on the same tape.
public protocol Layer<Input> {
  associatedtype Input: OnTape
  func callAsFunction(_ input: Input) -> Tensor
}

/// Tokens on their way into a model, with the tape to record on.
public struct TokenInput: OnTape {
  public let tokens: Indices
  public let tape: Tape

  public init(_ tokens: Indices, on tape: Tape) {
    self.tokens = tokens
    self.tape = tape
  }
}
