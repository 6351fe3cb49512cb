public import EspalierTensor

/// A table that is looked up by token: `[vocabulary, width]`; also projects back to logits where a head is tied to it.
public struct Embedding: Layer {
  let table: Parameter
  /// Learned positions, `[context, width]`.
  let positions: Parameter?

  /// A table of `vocabulary` rows, and one of `context` positions if those are learned.
  public init(
    _ scope: Scope, vocabulary: Int, width: Int, learnedPositions context: Int? = nil, deviation: Float = 0.02
  ) {
    table = scope.parameter(
      "table", [.index("vocabulary", vocabulary), .output("model", width)], .normal(standardDeviation: deviation),
      tags: [.embedding])
    positions = context.map {
      scope.parameter(
        "positions", [.index("position", $0), .output("model", width)], .normal(standardDeviation: deviation),
        tags: [.embedding, .noDecay])
    }
  }

  /// Tokens `[samples, time]` to `[samples, time, width]`.
  public func callAsFunction(_ input: TokenInput) -> Tensor {
    let shape = input.tokens.shape
    let x = table.on(input.tape).embedding(of: input.tokens).reshaped([shape[0], shape[1], table.spec.shape[1]])
    guard let positions else { return x }
    return x.adding(rows: positions.on(input.tape), time: shape[1])
  }

  /// x · tableᵀ: the logits of a tied head.
  public func project(_ x: Tensor) -> Tensor { x.linear(table.on(x.tape)) }
}
