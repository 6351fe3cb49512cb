public import EspalierTensor

/// QK-clip of one attention: after a step in which a head's largest logit S exceeded τ, its queries and keys shrink, so that the same
/// batch would reach τ.
///
/// - Kimi Team 2025, arXiv:2507.20534, section 2.1: both by √(τ/S). Where several query heads share keys, the queries alone
///   shrink, by τ/S, so that no head changes the logits of another; that is ours.
public final class LogitClip {
  /// Rows of a weight (or elements of a bias) that shrink with a head.
  public struct Rows: Hashable, Sendable {
    /// Its name in the blueprint.
    public let parameter: String
    /// Along its first axis.
    public let range: Range<Int>
    /// Whether they take the whole factor τ/S or its root.
    public let takesRoot: Bool

    /// Rows of a parameter.
    public init(_ parameter: String, _ range: Range<Int>, takesRoot: Bool) {
      self.parameter = parameter
      self.range = range
      self.takesRoot = takesRoot
    }

    /// What they are multiplied with for a factor γ of the logits.
    package func factor(_ gamma: Double) -> Double { takesRoot ? gamma.squareRoot() : gamma }
  }

  /// The largest logit that is let be, τ.
  public let limit: Double
  /// By query head.
  public let heads: [[Rows]]
  /// What the attention notes.
  public let peaks: LogitPeaks

  /// The clip of an attention with as many heads as `heads`.
  public init(limit: Double, heads: [[Rows]]) {
    self.limit = limit
    self.heads = heads
    peaks = LogitPeaks(heads: heads.count)
  }
}
