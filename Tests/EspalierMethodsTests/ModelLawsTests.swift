import EspalierMethods
import EspalierNN
import EspalierTensor
import EspalierTesting
import Testing

/// The laws of every model that ships.
@Suite struct ModelLawsTests {
  static let images = "{ kind: classes, samples: 96, classes: 5, features: 50, validation: 16 }"
  static let tokens = "{ kind: shift, samples: 96, vocabulary: 11, validation: 16 }"
  static let all = [
    ModelLaws(
      "decoder", model: "{ decoder: { width: 32, depth: 2, heads: 4, keyValueHeads: 2, context: 12, hidden: 144 } }",
      data: tokens),
    ModelLaws(
      "decoder of the GPT-2 kind with dropout",
      model: "{ decoder: { width: 32, depth: 2, heads: 2, context: 12, hidden: 144, normalization: layer, "
        + "positions: learned, activation: gelu, tied: true, bias: true, dropout: 0.1 } }", data: tokens),
    ModelLaws(
      "mlp with dropout", model: "{ mlp: { width: 96, depth: 2, dropout: 0.1 } }",
      data: "{ kind: classes, samples: 96, classes: 5, features: 50, validation: 16 }"),
    ModelLaws(
      "residual network",
      model: "{ residualNetwork: { width: 4, depth: 2, image: { channels: 2, height: 5, width: 5 } } }",
      data: images),
    ModelLaws(
      "residual network normed by the batch, and its mixtures",
      model: "{ residualNetwork: { width: 4, depth: 2, normalization: batch, "
        + "added: [[0, 2], [1], [], [0, 1, 1], [], [], [2]], image: { channels: 2, height: 5, width: 5 } } }",
      data: images),
    ModelLaws(
      "convolutional network with dropout",
      model: "{ convolutionalNetwork: { channels: [6, 8], kernels: [3, 1], hidden: [12], dropout: [0, 0.1, 0.1], "
        + "image: { channels: 2, height: 5, width: 5 } } }", data: images),
    ModelLaws(
      "convolutional network of overlapping pools, normed by the batch",
      model: "{ convolutionalNetwork: { channels: [6, 8], kernels: [2], padding: valid, hidden: [12], bias: false, "
        + "normalization: batch, pool: { size: 3, stride: 1, padding: 1 }, image: { channels: 2, height: 5, width: 5 } } }",
      data: images),
    ModelLaws(
      "convolutional network and its mixtures",
      model: "{ convolutionalNetwork: { channels: [6, 8], hidden: [12], added: [[0, 2], [1, 1], [0, 3]], "
        + "image: { channels: 2, height: 5, width: 5 } } }", data: images),
    ModelLaws(
      "mlp and its mixtures", model: "{ mlp: { width: 24, depth: 2, added: [[0, 3], [2]] } }",
      data: "{ kind: classes, samples: 96, classes: 5, features: 50, validation: 16 }"),
    ModelLaws(
      "vision transformer",
      model: "{ visionTransformer: { width: 12, depth: 2, heads: 3, patch: 2, dropout: 0.1, "
        + "image: { channels: 2, height: 6, width: 4 } } }",
      data: "{ kind: classes, samples: 96, classes: 5, features: 48, validation: 16 }"),
  ]

