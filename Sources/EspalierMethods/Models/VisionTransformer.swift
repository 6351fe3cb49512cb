public import EspalierNN
public import EspalierTensor

/// A vision transformer: patches of an image as rows, learned positions, pre-norm blocks that see all rows, a last norm, the mean
/// over rows, a head.
/// - Dosovitskiy et al. 2021, arXiv:2010.11929; the mean over rows: Beyer, Zhai, Kolesnikov 2022, arXiv:2205.01580.
public struct VisionTransformer: Model {
  /// What a recipe may set; `fields` says what each option means.
  public struct Configuration: Settings {
    public var width = 64
    public var depth = 4
    public var heads = 4
    /// 0 = 4·width.
    public var hidden = 0
    public var patch = 4
    public var dropout: Float = 0
    /// 0 = the data's.
    public var classes = 0
    public var image = ImageSize()
    public init() {}

    public static let fields: [SettingField] = [
      SettingField("width", unit: "features", "Width of the residual stream."),
      SettingField("depth", unit: "blocks", "Number of transformer blocks."),
      SettingField("heads", unit: "heads", "Heads of each block; divides the width."),
      SettingField("hidden", unit: "features", "Width of the feed-forward layer; 0 = 4·width."),
      SettingField("patch", unit: "pixels", "Side of a patch; divides height and width of an image."),
      SettingField("dropout", unit: "probability", "Share of each residual branch that is zeroed."),
      SettingField("classes", unit: "classes", "Rows of the head; 0 = the data's."),
      SettingField("image", "The size of an image; the data's where it is left out."),
    ]
  }

  public static let name = "visionTransformer"
  public static let summary =
    "Vision transformer on patches, the mean over rows as its answer (Dosovitskiy et al. 2021, arXiv:2010.11929)."

  let configuration: Configuration
  let embed: Segment<PatchEmbedding>
  let blocks: [Segment<TransformerBlock>]
  let head: Segment<MeanHead>

  /// Builds the transformer of a validated configuration.
  public init(_ scope: Scope, _ configuration: Configuration) {
    let c = configuration
    self.configuration = c
    embed = scope.segment("embed") { PatchEmbedding($0, pixels: c.pixelsOfPatch, places: c.places, width: c.width) }
    let attention = SelfAttention.Options(
      heads: c.heads, keyValueHeads: c.heads, headWidth: c.width / c.heads, rotaryBase: nil, isCausal: false,
      hasBias: true)
    // Each of the 2·depth branches adds to the stream; this keeps its variance at the depth of one.
    let outputScale = 1 / Float(2 * max(c.depth, 1)).squareRoot()
    blocks = (0..<c.depth).map { index in
      scope.segment("blocks.\(index)", stack: "blocks") {
        TransformerBlock(
          $0, width: c.width, hidden: c.hidden, normalization: .layer, attention: attention, activation: .geluErf,
          dropout: c.dropout, outputScale: outputScale)
      }
    }
    head = scope.segment("head") { MeanHead($0, width: c.width, classes: c.classes) }
  }

  /// Logits `[samples, classes]` of images.
  public func logits(_ batch: Batch, on tape: Tape) -> Tensor {
    let (values, samples) = batch.pixels(for: "a vision transformer")
    let c = configuration
    var x = embed(tape.constant(c.patches(of: values, samples: samples), [samples, c.places, c.pixelsOfPatch]))
    for block in blocks { x = block(x) }
    return head(x)
  }

