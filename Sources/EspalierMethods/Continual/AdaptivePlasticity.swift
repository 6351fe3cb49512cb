public import EspalierNN
import EspalierState
package import EspalierTensor
import Foundation

/// API: as DualGPM, and a layer whose gradient hardly survives the projection reads more.
///
/// Before a task is learned at its own width, every layer's gradient retention ratio is measured: the mean over batches of ‖projected g‖ / ‖g‖.
/// A layer with ratio r gets e = K (ρ − r) new inputs, mixtures of its own: their map and the weight's columns for them learn freely, while old
/// columns move outside of the space of old inputs and old maps stand still. A task that is known is measured with the mixtures of its time.
/// - Liang and Li 2023, CVPR: Adaptive plasticity improvement for continual learning.
public struct AdaptivePlasticity: SubspaceMethod {
  /// How new inputs begin.
  public enum Start: String, Codable, Sendable, CaseIterable {
    /// Mixtures are the leading directions of the channels' patch norms, and the weight's columns for them are random (the authors' AlexNet):
    /// the function jumps.
    case activations
    /// Mixtures are random, and the weight's columns for them are 0 (their LeNet and ResNet): the function stays what it is.
    case zeros
  }

  /// What a recipe may set; `fields` says what each option means.
  public struct Options: Settings {
    /// Share of the energy of a layer's inputs that is protected after the first task, ε.
    public var threshold = 0.97
    /// What the threshold grows by over the whole sequence.
    public var rise = 0.03
    /// Samples that inputs are collected from, layer by layer; one number for all, 0 = a whole task.
    public var samples = [125]
    /// Where paper and authors' code differ.
    public var convention = SubspaceOptions.Convention.code
    /// New inputs for each unit that the ratio is too low, K.
    public var expansion = 10.0
    /// What is to be left of a gradient, ρ.
    public var retention = 0.5
    /// Passes of every task but the first at the old width.
    public var warmup = 0
    /// How new inputs begin.
    public var start = Start.zeros
    /// Patterns of the names of weights that may be widened.
    public var layers = ["*"]
    /// Everything as `espalier describe api` tells.
    public init() {}

    public static let fields: [SettingField] =
      SubspaceOptions.fields.dropLast() + [
        SettingField(
          "convention", unit: "code | paper",
          "Whether the first task's directions stay below the threshold, and counts are rounded up and at most a layer's inputs; or reach it, and are rounded to nearest."
        ),
        SettingField("expansion", unit: "inputs", "New inputs for each unit that the ratio is too low, K."),
        SettingField("retention", unit: "ratio", "What is to be left of a gradient, ρ."),
        SettingField(
          "warmup", unit: "epochs",
          "First passes of every task but the first at the old width; their batches count for the ratio."),
        SettingField(
          "start", unit: "zeros | activations",
          "Random mixtures that nobody reads yet, or the leading directions of the inputs, read at random."),
        SettingField("layers", unit: "patterns", "The weights that may be widened, by name."),
      ]

    var subspaces: SubspaceOptions {
      var options = SubspaceOptions()
      (options.threshold, options.rise, options.samples, options.convention) = (threshold, rise, samples, convention)
      return options
    }
  }

  /// Where it stands.
  public struct Memory: Codable, Sendable, Equatable {
    var spaces = SubspaceMemory()
    /// Sums of ratios by layer, and over how many batches, of the task under way.
    var ratios: [String: Double] = [:]
    var batches = 0
    /// By layer: inputs added by earlier tasks, and by all.
    var before: [String: Int] = [:]
    var added: [String: Int] = [:]
    /// By task and layer: the ratios that decided.
    public private(set) var retention: [[String: Double]] = []

    mutating func decided(_ ratios: [String: Double]) { retention.append(ratios) }
  }

  public static let name = "api"
  public static let summary =
    "Adaptive plasticity: DualGPM, and layers that are held too tight read more (Liang and Li 2023, CVPR)."
  /// The input spaces, the ratios and what was added.
  public var memory = Memory()
  let options: Options

  /// - Throws: `MethodError` for an option without meaning.
  public init(_ options: Options) throws {
    try options.subspaces.check(Self.name)
    try require(factor: options.expansion, "api.expansion")
    try require(share: options.retention, "api.retention")
    try require(factor: Double(options.warmup), "api.warmup")
    self.options = options
  }

  /// Refuses any other growth.
  public func check(_ growth: InputGrowth, of blueprint: Blueprint) throws {
    throw MethodError(
      Self.name, "it widens layers itself, task by task, and the recipe grows the model as well",
      remedy: "leave out the grow phases and tasks.heads: grow, or use dualgpm")
  }

  /// Behind the passes at the old width; never in the first task.
  public func widensAfter(_ task: TaskInfo) -> Int? { task.number > 0 ? options.warmup : nil }

