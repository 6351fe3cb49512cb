public import EspalierNN
public import EspalierTensor

/// A multilayer perceptron for dense samples: `depth` hidden layers of GELU, SiLU or ReLU, a head of logits.
public struct MLP: Model {
  /// What stands between the layers.
  public enum Nonlinearity: String, Codable, Sendable, CaseIterable { case gelu, silu, relu }

  /// How weights start; biases start at zero.
  public enum Start: String, Codable, Sendable, CaseIterable {
    /// √(2 / (5·inputs)), normal.
    case small
    /// ±√(6 / (inputs + outputs)), uniform.
    case xavierUniform
  }

  /// What a recipe may set; `fields` says what each option means.
  public struct Configuration: Settings {
    public var width = 128
    public var depth = 2
    /// 0 = the data's.
    public var features = 0
    /// 0 = the data's.
    public var classes = 0
    public var activation = Nonlinearity.gelu
    public var dropout: Float = 0
    public var initializer = Start.small
    public var added: [[Int]] = []
    public init() {}

    public static let fields: [SettingField] = [
      SettingField("width", unit: "features", "Width of the hidden layers."),
      SettingField("depth", unit: "layers", "Number of hidden layers."),
      SettingField("features", unit: "features", "Features of a sample; 0 = the data's."),
      SettingField("classes", unit: "classes", "Rows of the head; 0 = the data's."),
      SettingField("activation", unit: "gelu | silu | relu", "What stands between the layers."),
      SettingField("dropout", unit: "probability", "Share of each hidden layer that is zeroed."),
      SettingField(
        "initializer", unit: "small | xavierUniform",
        "How weights start: normal √(2/(5·inputs)), or uniform ±√(6/(inputs + outputs))."),
      SettingField(
        "added", unit: "inputs",
        "For each hidden layer and by task, mixtures of its inputs that it reads as well: what the method api adds."),
    ]
  }

  public static let name = "mlp"
  public static let summary = "Multilayer perceptron for dense samples (Rumelhart et al. 1986, doi:10.1038/323533a0)."

  let layers: [Segment<HiddenLayer>]
  let head: Segment<Linear>

  /// Builds the network of a validated configuration.
  public init(_ scope: Scope, _ configuration: Configuration) {
    let c = configuration
    layers = (0..<c.depth).map { index in
      let input: Axis = index == 0 ? .input("feature", c.features) : .input("hidden.\(index - 1)", c.width)
      return scope.segment("layers.\(index)") {
        HiddenLayer(
          $0, from: input, to: .output("hidden.\(index)", c.width), c.activation, c.initializer, dropout: c.dropout,
          tags: index == 0 ? [.rawInput] : [], added: c.added.indices.contains(index) ? c.added[index] : [])
      }
    }
    head = scope.segment("head") {
      let input: Axis = c.depth == 0 ? .input("feature", c.features) : .input("hidden.\(c.depth - 1)", c.width)
      return Linear(
        $0, from: input, to: .index("class", c.classes), bias: true,
        initializer: c.initializer.initializer(inputs: input.count, outputs: c.classes), tags: [.head])
    }
  }

  /// Logits `[samples, classes]` of dense samples.
  public func logits(_ batch: Batch, on tape: Tape) -> Tensor {
    guard case .features(let values, let shape) = batch.inputs else {
      fatalError("an MLP reads dense features; this batch has tokens")
    }
    var x = tape.constant(values, [shape[0], featureCount])
    for layer in layers { x = layer(x) }
    return head(x)
  }

  private var featureCount: Int { layers.first?.body.featureCount ?? head.body.featureCount }

  /// Fills in what the data decide.
  /// - Throws: `ModelError` where the numbers do not fit the data.
  public static func validated(_ configuration: Configuration, for data: DataDescription) throws -> Configuration {
    var c = configuration
    guard data.features > 0 else {
      throw ModelError(
        "data", "an MLP reads dense features and this data set has tokens", remedy: "use the model 'decoder'")
    }
    if c.features == 0 { c.features = data.features }
    if c.classes == 0 { c.classes = data.classes }
    guard c.features == data.features else {
      throw ModelError(
        "features", "\(c.features) is not the data's \(data.features)", remedy: "write 0 to take the data's")
    }
    guard c.classes >= data.classes else {
      throw ModelError(
        "classes", "\(c.classes) rows cannot hold the data's \(data.classes) classes",
        remedy: "write 0 for the data's, or more")
    }
    guard c.added.count <= max(c.depth, 0), c.added.joined().allSatisfy({ (0...65536).contains($0) }) else {
      throw ModelError(
        "added", "\(c.added) are no inputs of \(c.depth) hidden layers",
        remedy: "leave it out; the method api fills it in")
    }
    guard c.width > 0 else {
      throw ModelError("width", "\(c.width) is not positive", remedy: "write a whole number of at least 1")
    }
    guard c.depth >= 0 else { throw ModelError("depth", "\(c.depth) is negative", remedy: "write 0 or more") }
    guard (0..<1).contains(c.dropout) else {
      throw ModelError("dropout", "\(c.dropout) is no probability below 1", remedy: "write 0 … 0.9")
    }
    return c
  }

  /// With what a method has added.
  public static func widened(_ configuration: Configuration, by added: [String: [Int]]) -> Configuration? {
    var c = configuration
    c.added = (0..<c.depth).map { added["layers.\($0).weight"] ?? [] }
    return c
  }

  /// One product a layer.
  public static func operationsPerSample(_ configuration: Configuration, _ blueprint: Blueprint) -> ProductOperations {
    blueprint.parameters.indices.filter {
      blueprint.parameters[$0].axes.count == 2 && !blueprint.parameters[$0].tags.contains(.mixture)
    }
    .reduce(ProductOperations()) { $0 + blueprint.product(with: $1, rows: 1) }
  }
}

/// One product and its nonlinearity.
struct HiddenLayer: Layer {
  let linear: Linear
  let dropout: Dropout
  let activation: MLP.Nonlinearity

  init(
    _ scope: Scope, from input: Axis, to output: Axis, _ activation: MLP.Nonlinearity, _ start: MLP.Start,
    dropout rate: Float, tags: Set<ParameterTag>, added: [Int]
  ) {
    linear = Linear(
      scope, from: input, to: output, bias: true,
      initializer: start.initializer(inputs: input.count, outputs: output.count), tags: tags, added: added)
    dropout = Dropout(scope, rate: rate)
    self.activation = activation
  }

  var featureCount: Int { linear.featureCount }

  func callAsFunction(_ x: Tensor) -> Tensor {
    let y = linear(x)
    switch activation {
    case .gelu: return dropout(y.gelu())
    case .silu: return dropout(y.silu())
    case .relu: return dropout(y.relu())
    }
  }
}

extension MLP.Start {
  /// nil for the layers' own.
  func initializer(inputs: Int, outputs: Int) -> Initializer? {
    self == .small ? nil : .xavierUniform(inputs: inputs, outputs: outputs)
  }
}