  /// Fills in what the data and the width decide.
  /// - Throws: `ModelError` where the numbers do not fit each other or the data.
  public static func validated(_ configuration: Configuration, for data: DataDescription) throws -> Configuration {
    var c = configuration
    c.image = try c.image.completed(for: data, model: "a vision transformer")
    c.classes = try headRows(c.classes, for: data)
    for (name, value) in [("width", c.width), ("heads", c.heads), ("patch", c.patch)] where value < 1 {
      throw ModelError(name, "\(value) is not positive", remedy: "write a whole number of at least 1")
    }
    guard c.depth >= 0 else { throw ModelError("depth", "\(c.depth) is negative", remedy: "write 0 or more") }
    guard c.width % c.heads == 0 else {
      throw ModelError(
        "heads", "a width of \(c.width) does not divide into \(c.heads) heads", remedy: "choose a divisor of the width")
    }
    guard c.image.height % c.patch == 0, c.image.width % c.patch == 0 else {
      throw ModelError(
        "patch", "patches of \(c.patch) do not tile images of \(c.image.height) · \(c.image.width)",
        remedy: "choose a divisor of both, or pad the images: data.images.pad")
    }
    if c.hidden == 0 { c.hidden = 4 * c.width }
    guard c.hidden > 0 else { throw ModelError("hidden", "\(c.hidden) is negative", remedy: "write 0 for the default") }
    guard (0..<1).contains(c.dropout) else {
      throw ModelError("dropout", "\(c.dropout) is no probability below 1", remedy: "write 0 … 0.9")
    }
    return c
  }

  /// One product a weight and patch, an attention a block, and the head's product.
  public static func operationsPerSample(_ configuration: Configuration, _ blueprint: Blueprint) -> ProductOperations {
    let c = configuration
    let attention = AttentionShape(
      batch: 1, time: c.places, heads: c.heads, keyValueHeads: c.heads, headWidth: c.width / c.heads)
    var sum = ProductOperations()
    for (index, spec) in blueprint.parameters.enumerated()
    where spec.axes.count == 2 && !spec.tags.contains(.embedding) {
      sum = sum + blueprint.product(with: index, rows: spec.tags.contains(.head) ? 1 : c.places)
      if spec.axes[0].parts.contains(where: { $0.label == "query" }) {
        sum = sum + blueprint.operations(attention.operations(causal: false), after: index)
      }
    }
    return sum
  }
}

extension VisionTransformer.Configuration {
  var places: Int { (image.height / patch) * (image.width / patch) }
  var pixelsOfPatch: Int { image.channels * patch * patch }

  /// `[samples, channels, height, width]` as `[samples, places, channels · patch · patch]`, places row by row.
  func patches(of values: [Float], samples: Int) -> [Float] {
    var patches: [Float] = []
    patches.reserveCapacity(values.count)
    for sample in 0..<samples {
      for top in stride(from: 0, to: image.height, by: patch) {
        for left in stride(from: 0, to: image.width, by: patch) {
          for channel in 0..<image.channels {
            for row in top..<top + patch {
              let start = ((sample * image.channels + channel) * image.height + row) * image.width + left
              patches += values[start..<start + patch]
            }
          }
        }
      }
    }
    return patches
  }
}

/// Patches to rows of the stream, each with its learned position.
struct PatchEmbedding: Layer {
  let linear: Linear
  let positions: Parameter

  init(_ scope: Scope, pixels: Int, places: Int, width: Int) {
    linear = Linear(
      scope, from: .input("pixel", pixels), to: .output("model", width), bias: true,
      initializer: .uniform(inputs: pixels), tags: [.rawInput])
    positions = scope.parameter(
      "positions", [.index("position", places), .output("model", width)], .normal(standardDeviation: 0.02),
      tags: [.embedding, .noDecay])
  }

  /// x `[samples, places, pixels]` to `[samples, places, width]`.
  func callAsFunction(_ x: Tensor) -> Tensor {
    linear(x).adding(rows: positions.on(x.tape), time: x.shape[1])
  }
}

/// The last norm, the mean over rows, a product to the classes.
struct MeanHead: Layer {
  let norm: Normalization
  let linear: Linear

  init(_ scope: Scope, width: Int, classes: Int) {
    norm = scope.child("norm") { Normalization($0, .layer, width: width, tags: [.lastNorm]) }
    linear = Linear(
      scope, from: .input("model", width), to: .index("class", classes), bias: true,
      initializer: .uniform(inputs: width), tags: [.head])
  }

  /// x `[samples, rows, width]` to `[samples, classes]`.
  func callAsFunction(_ x: Tensor) -> Tensor { linear(norm(x).meanOverRows()) }
}
