public import EspalierNN

/// Dark experience replay with labels: a draw of records is held to the logits that it was kept with, another to its classes.
///
/// L = CE(batch) + α · mean (z(x₁) − z₁)² + β · CE(x₂). The logits are those of the augmented sample at the time it came.
/// - Buzzega et al. 2020, arXiv:2004.07211.
public struct DarkExperienceReplay: ContinualMethod {
  /// What a recipe may set; `fields` says what each option means.
  public struct Options: Settings {
    public var buffer = 200
    public var samples = 32
    public var alpha = 0.2
    public var beta = 0.5
    public init() {}

    public static let fields: [SettingField] = [
      SettingField("buffer", unit: "records", "Samples of the stream that are kept, over all tasks together."),
      SettingField("samples", unit: "records/step", "Records of each of the two draws of a step."),
      SettingField("alpha", unit: "factor", "Of the squared distance to the kept logits, α."),
      SettingField("beta", unit: "factor, 0 = plain DER", "Of the cross-entropy on the second draw, β."),
    ]
  }

  public static let name = "derpp"
  public static let summary =
    "Dark experience replay: records keep their logits (Buzzega et al. 2020, arXiv:2004.07211)."
  let options: Options
  static let logits = "derpp.logits", labels = "derpp.labels"

  /// - Throws: `MethodError` for a buffer or a draw of nothing, or a negative factor.
  public init(_ options: Options) throws {
    try require(positive: options.buffer, "derpp.buffer")
    try require(positive: options.samples, "derpp.samples")
    try require(factor: options.alpha, "derpp.alpha")
    try require(factor: options.beta, "derpp.beta")
    self.options = options
  }

  public var replay: Replay? {
    Replay(
      capacity: options.buffer, keepsLogits: true,
      draws: [.init(Self.logits, count: options.samples)]
        + (options.beta > 0 ? [.init(Self.labels, count: options.samples)] : []))
  }

  public func shape(_ loss: inout StepLoss) {
    if let drawn = loss.draws[Self.logits] {
      loss.draws[Self.logits]?.distances.append(
        .init(to: drawn.keptLogits, columns: loss.task.rowCount, factor: options.alpha, counted: drawn.keptRows))
    }
    loss.draws[Self.labels]?.factor = options.beta
  }
}
