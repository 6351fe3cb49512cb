public import EspalierTensor

/// Causal self-attention with grouped queries: one fused projection, rotary positions if wanted, one output projection.
///
/// - Vaswani et al. 2017, arXiv:1706.03762; grouped queries: Ainslie et al. 2023, arXiv:2305.13245; rotary positions: Su et al.
///   2021, arXiv:2104.09864.
public struct SelfAttention: Layer {
  /// The shape of the heads.
  public struct Options: Sendable {
    /// Query heads.
    public var heads: Int
    /// Key and value heads; divides `heads`.
    public var keyValueHeads: Int
    /// Features of a head.
    public var headWidth: Int
    /// The base of the rotary frequencies; nil for none.
    public var rotaryBase: Float?
    /// Whether a row sees only itself and rows before it.
    public var isCausal: Bool
    /// Whether both projections have biases.
    public var hasBias: Bool
    /// The largest logit that is let be (QK-clip); nil for any.
    public var logitLimit: Double?

    /// Options of their parts.
    public init(
      heads: Int, keyValueHeads: Int, headWidth: Int, rotaryBase: Float? = 10000, isCausal: Bool = true,
      hasBias: Bool = false, logitLimit: Double? = nil
    ) {
      self.heads = heads
      self.keyValueHeads = keyValueHeads
      self.headWidth = headWidth
      self.rotaryBase = rotaryBase
      self.isCausal = isCausal
      self.hasBias = hasBias
      self.logitLimit = logitLimit
    }
  }

  let projection, output: Linear
  let options: Options
  private let peaks: LogitPeaks?

  /// Attention over rows of `width` features.
  /// - Parameter outputScale: what the spread of the output projection is multiplied with.
  public init(_ scope: Scope, width: Int, _ options: Options, outputScale: Float = 1) {
    self.options = options
    let (head, queries) = (options.headWidth, options.heads * options.headWidth)
    let keys = options.keyValueHeads * head
    projection = scope.child("qkv") {
      Linear(
        $0, from: .input("model", width),
        to: .outputs([
          .init("query", queries, block: head), .init("key", keys, block: head), .init("value", keys, block: head),
        ]), bias: options.hasBias)
    }
    output = scope.child("output") {
      Linear(
        $0, from: .input("query", queries, block: head), to: .output("model", width), bias: options.hasBias,
        initializer: Initializer.small(inputs: queries).scaled(by: outputScale), tags: [.residualOutput])
    }
    if let limit = options.logitLimit {
      let clip = Self.clip(at: limit, options, projection)
      scope.clip(clip)
      peaks = clip.peaks
    } else {
      peaks = nil
    }
  }

  private static func clip(at limit: Double, _ options: Options, _ projection: Linear) -> LogitClip {
    let (width, sharesKeys) = (options.headWidth, options.keyValueHeads < options.heads)
    let names = [projection.weight.spec.name] + (projection.bias.map { [$0.spec.name] } ?? [])
    return LogitClip(
      limit: limit,
      heads: (0..<options.heads).map { head in
        let first = [head] + (sharesKeys ? [] : [options.heads + head])
        return names.flatMap { name in
          first.map { LogitClip.Rows(name, $0 * width..<($0 + 1) * width, takesRoot: !sharesKeys) }
        }
      })
  }

  /// x `[batch, time, width]` to the same shape.
  public func callAsFunction(_ x: Tensor) -> Tensor {
    let shape = AttentionShape(
      batch: x.shape[0], time: x.shape[1], heads: options.heads, keyValueHeads: options.keyValueHeads,
      headWidth: options.headWidth)
    var fused = projection(x)
    if let base = options.rotaryBase { fused = fused.rotary(shape, base: base) }
    let scale = 1 / Float(options.headWidth).squareRoot()
    return output(
      fused.attention(shape, causal: options.isCausal, scale: scale, peaks: peaks).reshaped([
        shape.batch, shape.time, shape.heads * shape.headWidth,
      ]))
  }
}
