public import EspalierNN
public import EspalierTensor

/// A decoder-only transformer: embedding, pre-norm blocks, a last norm, a head.
///
/// With the defaults (RMSNorm, rotary positions, SwiGLU of ⌈8·width/3⌉ rounded up to 64, untied head, no biases) it is the
/// reference model of the benchmarks. LayerNorm, learned positions, GELU and a tied head make it the GPT-2 family.
/// - Radford et al. 2019 (GPT-2); Touvron et al. 2023, arXiv:2302.13971.
public struct Decoder: Model {
  /// How a block knows where a token stands.
  public enum Positions: String, Codable, Sendable, CaseIterable { case rotary, learned, none }

  /// What a recipe may set; `fields` says what each option means.
  public struct Configuration: Settings {
    public var width = 256
    public var depth = 4
    public var heads = 4
    /// 0 = as many as heads.
    public var keyValueHeads = 0
    /// 0 = width / heads.
    public var headWidth = 0
    public var context = 256
    /// 0 = ⌈8·width/3⌉ rounded up to 64 for SwiGLU, 4·width for GELU.
    public var hidden = 0
    /// 0 = the data's.
    public var vocabulary = 0
    public var normalization = NormalizationKind.rms
    public var positions = Positions.rotary
    public var rotaryBase: Float = 10000
    public var activation = Activation.swiglu
    public var tied = false
    public var bias = false
    public var dropout: Float = 0
    public var qkClip: Double = 0
    public init() {}

    public static let fields: [SettingField] = [
      SettingField("width", unit: "features", "Width of the residual stream."),
      SettingField("depth", unit: "blocks", "Number of transformer blocks."),
      SettingField("heads", unit: "heads", "Query heads of each block; divides the width unless headWidth is given."),
      SettingField("keyValueHeads", unit: "heads", "Key and value heads; divides heads; 0 = heads."),
      SettingField("headWidth", unit: "features", "Width of a head; 0 = width / heads."),
      SettingField("context", unit: "tokens", "Length of a sample."),
      SettingField("hidden", unit: "features", "Width of the feed-forward layer; 0 = by the activation."),
      SettingField("vocabulary", unit: "tokens", "Rows of the embedding; 0 = the data's."),
      SettingField("normalization", unit: "rms | layer", "RMSNorm or LayerNorm."),
      SettingField("positions", unit: "rotary | learned | none", "How a block knows where a token stands."),
      SettingField("rotaryBase", unit: "", "Base of the rotary frequencies."),
      SettingField("activation", unit: "swiglu | gelu | geluErf", "What stands in the feed-forward layer."),
      SettingField("tied", unit: "bool", "Whether the head shares the embedding's table."),
      SettingField("bias", unit: "bool", "Whether products have biases."),
      SettingField("dropout", unit: "probability", "Share of each residual branch that is zeroed."),
      SettingField(
        "qkClip", unit: "logit, 0 = off",
        "Largest attention logit: heads above it have queries and keys scaled down after the step (arXiv:2507.20534)."),
    ]
  }

  public static let name = "decoder"
  public static let summary =
    "Decoder-only transformer: RMSNorm or LayerNorm, rotary or learned positions, grouped queries, SwiGLU or GELU "
    + "(Radford et al. 2019; Touvron et al. 2023, arXiv:2302.13971)."

  let embed: Segment<Embedding>
  let blocks: [Segment<TransformerBlock>]
  let last: Segment<Normalization>?
  let head: Segment<Head>?
  /// A factor on the logits: 1 unless growth has made it another.
  let logitScale: Float

  /// Builds the decoder of a validated configuration.
  public init(_ scope: Scope, _ configuration: Configuration) {
    let c = configuration
    embed = scope.segment("embed", resident: c.tied) {
      Embedding(
        $0, vocabulary: c.vocabulary, width: c.width, learnedPositions: c.positions == .learned ? c.context : nil)
    }
    let attention = SelfAttention.Options(
      heads: c.heads, keyValueHeads: c.keyValueHeads, headWidth: c.headWidth,
      rotaryBase: c.positions == .rotary ? c.rotaryBase : nil, hasBias: c.bias,
      logitLimit: c.qkClip > 0 ? c.qkClip : nil)
    // Each of the 2·depth branches adds to the stream; this keeps its variance at the depth of one (GPT-2).
    let outputScale = 1 / Float(2 * c.depth).squareRoot()
    blocks = (0..<c.depth).map { index in
      scope.segment("blocks.\(index)", stack: "blocks") {
        TransformerBlock(
          $0, width: c.width, hidden: c.hidden, normalization: c.normalization, attention: attention,
          activation: c.activation, dropout: c.dropout, outputScale: outputScale)
      }
    }
    last =
      c.tied ? scope.segment("last") { Normalization($0, c.normalization, width: c.width, tags: [.lastNorm]) } : nil
    head =
      c.tied
      ? nil
      : scope.segment("head") {
        Head($0, normalization: c.normalization, width: c.width, vocabulary: c.vocabulary)
      }
    logitScale = Float(scope.constant("logitScale", .logitScale, 1))
  }

  /// Logits `[samples · time, vocabulary]` of a batch of tokens `[samples, time]`.
  public func logits(_ batch: Batch, on tape: Tape) -> Tensor {
    guard case .tokens(let tokens) = batch.inputs else {
      fatalError("a decoder reads tokens; this batch has dense features")
    }
    var x = embed(TokenInput(tokens, on: tape))
    for block in blocks { x = block(x) }
    var logits =
      if let head {
        head(x)
      } else if let last {
        project(last(x), on: tape)
      } else {
        x
      }
    if logitScale != 1 { logits = logits.scaled(by: logitScale) }
    return logits.reshaped([logits.shape.rows, logits.shape.columns])
  }