  @Test("every model of the catalogue is held to the laws")
  func catalogue() {
    for type in Catalogue.standard.models {
      #expect(
        Self.all.contains { $0.model.contains(" \(type.name):") }, "'\(type.name)' has no small task in this suite")
    }
  }

  @Test("names are unique, segments cover every parameter, labels have one size", arguments: all)
  func blueprint(_ laws: ModelLaws) throws { try laws.blueprintIsSound() }

  @Test("ranks 1 to 4 at stages 0 to 3 end with one digest and one loss", arguments: all)
  func oneDigest(_ laws: ModelLaws) throws {
    let reference = try laws.trained(ranks: 1, ["stage=0"])
    for (ranks, stage) in (1...4).flatMap({ ranks in (0...3).map { (ranks, $0) } }).dropFirst() {
      #expect(try laws.trained(ranks: ranks, ["stage=\(stage)"]) == reference, "\(ranks) ranks at stage \(stage)")
    }
  }

  @Test("recomputing activations changes no bit", arguments: all)
  func recompute(_ laws: ModelLaws) throws {
    let reference = try laws.trained(ranks: 1, ["stage=0"])
    for (ranks, stage) in [(1, 0), (2, 1), (3, 2), (2, 3)] {
      #expect(try laws.trained(ranks: ranks, ["stage=\(stage)", "recompute=true"]) == reference, "stage \(stage)")
    }
  }

  @Test("the loss falls on a small task", arguments: all)
  func lossFalls(_ laws: ModelLaws) throws { try laws.lossFalls(below: 0.75, steps: 120) }

  @Test("a step of no samples changes nothing", arguments: all)
  func emptyBatch(_ laws: ModelLaws) throws { try laws.emptyBatchChangesNothing() }

  @Test("the products of a step are as many as the model tells, computed again or not", arguments: all)
  func products(_ laws: ModelLaws) throws {
    let type = try #require(Catalogue.standard.models.first { laws.model.contains(" \($0.name):") })
    // Longer than a block of an attention's queries, and no whole number of them.
    let longer = type == Decoder.self ? ["model.decoder.context=75"] : []
    let frozen =
      switch type.name {
      case Decoder.name: [["freeze=[embed*, blocks.0*, blocks.1.norm*, blocks.1.attention.q*]"]]
      case MLP.name: [["freeze=[layers.0*]"]]
      case ConvolutionalNetwork.name: [["freeze=[blocks.0*]"], ["freeze=[blocks*, layers.0.linear*]"]]
      case VisionTransformer.name: [["freeze=[embed*, blocks.0*, blocks.1.norm*, blocks.1.attention.q*]"]]
      default:
        [
          ["freeze=[stem.convolution*]"], ["freeze=[stem*, blocks.0*]"],
          ["freeze=[stem*, blocks.0*, blocks.1*, blocks.2.convolution*]"],
          ["freeze=[stem*, blocks.0*, blocks.1*, blocks.2.shortcut*]"],
        ]
      }
    let shallow =
      type == ConvolutionalNetwork.self
      ? ["hidden=[]", "dropout=[0]", "added=[]"].map { "model.convolutionalNetwork.\($0)" }
      : ["model.\(type.name).depth=\(type == ResidualNetwork.self ? 1 : 0)"]
        + (type == MLP.self ? ["model.mlp.added=[]"] : [])
    for set in [[], longer, shallow] + frozen {
      try laws.productsAreCounted(set)
      try laws.productsAreCounted(set + ["recompute=true"])
    }
  }

  @Test("dropout is at work: another seed of the run, another loss")
  func dropoutActs() throws {
    let laws = Self.all[1]
    let without = try laws.trained(ranks: 1, ["model.decoder.dropout=0"])
    #expect(try laws.trained(ranks: 1) != without)
  }

  @Test("the names of a decoder's parameters are those that checkpoints hold")
  func decoderNames() throws {
    func names(_ laws: ModelLaws) throws -> String {
      try laws.blueprint().parameters.filter { !$0.name.hasPrefix("blocks.1") }
        .map { "\($0.name) \($0.shape.dimensions)" }.joined(separator: "\n")
    }
    #expect(
      try names(Self.all[0]) == """
        embed.table [11, 32]
        blocks.0.norm1.gain [32]
        blocks.0.attention.qkv.weight [64, 32]
        blocks.0.attention.output.weight [32, 32]
        blocks.0.norm2.gain [32]
        blocks.0.feedForward.gateUp.weight [288, 32]
        blocks.0.feedForward.down.weight [32, 144]
        head.norm.gain [32]
        head.projection.weight [11, 32]
        """)
    #expect(
      try names(Self.all[1]) == """
        embed.table [11, 32]
        embed.positions [12, 32]
        blocks.0.norm1.gain [32]
        blocks.0.norm1.bias [32]
        blocks.0.attention.qkv.weight [96, 32]
        blocks.0.attention.qkv.bias [96]
        blocks.0.attention.output.weight [32, 32]
        blocks.0.attention.output.bias [32]
        blocks.0.norm2.gain [32]
        blocks.0.norm2.bias [32]
        blocks.0.feedForward.up.weight [144, 32]
        blocks.0.feedForward.up.bias [144]
        blocks.0.feedForward.down.weight [32, 144]
        blocks.0.feedForward.down.bias [32]
        last.gain [32]
        last.bias [32]
        """)
    #expect(
      try Self.all[2].blueprint().parameters.map(\.name) == [
        "layers.0.weight", "layers.0.bias", "layers.1.weight", "layers.1.bias", "head.weight", "head.bias",
      ])
  }

  @Test("a residual network of width 8 for 28 · 28 pixels and 10 classes has 176,258 weights")
  func residualNetworkWeights() throws {
    let configuration = try ResidualNetwork.validated(
      .init(), for: DataDescription(classes: 10, features: 784, shape: [1, 28, 28]))
    let blueprint = Scope.build { ResidualNetwork($0, configuration) }.blueprint
    #expect(blueprint.parameters.filter { !$0.isStatistic }.reduce(0) { $0 + $1.count } == 176_258)
    // A mean and a variance of each of the 8 + 4·8 + (4·16 + 16) + (4·32 + 32) + (4·64 + 64) normalised channels.
    #expect(blueprint.parameters.filter(\.isStatistic).reduce(0) { $0 + $1.count } == 2 * 600)
    #expect(blueprint.segments.map(\.name) == ["stem"] + (0..<8).map { "blocks.\($0)" } + ["head"])
    #expect(
      blueprint.parameters.filter { $0.tags.contains(.head) }.map(\.axes.first) == [
        .index("class", 10), .index("class", 10),
      ])
  }

  @Test("fused weights declare their parts")
  func parts() throws {
    let blueprint = try Self.all[0].blueprint()
    func axis(_ name: String) throws -> Axis {
      try #require(blueprint.parameters.first { $0.name == name }).axes[0]
    }
    #expect(
      try axis("blocks.0.attention.qkv.weight")
        == .outputs([.init("query", 32, block: 8), .init("key", 16, block: 8), .init("value", 16, block: 8)]))
    #expect(
      try axis("blocks.0.feedForward.gateUp.weight") == .outputs([.init("hidden", 144), .init("hidden", 144)]))
    #expect(try axis("embed.table") == .index("vocabulary", 11))
    #expect(try axis("head.projection.weight") == .index("vocabulary", 11))
  }
}
