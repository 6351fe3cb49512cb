public import EspalierNN
public import EspalierTensor

/// A residual network for images: a 3×3 stem, four stages of basic blocks of w, 2w, 4w and 8w channels, the mean over places, a
/// head. With two blocks a stage it is ResNet-18 without the stem's stride and pool.
public struct ResidualNetwork: Model {
  /// What a recipe may set; `fields` says what each option means.
  public struct Configuration: Settings {
    public var width = 8
    public var depth = 2
    public var normalization = ChannelNormalization.running
    /// 0 = the data's.
    public var classes = 0
    public var image = ImageSize()
    public var added: [[Int]] = []
    public init() {}

    public static let fields: [SettingField] = [
      SettingField("width", unit: "channels", "Channels of the first stage; each further one has twice as many."),
      SettingField("depth", unit: "blocks", "Blocks of each of the four stages."),
      ChannelNormalization.field,
      SettingField("classes", unit: "classes", "Rows of the head; 0 = the data's."),
      SettingField("image", "The size of an image; the data's where it is left out."),
      SettingField(
        "added", unit: "inputs",
        "For each convolution in turn and by task, mixtures of its inputs that it reads as well: what the method api adds."
      ),
    ]
  }

  public static let name = "residualNetwork"
  public static let summary = "Residual network for images, ResNet-18 of any width (He et al. 2016, arXiv:1512.03385)."

  let configuration: Configuration
  let stem: Segment<ImageStem>
  let blocks: [Segment<BasicBlock>]
  let head: Segment<PooledHead>

  /// Builds the network of a validated configuration.
  public init(_ scope: Scope, _ configuration: Configuration) {
    let c = configuration
    self.configuration = c
    stem = scope.segment("stem") { ImageStem($0, c) }
    blocks = c.blocks.enumerated().map { index, block in
      scope.segment("blocks.\(index)") { BasicBlock($0, block, c, index: index) }
    }
    head = scope.segment("head") { PooledHead($0, from: c.stage(3), classes: c.classes) }
  }

  /// Logits `[samples, classes]` of images.
  public func logits(_ batch: Batch, on tape: Tape) -> Tensor {
    let (values, samples) = batch.pixels(for: "a residual network")
    let image = configuration.image
    var x = stem(tape.constant(values, [samples, image.channels, image.height, image.width]))
    for block in blocks { x = block(x) }
    return head(x)
  }

  /// Fills in what the data decide.
  /// - Throws: `ModelError` where the numbers do not fit the data.
  public static func validated(_ configuration: Configuration, for data: DataDescription) throws -> Configuration {
    var c = configuration
    c.image = try c.image.completed(for: data, model: "a residual network")
    c.classes = try headRows(c.classes, for: data)
    guard (1...4096).contains(c.width) else {
      throw ModelError("width", "\(c.width) is not within 1 … 4096", remedy: "write a whole number such as 8 or 64")
    }
    guard (1...1000).contains(c.depth) else {
      throw ModelError("depth", "\(c.depth) is not within 1 … 1000", remedy: "write a whole number such as 2")
    }
    guard c.added.count <= c.convolutions.count, c.added.joined().allSatisfy({ (0...65536).contains($0) }) else {
      throw ModelError(
        "added", "\(c.added) are no inputs of \(c.convolutions.count) convolutions",
        remedy: "leave it out; the method api fills it in")
    }
    return c
  }

  /// With what a method has added.
  public static func widened(_ configuration: Configuration, by added: [String: [Int]]) -> Configuration? {
    var c = configuration
    c.added = c.convolutions.map { added[$0 + ".weight"] ?? [] }
    return c
  }

  /// One product a convolution for every place of its outputs, and the head's.
  public static func operationsPerSample(_ configuration: Configuration, _ blueprint: Blueprint) -> ProductOperations {
    let c = configuration
    var sum = ProductOperations()
    func add(_ name: String, places: Int, before source: String? = nil) {
      guard let weight = blueprint.parameters.firstIndex(where: { $0.name == name }) else { return }
      let source = source.flatMap { prefix in blueprint.parameters.firstIndex { $0.name.hasPrefix(prefix) } }
      sum = sum + blueprint.product(with: weight, rows: places, before: source)
    }
    var (height, width) = (c.image.height, c.image.width)
    add("stem.convolution.weight", places: height * width)
    for (index, block) in c.blocks.enumerated() {
      // A kernel of 3 padded by 1, and one of 1 not padded, leave equally many places.
      (height, width) = ((height - 1) / block.stride + 1, (width - 1) / block.stride + 1)
      let name = "blocks.\(index).", places = height * width
      add(name + "convolution1.weight", places: places, before: name)
      add(name + "convolution2.weight", places: places)
      if block.changes { add(name + "shortcut.convolution.weight", places: places, before: name) }
    }
    add("head.weight", places: 1)
    return sum
  }
}