  public mutating func taskBegan(_ session: any MethodSession) {
    (memory.ratios, memory.batches, memory.before) = ([:], 0, memory.added)
  }

  public mutating func adjust(_ session: any MethodSession) throws {
    let isWarm = session.task.number > 0 && session.task.epoch < options.warmup
    let before = isWarm ? norms(session) : [:]
    memory.spaces.adjust(session, frozen: memory.before)
    if isWarm { try count(session, before, norms(session)) }
  }

  /// By layer: the norm of the gradient of what was there before the task, on the rank that has it.
  private func norms(_ session: any MethodSession) -> [String: Double] {
    var norms: [String: Double] = [:]
    session.forEachShard { shard in
      guard memory.spaces.layers[shard.spec.name] != nil else { return }
      norms[shard.spec.name] = shard.gradient.reduce(0.0) { $0 + Double($1) * Double($1) }.squareRoot()
    }
    return norms
  }

  private mutating func count(
    _ session: any MethodSession, _ before: [String: Double], _ after: [String: Double]
  ) throws {
    let own = before.mapValues { $0 }.merging(after) { first, second in first > 0 ? second / first : 0 }
    for (layer, ratio) in try session.gather(own) { memory.ratios[layer, default: 0] += ratio }
    memory.batches += 1
  }

  public mutating func widening(_ session: any MethodSession) throws -> LayerWidening? {
    var own = self
    try session.forEachBatchGradient {
      let before = own.norms(session)
      own.memory.spaces.adjust(session, frozen: own.memory.before)
      try own.count(session, before, own.norms(session))
    }
    self = own
    let ratios = memory.ratios.mapValues { $0 / Double(max(memory.batches, 1)) }
    memory.decided(ratios)
    let patterns = options.layers.map { NamePattern($0) }
    var added: [String: Int] = [:], maps: [String: [Float]] = [:]
    for spec in session.parameters {
      guard let ratio = ratios[spec.name], patterns.contains(where: { $0.matches(spec.name) }) else { continue }
      let count = self.count(for: ratio, inputs: Self.inputs(of: spec))
      if count > 0 { added[spec.name] = count }
    }
    if options.start == .activations, !added.isEmpty {
      let wanted = added
      let norms = try session.moments(
        of: options.subspaces.samples(of: session.parameters).filter { wanted[$0.layer] != nil }, .channelNorms)
      maps = try session.decompose(norms) { layer, moments -> [Float] in
        try SymmetricEigen(moments) { min(wanted[layer] ?? 0, $0.count) }.vectors.values.map(Float.init)
      }
    }
    for (layer, count) in added { memory.added[layer, default: 0] += count }
    return LayerWidening(
      added: added, maps: Dictionary(uniqueKeysWithValues: maps.map { (Self.map(of: $0.key), $0.value) }),
      measured: ratios, startsSilent: options.start == .zeros)
  }

  /// What is mixed: channels of a convolution's inputs, elements of a plain product's.
  static func inputs(of spec: ParameterSpec) -> Int {
    spec.tags.contains(.convolution) ? spec.axes[1].parts[0].size : spec.axes[1].parts[0].count
  }

  static func map(of layer: String) -> String { String(layer.dropLast("weight".count)) + "map" }

  /// New inputs of a layer with a retention ratio.
  package func count(for ratio: Double, inputs: Int) -> Int {
    let wish = max(options.expansion * (options.retention - ratio), 0)
    switch options.convention {
    case .code: return min(Int(wish.rounded(.up)), inputs)
    case .paper: return Int((wish + 0.5).rounded(.down))
    }
  }

  public mutating func taskEnded(_ session: any MethodSession) throws {
    let specs = Dictionary(uniqueKeysWithValues: session.parameters.map { ($0.name, $0) })
    let maps = try session.values(of: memory.added.keys.map { Self.map(of: $0) }.sorted())
    try memory.spaces.learn(session, options.subspaces, flip: .both) { layer, moments in
      guard let spec = specs[layer], let map = maps[Self.map(of: layer)] else { return moments }
      let inputs = Self.inputs(of: spec)
      return Self.widened(moments, by: map, inputs: inputs)
    }
  }

  /// T G Tᵀ, the moments of inputs with their mixtures: T is the identity above map ⊗ identity of the taps.
  package static func widened(_ moments: DoubleMatrix, by map: [Float], inputs: Int) -> DoubleMatrix {
    let count = map.count / max(inputs, 1), taps = moments.rows / max(inputs, 1)
    var mixing = DoubleMatrix(rows: count * taps, columns: moments.rows)
    for mixture in 0..<count {
      for input in 0..<inputs {
        for tap in 0..<taps { mixing[mixture * taps + tap, input * taps + tap] = Double(map[mixture * inputs + input]) }
      }
    }
    let whole = DoubleMatrix.identity(moments.rows).above(mixing)
    return whole.times(moments).times(whole, otherTransposed: true)
  }
}
