public import EspalierNN
public import EspalierTensor

/// A plain convolutional network: blocks of convolution, norm, ReLU, dropout and max-pool, hidden layers, a head.
///
/// Its options describe the small networks of the continual-learning literature: with kernels of 4, 3 and 2 and two hidden layers
/// it is the AlexNet, with two kernels of 5 and overlapping pools the LeNet of Liang and Li 2023 (CVPR).
/// - LeCun et al. 1998, doi:10.1109/5.726791.
public struct ConvolutionalNetwork: Model {
  /// What a convolution does at the edge of an image.
  public enum Padding: String, Codable, Sendable, CaseIterable {
    /// Zeros around it, so that an odd kernel keeps the size.
    case same
    /// Only whole kernels.
    case valid
  }

  /// A max-pool.
  public struct Pool: Settings {
    public var size = 2
    /// 0 = the size.
    public var stride = 0
    public var padding = 0
    public init() {}

    public static let fields: [SettingField] = [
      SettingField("size", unit: "pixels, 1 = no pool", "Side of a window."),
      SettingField("stride", unit: "pixels", "From one window to the next; 0 = the size."),
      SettingField("padding", unit: "pixels", "Around the image; at most half the size."),
    ]
  }

  /// What a recipe may set; `fields` says what each option means.
  public struct Configuration: Settings {
    public var channels = [16, 32]
    public var kernels = [3]
    public var padding = Padding.same
    public var pool = Pool()
    public var hidden: [Int] = []
    public var normalization = ChannelNormalization.running
    public var dropout: [Float] = [0]
    public var bias = true
    /// 0 = the data's.
    public var classes = 0
    public var image = ImageSize()
    public var added: [[Int]] = []
    public init() {}

    public static let fields: [SettingField] = [
      SettingField("channels", unit: "channels", "Of each convolution; as many blocks as numbers."),
      SettingField("kernels", unit: "pixels", "Side of each convolution's kernel; one number for all."),
      SettingField(
        "padding", unit: "same | valid", "Whether zeros around an image keep its size, or only whole kernels count."),
      SettingField("pool", "The max-pool behind each convolution."),
      SettingField("hidden", unit: "features", "Width of each hidden layer between the convolutions and the head."),
      ChannelNormalization.field,
      SettingField(
        "dropout", unit: "probability",
        "Share that is zeroed of what each convolution and hidden layer gives; one number for all."),
      SettingField("bias", unit: "bool", "Whether hidden layers and the head have biases; convolutions have none."),
      SettingField("classes", unit: "classes", "Rows of the head; 0 = the data's."),
      SettingField("image", "The size of an image; the data's where it is left out."),
      SettingField(
        "added", unit: "inputs",
        "For each layer in turn and by task, mixtures of its inputs that it reads as well: what the method api adds."),
    ]
  }

  public static let name = "convolutionalNetwork"
  public static let summary =
    "Convolutional network for images: LeNet, AlexNet and others (LeCun et al. 1998, doi:10.1109/5.726791)."

  let image: ImageSize
  let blocks: [Segment<ConvolutionBlock>]
  let layers: [Segment<DenseBlock>]
  let head: Segment<Linear>

  /// Builds the network of a validated configuration.
  public init(_ scope: Scope, _ configuration: Configuration) {
    let c = configuration
    image = c.image
    var input = ChannelGroup(label: "pixel", count: c.image.channels)
    blocks = c.places.indices.map { index in
      let output = ChannelGroup(label: "channel.\(index)", count: c.channels[index])
      defer { input = output }
      return scope.segment("blocks.\(index)") {
        ConvolutionBlock(
          $0, from: input, to: output, kernel: c.kernels[index], c, dropout: c.dropout[index],
          tags: index == 0 ? [.rawInput] : [], added: c.added(toLayer: index))
      }
    }
    let area = c.places.last.map { $0.pooled.height * $0.pooled.width } ?? c.image.height * c.image.width
    var axis = Axis.input(input.label, input.count, taps: area)
    layers = c.hidden.indices.map { index in
      let label = "hidden.\(index)"
      defer { axis = .input(label, c.hidden[index]) }
      return scope.segment("layers.\(index)") {
        DenseBlock(
          $0, from: axis, to: (label, c.hidden[index]), c, dropout: c.dropout[c.channels.count + index],
          tags: c.channels.isEmpty && index == 0 ? [.rawInput] : [],
          added: c.added(toLayer: c.channels.count + index))
      }
    }
    head = scope.segment("head") {
      let start = Initializer.uniform(inputs: axis.count)
      return Linear(
        $0, from: axis, to: .index("class", c.classes), bias: c.bias, initializer: start, biasInitializer: start,
        tags: [.head])
    }
  }