  /// The tied head.
  private func project(_ x: Tensor, on tape: Tape) -> Tensor { embed.again(on: tape) { $0.project(x) } }

  /// Fills in what the data and the width decide.
  /// - Throws: `ModelError` where the numbers do not fit each other or the data.
  public static func validated(_ configuration: Configuration, for data: DataDescription) throws -> Configuration {
    var c = configuration
    for (name, value) in [("width", c.width), ("heads", c.heads), ("context", c.context)] where value < 1 {
      throw ModelError(name, "\(value) is not positive", remedy: "write a whole number of at least 1")
    }
    guard c.depth >= 0 else { throw ModelError("depth", "\(c.depth) is negative", remedy: "write 0 or more") }
    guard data.features == 0 else {
      throw ModelError(
        "data", "a decoder reads tokens and this data set has dense features", remedy: "use the model 'mlp'")
    }
    guard c.headWidth >= 0 else {
      throw ModelError("headWidth", "\(c.headWidth) is negative", remedy: "write 0 for width / heads")
    }
    guard c.headWidth > 0 || c.width % c.heads == 0 else {
      throw ModelError(
        "heads", "a width of \(c.width) does not divide into \(c.heads) heads",
        remedy: "choose heads among the divisors of the width, such as \(divisors(of: c.width)), or write headWidth")
    }
    if c.headWidth == 0 { c.headWidth = c.width / c.heads }
    if c.positions == .rotary, c.headWidth % 2 != 0 {
      throw ModelError(
        "heads", "rotary positions turn pairs and a head of \(c.headWidth) features is odd",
        remedy: "choose an even width per head, or 'positions: learned'")
    }
    if c.keyValueHeads == 0 { c.keyValueHeads = c.heads }
    guard c.keyValueHeads > 0, c.heads % c.keyValueHeads == 0 else {
      throw ModelError(
        "keyValueHeads", "\(c.heads) heads do not divide into \(c.keyValueHeads) groups",
        remedy: "choose one of \(divisors(of: c.heads))")
    }
    if c.hidden == 0 {
      c.hidden = c.activation == .swiglu ? ((8 * c.width + 2) / 3 + 63) / 64 * 64 : 4 * c.width
    }
    guard c.hidden > 0 else { throw ModelError("hidden", "\(c.hidden) is negative", remedy: "write 0 for the default") }
    if c.vocabulary == 0 { c.vocabulary = data.classes }
    guard c.vocabulary >= data.classes else {
      throw ModelError(
        "vocabulary", "\(c.vocabulary) rows cannot hold the data's \(data.classes) tokens",
        remedy: "write 0 for the data's, or more")
    }
    guard c.rotaryBase > 0, c.rotaryBase.isFinite else {
      throw ModelError("rotaryBase", "\(c.rotaryBase) is not positive and finite", remedy: "write a base such as 10000")
    }
    guard (0..<1).contains(c.dropout) else {
      throw ModelError("dropout", "\(c.dropout) is no probability below 1", remedy: "write 0 … 0.9")
    }
    guard c.qkClip >= 0, c.qkClip.isFinite else {
      throw ModelError("qkClip", "\(c.qkClip) is no logit", remedy: "write a limit such as 100, or 0 for none")
    }
    return c
  }

  /// One product a weight and token, and an attention a block; a tied head uses the embedding's table for its own.
  public static func operationsPerSample(_ configuration: Configuration, _ blueprint: Blueprint) -> ProductOperations {
    let c = configuration
    let attention = AttentionShape(
      batch: 1, time: c.context, heads: c.heads, keyValueHeads: c.keyValueHeads, headWidth: c.headWidth)
    var sum = ProductOperations()
    for (index, spec) in blueprint.parameters.enumerated() where spec.axes.count == 2 {
      if spec.tags.contains(.embedding) { continue }
      sum = sum + blueprint.product(with: index, rows: c.context)
      if spec.axes[0].parts.contains(where: { $0.label == "query" }) {
        sum = sum + blueprint.operations(attention.operations(causal: true), after: index)
      }
    }
    if c.tied, let table = blueprint.parameters.firstIndex(where: { $0.tags.contains(.embedding) }) {
      // It is used outside of its segment, so nothing of it is computed again, and behind every other weight.
      let product = 2 * c.context * blueprint.parameters[table].count
      sum =
        sum
        + ProductOperations(
          forward: product, backward: blueprint.parameters[table].isTrainable ? 2 * product : product, recomputed: 0)
    }
    return sum
  }

  private static func divisors(of number: Int) -> String {
    (1...number).filter { number % $0 == 0 }.prefix(8).map(String.init).joined(separator: ", ")
  }
}

/// The last norm and the projection to the logits.
struct Head: Layer {
  let norm: Normalization
  let projection: Linear

  init(_ scope: Scope, normalization: NormalizationKind, width: Int, vocabulary: Int) {
    norm = scope.child("norm") { Normalization($0, normalization, width: width, tags: [.lastNorm]) }
    projection = scope.child("projection") {
      Linear($0, from: .input("model", width), to: .index("vocabulary", vocabulary), tags: [.head])
    }
  }

  func callAsFunction(_ x: Tensor) -> Tensor { projection(norm(x)) }
}
