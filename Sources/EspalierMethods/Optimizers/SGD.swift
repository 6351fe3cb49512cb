import CKernels
public import EspalierNN
public import EspalierState

/// Stochastic gradient descent with momentum and decoupled weight decay.
///
/// θ ← θ(1 − η·λ); m ← μm + g; θ ← θ − η·m, or θ − η(g + μm) in Nesterov's form.
/// - Sutskever et al. 2013, PMLR 28(3):1139 (momentum); Loshchilov and Hutter 2019, arXiv:1711.05101 (decoupled decay).
public struct SGD: Optimizer {
  /// What a recipe may set; `fields` says what each option means.
  public struct Options: Settings {
    public var rate: Double = 0.1
    public var momentum: Double = 0.9
    public var nesterov = false
    public var decay: Double = 0
    public init() {}

    public static let fields: [SettingField] = [
      SettingField("rate", unit: "1/step", "Learning rate at the top of the schedule's shape, η."),
      SettingField("momentum", unit: "", "Memory of the momentum, μ; 0 = plain descent."),
      SettingField("nesterov", unit: "bool", "Nesterov's form of the momentum."),
      SettingField("decay", unit: "1/rate", "Decoupled weight decay, λ; gains and biases are exempt."),
    ]
  }

  public static let name = "sgd"
  public static let summary = "Stochastic gradient descent with momentum (Sutskever et al. 2013, PMLR 28(3):1139)."

  let options: Options

  /// - Throws: `OptimizerError` for a negative or infinite rate or decay, or a momentum outside 0 ..< 1.
  public init(_ options: Options) throws {
    for (name, value) in [("rate", options.rate), ("decay", options.decay)] {
      guard value >= 0 else { throw OptimizerError(name, "is \(value) and must not be negative") }
      guard value.isFinite else { throw OptimizerError(name, "is \(value) and must be finite") }
    }
    guard (0..<1).contains(options.momentum) else {
      throw OptimizerError("momentum", "is \(options.momentum) and must lie in 0 ..< 1")
    }
    self.options = options
  }

  /// η.
  public var rate: Double { options.rate }
  /// The momentum m.
  public var slots: [SlotSpec] { [SlotSpec("sgd.momentum", growth: .likeGradient)] }

  /// One fused pass over the stretch.
  public func update(_ shard: ParameterShard, at moment: UpdateMoment) {
    ck_sgd(
      shard.value.baseAddress, shard.gradient.baseAddress, shard.slot("sgd.momentum").baseAddress, shard.value.count,
      moment.rate * shard.group.rate, options.momentum, options.nesterov ? 1 : 0, options.decay * shard.group.decay,
      moment.gradientScale)
  }
}