  /// Logits `[samples, classes]` of images.
  public func logits(_ batch: Batch, on tape: Tape) -> Tensor {
    let (values, samples) = batch.pixels(for: "a convolutional network")
    var x = tape.constant(values, [samples, image.channels, image.height, image.width])
    for block in blocks { x = block(x) }
    x = x.reshaped([samples, x.shape.dimensions.dropFirst().reduce(1, *)])
    for layer in layers { x = layer(x) }
    return head(x)
  }

  /// Fills in what the data decide.
  /// - Throws: `ModelError` where the numbers do not fit each other or the data.
  public static func validated(_ configuration: Configuration, for data: DataDescription) throws -> Configuration {
    var c = configuration
    c.image = try c.image.completed(for: data, model: "a convolutional network")
    c.classes = try headRows(c.classes, for: data)
    for (name, values) in [("channels", c.channels), ("hidden", c.hidden)] {
      for value in values where !(1...65536).contains(value) {
        throw ModelError(name, "\(value) is not within 1 … 65536", remedy: "write whole numbers such as [16, 32]")
      }
    }
    c.kernels = try spread(c.kernels, "kernels", over: c.channels.count, "convolutions")
    c.dropout = try spread(c.dropout, "dropout", over: c.channels.count + c.hidden.count, "layers")
    for rate in c.dropout where !(0..<1).contains(rate) {
      throw ModelError("dropout", "\(rate) is no probability below 1", remedy: "write 0 … 0.9")
    }
    for kernel in c.kernels where kernel < 1 || (c.padding == .same && kernel.isMultiple(of: 2)) {
      throw ModelError(
        "kernels", "a kernel of \(kernel) cannot keep the size of an image",
        remedy: "write odd numbers, or padding: valid")
    }
    if c.pool.stride == 0 { c.pool.stride = c.pool.size }
    guard c.pool.size >= 1, c.pool.stride >= 1, (0...c.pool.size / 2).contains(c.pool.padding) else {
      throw ModelError(
        "pool",
        "windows of \(c.pool.size), \(c.pool.stride) apart and padded by \(c.pool.padding), are no pool",
        remedy: "write a size and a stride of at least 1, and a padding of at most half the size")
    }
    guard c.added.count <= c.channels.count + c.hidden.count, c.added.joined().allSatisfy({ (0...65536).contains($0) })
    else {
      throw ModelError(
        "added", "\(c.added) are no inputs of \(c.channels.count + c.hidden.count) layers",
        remedy: "leave it out; the method api fills it in")
    }
    guard c.places.count == c.channels.count else {
      throw ModelError(
        "kernels", "after \(c.places.count) of \(c.channels.count) convolutions nothing of the image is left",
        remedy: "use fewer convolutions, smaller kernels or pools, or padding: same")
    }
    return c
  }

  /// With what a method has added.
  public static func widened(_ configuration: Configuration, by added: [String: [Int]]) -> Configuration? {
    var c = configuration
    let names =
      c.channels.indices.map { "blocks.\($0).convolution.weight" }
      + c.hidden.indices.map { "layers.\($0).linear.weight" }
    c.added = names.map { added[$0] ?? [] }
    return c
  }

  /// One value for each of `count`, where one may stand for all.
  private static func spread<Value>(_ values: [Value], _ option: String, over count: Int, _ things: String) throws
    -> [Value]
  {
    if values.count == 1 { return Array(repeating: values[0], count: count) }
    guard values.count == count else {
      throw ModelError(
        option, "\(values.count) numbers do not fit \(count) \(things)", remedy: "write one for each, or one for all")
    }
    return values
  }

