public import EspalierTensor

/// A pre-norm transformer block: x + attention(norm x), then x + feedForward(norm x).
public struct TransformerBlock: Layer {
  let norm1, norm2: Normalization
  let attention: SelfAttention
  let feedForward: FeedForward
  let dropout1, dropout2: Dropout

  /// A block over rows of `width` features with a feed-forward layer of `hidden`.
  /// - Parameter outputScale: what the spread of both output projections is multiplied with.
  public init(
    _ scope: Scope, width: Int, hidden: Int, normalization: NormalizationKind, attention options: SelfAttention.Options,
    activation: Activation, dropout: Float = 0, outputScale: Float = 1
  ) {
    norm1 = scope.child("norm1") { Normalization($0, normalization, width: width) }
    attention = scope.child("attention") { SelfAttention($0, width: width, options, outputScale: outputScale) }
    dropout1 = scope.child("attention") { Dropout($0, rate: dropout) }
    norm2 = scope.child("norm2") { Normalization($0, normalization, width: width) }
    feedForward = scope.child("feedForward") {
      FeedForward(
        $0, width: width, hidden: hidden, activation: activation, hasBias: options.hasBias, outputScale: outputScale)
    }
    dropout2 = scope.child("feedForward") { Dropout($0, rate: dropout) }
  }

  /// x `[batch, time, width]` to the same shape.
  public func callAsFunction(_ x: Tensor) -> Tensor {
    let middle = x + dropout1(attention(norm1(x)))
    return middle + dropout2(feedForward(norm2(middle)))
  }
}
