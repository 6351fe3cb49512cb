public import EspalierNN

/// Experience replay: every step also learns from records of the stream.
///
/// The loss is the mean cross-entropy over the batch and a draw of records together, or half of each one's mean. A draw may
/// hold samples of the task under way.
/// - Ratcliff 1990, doi:10.1037/0033-295X.97.2.285; Chaudhry et al. 2019, arXiv:1902.10486 (tiny episodic memories).
public struct ExperienceReplay: ContinualMethod {
  /// What the mean runs over.
  public enum Average: String, Codable, Sendable, CaseIterable {
    /// Batch and draw are one batch, also for batch norm: each sample counts the same (Buzzega et al. 2020, arXiv:2004.07211).
    case samples
    /// Half the mean of each (Liang and Li 2023, for LODE's host).
    case halves
  }

  /// What a recipe may set; `fields` says what each option means.
  public struct Options: Settings {
    public var buffer = 200
    public var samples = 32
    public var average = Average.samples
    public init() {}

    public static let fields: [SettingField] = [
      SettingField("buffer", unit: "records", "Samples of the stream that are kept, over all tasks together."),
      SettingField("samples", unit: "records/step", "Records that every step learns from besides its batch."),
      SettingField(
        "average", unit: "samples | halves",
        "Whether batch and records are one mean, or half the mean of each; they differ where their sizes do."),
    ]
  }

  public static let name = "er"
  public static let summary =
    "Experience replay from a reservoir of the stream (Chaudhry et al. 2019, arXiv:1902.10486)."
  let options: Options
  static let draw = "er"

  /// - Throws: `MethodError` for a buffer or a draw of nothing.
  public init(_ options: Options) throws {
    try require(positive: options.buffer, "er.buffer")
    try require(positive: options.samples, "er.samples")
    self.options = options
  }

  public var replay: Replay? {
    Replay(
      capacity: options.buffer,
      draws: [.init(Self.draw, count: options.samples, joinsStream: options.average == .samples)])
  }

  public func shape(_ loss: inout StepLoss) {
    guard let drawn = loss.draws[Self.draw] else { return }
    let share =
      options.average == .halves ? 0.5 : Double(loss.stream.count) / Double(loss.stream.count + drawn.count)
    loss.stream.factor *= share
    loss.draws[Self.draw]?.factor = 1 - share
  }
}
