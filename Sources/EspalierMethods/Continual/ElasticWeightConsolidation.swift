public import EspalierNN
public import EspalierState

/// EWC, online form: pulls each weight to where the last task left it, in proportion to its importance.
///
/// Adds λ Fᵢ (θᵢ − θ*ᵢ) to the gradient, that of ½λ Σ Fᵢ (θᵢ − θ*ᵢ)². At a task's end F ← γ·F + squared gradients over its samples.
/// - Kirkpatrick et al. 2017, doi:10.1073/pnas.1611835114; Schwarz et al. 2018, arXiv:1805.06370 (online).
public struct ElasticWeightConsolidation: ContinualMethod {
  /// What a recipe may set; `fields` says what each option means.
  public struct Options: Settings {
    public var strength = 10.0
    public var decay = 1.0
    public var batches = 0
    public init() {}

    public static let fields: [SettingField] = [
      SettingField("strength", unit: "1/importance", "How hard important weights are held, λ."),
      SettingField("decay", unit: "per task", "What is left of older importances, γ."),
      SettingField("batches", unit: "batches, 0 = one pass", "What importances are measured on at a task's end."),
    ]
  }

  /// Where it stands.
  public struct Memory: Codable, Sendable { var tasks = 0 }

  public static let name = "ewc"
  public static let summary =
    "Elastic weight consolidation, online (Kirkpatrick et al. 2017, doi:10.1073/pnas.1611835114; arXiv:1805.06370)."
  public var memory = Memory()
  let options: Options

  /// - Throws: `MethodError` for a negative strength or a decay that is no share.
  public init(_ options: Options) throws {
    try require(factor: options.strength, "ewc.strength")
    try require(share: options.decay, "ewc.decay")
    try require(factor: Double(options.batches), "ewc.batches")
    self.options = options
  }

  public var slots: [SlotSpec] {
    [SlotSpec("ewc.importance", growth: .likeSquaredGradient), SlotSpec("ewc.anchor", growth: .likeValue)]
  }

  public mutating func adjust(_ session: any MethodSession) {
    guard memory.tasks > 0 else { return }
    let strength = Float(options.strength)
    session.forEachShard { shard in
      let importance = shard.slot("ewc.importance"), anchor = shard.slot("ewc.anchor")
      for i in importance.indices { shard.gradient[i] += strength * importance[i] * (shard.value[i] - anchor[i]) }
    }
  }

  public mutating func taskEnded(_ session: any MethodSession) throws {
    let decay = Float(options.decay)
    session.forEachShard { shard in
      let importance = shard.slot("ewc.importance")
      for i in importance.indices { importance[i] *= decay }
    }
    try session.addSquaredGradients(batches: options.batches, to: "ewc.importance")
    session.copy(.values, to: .slot("ewc.anchor"))
    memory.tasks += 1
  }
}
