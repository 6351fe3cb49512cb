public import EspalierNN
public import EspalierState

/// A-GEM: a step may not go against the gradient of old records.
///
/// With g the gradient and r that of a draw of records of earlier tasks, g ← g − (g·r / r·r) r where g·r < 0.
/// - Chaudhry et al. 2019, arXiv:1812.00420.
public struct AveragedGradientMemory: ContinualMethod {
  /// What a recipe may set; `fields` says what each option means.
  public struct Options: Settings {
    public var buffer = 200
    public var samples = 64
    public init() {}

    public static let fields: [SettingField] = [
      SettingField("buffer", unit: "records", "Samples of the stream that are kept, over all tasks together."),
      SettingField("samples", unit: "records/step", "Records that the reference gradient is taken on."),
    ]
  }

  /// Whether the step has a reference gradient.
  public struct Memory: Codable, Sendable { var hasReference = false }

  public static let name = "agem"
  public static let summary = "Averaged gradient episodic memory (Chaudhry et al. 2019, arXiv:1812.00420)."
  public var memory = Memory()
  let options: Options
  static let reference = "agem.reference"

  /// - Throws: `MethodError` for a buffer or a draw of nothing.
  public init(_ options: Options) throws {
    try require(positive: options.buffer, "agem.buffer")
    try require(positive: options.samples, "agem.samples")
    self.options = options
  }

  public var slots: [SlotSpec] { [SlotSpec(Self.reference, growth: .zero)] }
  public var replay: Replay? {
    Replay(capacity: options.buffer, references: [.init("agem", count: options.samples, earlierTasksOnly: true)])
  }

  public mutating func stepBegan(_ session: any MethodSession) throws {
    memory.hasReference =
      try session.task.number > 0 && session.gradient(ofDraw: "agem", into: Self.reference)
  }

  public mutating func adjust(_ session: any MethodSession) throws {
    guard memory.hasReference else { return }
    let along = try session.dot(.gradient, .slot(Self.reference))
    guard along < 0 else { return }
    let share = Float(along / (try session.dot(.slot(Self.reference), .slot(Self.reference))))
    session.forEachShard { shard in
      let reference = shard.slot(Self.reference)
      for i in reference.indices { shard.gradient[i] -= share * reference[i] }
    }
  }
}
