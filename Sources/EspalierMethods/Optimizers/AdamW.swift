import CKernels
public import EspalierNN
public import EspalierState

/// Adam with decoupled weight decay.
///
/// θ ← θ(1 − η·λ); m ← β₁m + (1 − β₁)g; v ← β₂v + (1 − β₂)g²; θ ← θ − η · m/(1 − β₁ᵗ) / (√v/√(1 − β₂ᵗ) + ε).
/// The decay acts before the step and ε after the bias-corrected root, as in torch.optim.AdamW.
/// - Loshchilov and Hutter 2019, arXiv:1711.05101; Kingma and Ba 2015, arXiv:1412.6980.
public struct AdamW: Optimizer {
  /// What a recipe may set; `fields` says what each option means.
  public struct Options: Settings {
    public var rate: Double = 6e-4
    public var decay: Double = 0.1
    public var beta1: Double = 0.9
    public var beta2: Double = 0.95
    public var epsilon: Double = 1e-8
    public init() {}

    public static let fields: [SettingField] = [
      SettingField("rate", unit: "1/step", "Learning rate at the top of the schedule's shape, η."),
      SettingField("decay", unit: "1/rate", "Decoupled weight decay, λ; gains and biases are exempt."),
      SettingField("beta1", unit: "", "Memory of the first moment, β₁."),
      SettingField("beta2", unit: "", "Memory of the second moment, β₂."),
      SettingField("epsilon", unit: "", "Added to the root of the second moment, ε."),
    ]
  }

  public static let name = "adamw"
  public static let summary = "Adam with decoupled weight decay (Loshchilov and Hutter 2019, arXiv:1711.05101)."

  let options: Options
  /// The names of the slots.
  private let first, second: String

  /// - Throws: `OptimizerError` for a negative or infinite rate or decay, a β outside 0 ..< 1, an ε that is not positive.
  public init(_ options: Options) throws { try self.init(options, slotPrefix: Self.name) }

  /// For an optimizer that leaves some weights to AdamW.
  init(_ options: Options, slotPrefix: String) throws {
    for (name, value) in [("rate", options.rate), ("decay", options.decay)] {
      guard value >= 0 else { throw OptimizerError(name, "is \(value) and must not be negative") }
      guard value.isFinite else { throw OptimizerError(name, "is \(value) and must be finite") }
    }
    for (name, beta) in [("beta1", options.beta1), ("beta2", options.beta2)] where !(0..<1).contains(beta) {
      throw OptimizerError(name, "is \(beta) and must lie in 0 ..< 1")
    }
    guard options.epsilon > 0, options.epsilon.isFinite else {
      throw OptimizerError("epsilon", "is \(options.epsilon) and must be positive")
    }
    self.options = options
    (first, second) = (slotPrefix + ".m", slotPrefix + ".v")
  }

  /// η.
  public var rate: Double { options.rate }
  /// The first moment m and the second v.
  public var slots: [SlotSpec] {
    [SlotSpec(first, growth: .likeGradient), SlotSpec(second, growth: .likeSquaredGradient)]
  }

  /// One fused pass over the stretch.
  public func update(_ shard: ParameterShard, at moment: UpdateMoment) {
    ck_adamw(
      shard.value.baseAddress, shard.gradient.baseAddress, shard.slot(first).baseAddress,
      shard.slot(second).baseAddress, shard.value.count, moment.rate * shard.group.rate, options.beta1,
      options.beta2,
      options.epsilon, options.decay * shard.group.decay, 1 - power(options.beta1, moment.count),
      1 - power(options.beta2, moment.count), moment.gradientScale)
  }

  /// base^exponent for a whole exponent, by squaring: the same bits with every mathematical library.
  private func power(_ base: Double, _ exponent: Int) -> Double {
    var (result, base, exponent) = (1.0, base, exponent)
    while exponent > 0 {
      if exponent % 2 == 1 { result *= base }
      base *= base
      exponent /= 2
    }
    return result
  }
}