extension ResidualNetwork.Configuration {
  /// The channels of one of the four stages.
  func stage(_ index: Int) -> ChannelGroup { ChannelGroup(label: "stage.\(index)", count: width << index) }

  var blocks: [BasicBlock.Sizes] {
    (0..<4).flatMap { stage in
      (0..<depth).map { block in
        let changes = stage > 0 && block == 0
        return BasicBlock.Sizes(
          input: self.stage(changes ? stage - 1 : stage), output: self.stage(stage), stride: changes ? 2 : 1)
      }
    }
  }

  /// In the order of `added`.
  var convolutions: [String] {
    ["stem.convolution"]
      + blocks.enumerated().flatMap { index, block in
        (["convolution1", "convolution2"] + (block.changes ? ["shortcut.convolution"] : [])).map {
          "blocks.\(index).\($0)"
        }
      }
  }

  func added(to convolution: String) -> [Int] {
    guard let place = convolutions.firstIndex(of: convolution), added.indices.contains(place) else { return [] }
    return added[place]
  }
}

/// Channels that go by one name.
struct ChannelGroup: Equatable {
  let label: String
  let count: Int
  /// As a convolution produces them.
  var output: Axis { .output(label, count) }
}

/// Convolution, batch norm, ReLU.
struct ImageStem: Layer {
  let convolution: Convolution
  let norm: BatchNormalization?

  init(_ scope: Scope, _ c: ResidualNetwork.Configuration) {
    let output = c.stage(0)
    convolution = scope.child("convolution") {
      Convolution(
        $0, from: ("pixel", c.image.channels), to: output.output, kernel: 3, tags: [.rawInput],
        added: c.added(to: "stem.convolution"))
    }
    norm = c.normalization.layer(scope, channels: output.count, label: output.label)
  }

  func callAsFunction(_ x: Tensor) -> Tensor { convolution(x).normalized(by: norm).relu() }
}

/// relu(norm(conv(relu(norm(conv x)))) + shortcut x), where the shortcut is x itself or, where channels or size change, the norm of a
/// 1×1 convolution.
struct BasicBlock: Layer {
  struct Sizes {
    let input, output: ChannelGroup
    let stride: Int
    var changes: Bool { input != output || stride != 1 }
  }

  struct Shortcut {
    let convolution: Convolution
    let norm: BatchNormalization?
  }

  let convolution1, convolution2: Convolution
  let norm1, norm2: BatchNormalization?
  let shortcut: Shortcut?

  /// - Parameter index: of the block; the channels between its two convolutions are its own.
  init(_ scope: Scope, _ sizes: Sizes, _ c: ResidualNetwork.Configuration, index: Int) {
    let (input, output) = (sizes.input, sizes.output)
    let inner = ChannelGroup(label: "inner.\(index)", count: output.count)
    func convolution(
      _ scope: Scope, _ name: String, from input: ChannelGroup, to output: ChannelGroup, kernel: Int = 3,
      stride: Int = 1,
      tags: Set<ParameterTag> = []
    ) -> Convolution {
      scope.child(name) {
        Convolution(
          $0, from: (input.label, input.count), to: output.output, kernel: kernel, stride: stride, tags: tags,
          added: c.added(to: $0.path))
      }
    }
    convolution1 = convolution(scope, "convolution1", from: input, to: inner, stride: sizes.stride)
    norm1 = c.normalization.layer(scope, "norm1", channels: inner.count, label: inner.label)
    convolution2 = convolution(scope, "convolution2", from: inner, to: output, tags: [.residualOutput])
    norm2 = c.normalization.layer(scope, "norm2", channels: output.count, label: output.label)
    shortcut =
      !sizes.changes
      ? nil
      : scope.child("shortcut") { scope in
        Shortcut(
          convolution: convolution(scope, "convolution", from: input, to: output, kernel: 1, stride: sizes.stride),
          norm: c.normalization.layer(scope, channels: output.count, label: output.label))
      }
  }

  func callAsFunction(_ x: Tensor) -> Tensor {
    let branch = convolution2(convolution1(x).normalized(by: norm1).relu()).normalized(by: norm2)
    guard let shortcut else { return (branch + x).relu() }
    return (branch + shortcut.convolution(x).normalized(by: shortcut.norm)).relu()
  }
}

/// The mean over places, then a product to the classes.
struct PooledHead: Layer {
  let linear: Linear

  init(_ scope: Scope, from input: ChannelGroup, classes: Int) {
    let start = Initializer.uniform(inputs: input.count)
    linear = Linear(
      scope, from: .input(input.label, input.count), to: .index("class", classes), bias: true, initializer: start,
      biasInitializer: start, tags: [.head])
  }

  func callAsFunction(_ x: Tensor) -> Tensor { linear(x.globalAveragePool()) }
}
