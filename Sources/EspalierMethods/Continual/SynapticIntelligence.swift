public import EspalierNN
public import EspalierState

/// SI: a weight's importance is what its own way has done for the loss.
///
/// ω ← ω − g·Δθ at every step, g without the penalty; at a task's end Ω ← Ω + max(ω, 0) / ((θ − θ*)² + ξ), ω ← 0, θ* ← θ. Adds
/// 2c Ω (θ − θ*) to the gradient, that of c Σ Ω (θ − θ*)².
/// - Zenke, Poole, Ganguli 2017, arXiv:1703.04200.
public struct SynapticIntelligence: ContinualMethod {
  /// What a recipe may set; `fields` says what each option means.
  public struct Options: Settings {
    public var strength = 0.1
    public var damping = 0.1
    public init() {}

    public static let fields: [SettingField] = [
      SettingField("strength", unit: "", "How hard important weights are held, c."),
      SettingField("damping", unit: "squared weight", "Keeps weights that hardly moved from great importance, ξ."),
    ]
  }

  public static let name = "si"
  public static let summary =
    "Synaptic intelligence: importance by the path of a weight (Zenke et al. 2017, arXiv:1703.04200)."
  let options: Options

  /// - Throws: `MethodError` for a negative strength or a damping that is not positive.
  public init(_ options: Options) throws {
    try require(factor: options.strength, "si.strength")
    guard options.damping > 0, options.damping.isFinite else {
      throw MethodError(
        "si.damping", "\(options.damping) is not positive", remedy: "write 0.1, or another number above 0")
    }
    self.options = options
  }

  public var slots: [SlotSpec] {
    [
      SlotSpec("si.importance", growth: .likeSquaredGradient), SlotSpec("si.path", growth: .zero),
      SlotSpec("si.anchor", growth: .likeValue), SlotSpec("si.before", growth: .likeValue),
      SlotSpec("si.gradient", growth: .zero),
    ]
  }

  public mutating func taskBegan(_ session: any MethodSession) {
    if session.task.number == 0 { session.copy(.values, to: .slot("si.anchor")) }
  }

  public mutating func adjust(_ session: any MethodSession) {
    session.copy(.values, to: .slot("si.before"))
    session.copy(.gradient, to: .slot("si.gradient"))
    guard session.task.number > 0 else { return }
    let strength = Float(2 * options.strength)
    session.forEachShard { shard in
      let importance = shard.slot("si.importance"), anchor = shard.slot("si.anchor")
      for i in importance.indices { shard.gradient[i] += strength * importance[i] * (shard.value[i] - anchor[i]) }
    }
  }

  public mutating func updated(_ session: any MethodSession) {
    session.forEachShard { shard in
      let path = shard.slot("si.path"), before = shard.slot("si.before"), gradient = shard.slot("si.gradient")
      for i in path.indices { path[i] -= gradient[i] * (shard.value[i] - before[i]) }
    }
  }

  public mutating func taskEnded(_ session: any MethodSession) {
    let damping = Float(options.damping)
    session.forEachShard { shard in
      let importance = shard.slot("si.importance"), path = shard.slot("si.path"), anchor = shard.slot("si.anchor")
      for i in path.indices {
        let way = shard.value[i] - anchor[i]
        importance[i] += max(path[i], 0) / (way * way + damping)
        path[i] = 0
        anchor[i] = shard.value[i]
      }
    }
  }
}
