public import EspalierNN
public import EspalierState
import EspalierTensor

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// ESMER, error-sensitive modulation: a slow average of the weights says which samples are surprising, and they count for less.
///
/// With ℓ the slow model's loss of a sample and μ its running mean, a sample of ℓ ≥ m·μ counts μ/ℓ. Records learn by their classes and
/// by the squared distance to the slow model's logits. The slow model θₛ ← a·θₛ + (1 − a)·θ moves in a share of the steps, with
/// a = min(1 − 1/(step + 1), decay); it is what is measured. μ follows losses within some deviations of their mean, and neither it
/// nor the records change in the first passes of a task.
/// - Sarfraz, Arani, Zonooz 2023, arXiv:2302.11344.
public struct StableReplay: ContinualMethod {
  /// What a recipe may set; `fields` says what each option means.
  public struct Options: Settings {
    public var buffer = 200
    public var samples = 32
    public var regularization = 0.15
    public var margin = 1.2
    public var frequency = 0.1
    public var decay = 0.999
    public var lossMemory = 0.99
    public var deviations = 1.0
    public var warmup = 1
    public init() {}

    public static let fields: [SettingField] = [
      SettingField("buffer", unit: "records", "Samples of the stream that are kept, over all tasks together."),
      SettingField("samples", unit: "records/step", "Records that every step learns from besides its batch."),
      SettingField("regularization", unit: "factor", "Of the squared distance to the slow model's logits."),
      SettingField("margin", unit: "times the mean loss", "From which loss a sample counts for less, m."),
      SettingField("frequency", unit: "probability", "In which share of the steps the slow model moves."),
      SettingField("decay", unit: "", "The most that the slow model keeps of itself in a move."),
      SettingField("lossMemory", unit: "", "The most that the mean loss keeps of itself in a step."),
      SettingField(
        "deviations", unit: "standard deviations", "Losses further above a batch's mean leave the mean loss alone."),
      SettingField(
        "warmup", unit: "epochs/task", "Passes of a task in which neither the mean loss nor the records change."),
    ]
  }

  /// Where it stands.
  public struct Memory: Codable, Sendable {
    var lossMean = 0.0
    var steps = 0
    var epoch = 0
  }

  public static let name = "esmer"
  public static let summary =
    "Error-sensitive replay beside a slow average of the weights (Sarfraz et al. 2023, arXiv:2302.11344)."
  public var memory = Memory()
  let options: Options
  static let draw = "esmer", slow = "esmer.slow"

  /// - Throws: `MethodError` for an option without meaning.
  public init(_ options: Options) throws {
    try require(positive: options.buffer, "esmer.buffer")
    try require(positive: options.samples, "esmer.samples")
    for (name, value) in [
      ("regularization", options.regularization), ("margin", options.margin), ("deviations", options.deviations),
    ] {
      try require(factor: value, "esmer.\(name)")
    }
    for (name, value) in [
      ("frequency", options.frequency), ("decay", options.decay), ("lossMemory", options.lossMemory),
    ] {
      try require(share: value, "esmer.\(name)")
    }
    self.options = options
  }

  public var slots: [SlotSpec] { [SlotSpec(Self.slow, growth: .likeValue)] }
  public var teachers: [Teacher] { [Teacher(Self.slow, parts: [.stream, .draw(Self.draw)])] }
  public var measured: String? { Self.slow }
  public var replay: Replay? { Replay(capacity: options.buffer, draws: [.init(Self.draw, count: options.samples)]) }

  public mutating func taskBegan(_ session: any MethodSession) throws {
    guard session.task.number == 0 else { return }
    session.copy(.values, to: .slot(Self.slow))
    try session.refresh(teacher: Self.slow)
  }

  public mutating func stepBegan(_ session: any MethodSession) { memory.epoch = session.task.epoch }

  public func shape(_ loss: inout StepLoss) {
    guard let slow = loss.teachers[Self.slow] else { return }
    let columns = loss.task.rowCount
    let losses = Self.losses(slow[.stream] ?? [], loss.stream.targets, columns)
    if memory.lossMean > 0 {
      loss.stream.sampleFactors = losses.map {
        Double($0) >= options.margin * memory.lossMean ? Float(memory.lossMean / Double($0)) : 1
      }
    }
    loss.note("loss", losses)
    if let logits = slow[.draw(Self.draw)] {
      loss.draws[Self.draw]?.factor = 1
      loss.draws[Self.draw]?.distances.append(.init(to: logits, columns: columns, factor: options.regularization))
    }
  }

  private static func losses(_ logits: [Float], _ targets: [Int32], _ columns: Int) -> [Float] {
    targets.enumerated().map { sample, target in
      let z = logits[sample * columns..<(sample + 1) * columns].map(Double.init)
      let largest = z.max() ?? 0
      return Float(largest + log(z.reduce(0) { $0 + exp($1 - largest) }) - z[Int(target)])
    }
  }

  private var isWarm: Bool { memory.epoch >= options.warmup }

  public func keeps(_ session: any MethodSession) -> [Bool]? {
    session.notes("loss").map { isWarm && (memory.lossMean == 0 || $0 <= options.margin * memory.lossMean) }
  }

  public mutating func updated(_ session: any MethodSession) throws {
    memory.steps += 1
    let most = 1 - 1 / Double(memory.steps + 1)
    if session.key.uniform(at: 0) < options.frequency {
      let kept = Float(min(most, options.decay))
      session.forEachShard { shard in
        let slow = shard.slot(Self.slow)
        for i in slow.indices { slow[i] = kept * slow[i] + (1 - kept) * shard.value[i] }
      }
      try session.refresh(teacher: Self.slow)
    }
    let losses = session.notes("loss")
    guard isWarm, !losses.isEmpty else { return }
    let mean = losses.reduce(0, +) / Double(losses.count)
    let variance = losses.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(max(losses.count - 1, 1))
    let usual = losses.filter { $0 <= mean + options.deviations * variance.squareRoot() }
    guard !usual.isEmpty else { return }
    let kept = min(most, options.lossMemory)
    memory.lossMean = kept * memory.lossMean + (1 - kept) * usual.reduce(0, +) / Double(usual.count)
  }
}
