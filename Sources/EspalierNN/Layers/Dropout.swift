public import EspalierTensor

/// Zeroes elements with probability `rate` and scales the rest by 1/(1 − rate); keyed by (seed, step, sample, layer), so it does
/// not depend on who computes a sample (Srivastava et al. 2014, JMLR 15:1929). Does nothing on a tape that is not recording.
public struct Dropout: Layer {
  let rate: Float
  let stream: String

  /// Dropout whose stream is named by its place in the model.
  public init(_ scope: Scope, rate: Float) {
    self.rate = rate
    stream = scope.stream("dropout")
  }

  /// x of any shape whose first dimension counts samples or rows of samples.
  public func callAsFunction(_ x: Tensor) -> Tensor {
    rate == 0 || x.tape.isEvaluating ? x : x.dropout(rate, key: x.tape.key.child(stream))
  }
}