  /// One product a convolution for every place of its outputs, one a layer.
  public static func operationsPerSample(_ configuration: Configuration, _ blueprint: Blueprint) -> ProductOperations {
    let products = blueprint.parameters.indices.filter {
      blueprint.parameters[$0].axes.count == 2 && !blueprint.parameters[$0].tags.contains(.mixture)
    }
    return zip(products, configuration.places.map(\.convolved.count) + products.map { _ in 1 }).reduce(
      ProductOperations()
    ) { $0 + blueprint.product(with: $1.0, rows: $1.1) }
  }
}

extension ConvolutionalNetwork.Configuration {
  func added(toLayer index: Int) -> [Int] { added.indices.contains(index) ? added[index] : [] }

  struct Size {
    let height, width: Int
    var count: Int { height * width }
  }

  /// The size of what each convolution gives, and of what its pool leaves; fewer where nothing is left.
  var places: [(convolved: Size, pooled: Size)] {
    var places: [(Size, Size)] = []
    var size = Size(height: image.height, width: image.width)
    for kernel in kernels.prefix(channels.count) {
      let border = padding == .same ? 2 * (kernel / 2) : 0
      let convolved = Size(height: size.height + border - kernel + 1, width: size.width + border - kernel + 1)
      guard convolved.height > 0, convolved.width > 0 else { break }
      let smaller = [convolved.height, convolved.width].map { $0 + 2 * pool.padding - pool.size }
      guard smaller.allSatisfy({ $0 >= 0 }) else { break }
      size = Size(height: smaller[0] / pool.stride + 1, width: smaller[1] / pool.stride + 1)
      places.append((convolved, size))
    }
    return places
  }
}

/// Convolution, norm, ReLU, dropout, max-pool.
struct ConvolutionBlock: Layer {
  let convolution: Convolution
  let norm: BatchNormalization?
  let dropout: Dropout
  let pool: ConvolutionalNetwork.Pool

  init(
    _ scope: Scope, from input: ChannelGroup, to output: ChannelGroup, kernel: Int,
    _ c: ConvolutionalNetwork.Configuration, dropout rate: Float, tags: Set<ParameterTag>, added: [Int]
  ) {
    convolution = scope.child("convolution") {
      Convolution(
        $0, from: (input.label, input.count), to: output.output, kernel: kernel,
        padding: c.padding == .same ? kernel / 2 : 0, tags: tags, added: added)
    }
    norm = c.normalization.layer(scope, channels: output.count, label: output.label)
    dropout = Dropout(scope, rate: rate)
    pool = c.pool
  }

  func callAsFunction(_ x: Tensor) -> Tensor {
    let z = dropout(convolution(x).normalized(by: norm).relu())
    return pool.size == 1 && pool.stride == 1 ? z : z.maxPool2D(pool.size, stride: pool.stride, padding: pool.padding)
  }
}

/// Product, norm, ReLU, dropout.
struct DenseBlock: Layer {
  let linear: Linear
  let norm: BatchNormalization?
  let dropout: Dropout

  init(
    _ scope: Scope, from input: Axis, to output: (label: String, count: Int), _ c: ConvolutionalNetwork.Configuration,
    dropout rate: Float, tags: Set<ParameterTag>, added: [Int]
  ) {
    linear = scope.child("linear") {
      let start = Initializer.uniform(inputs: input.count)
      return Linear(
        $0, from: input, to: .output(output.label, output.count), bias: c.bias, initializer: start,
        biasInitializer: start, tags: tags, added: added)
    }
    norm = c.normalization.layer(scope, channels: output.count, label: output.label)
    dropout = Dropout(scope, rate: rate)
  }

  func callAsFunction(_ x: Tensor) -> Tensor {
    let y = linear(x)
    // A feature is a channel of one place.
    let z = norm?(y.reshaped([y.shape[0], y.shape[1], 1, 1])).reshaped(y.shape) ?? y
    return dropout(z.relu())
  }
}
