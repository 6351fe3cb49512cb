/// The learning rate of one stretch with its growths: for old entries and for those that a growth has born.
///
/// With η the schedule, t_g the steps done at the growth, u = t − t_g = 1 … for the steps after it, η_g = η(t_g) the rate of the last
/// step before it, T the steps of the schedule, τ the steps of the policy (0: round(0.004 T)) but at most those that are
/// left, η_τ = η(t_g + τ), and f the schedule's floor:
/// - keep: η for all;
/// - asymRewarm(ρ, τ): η for the old; for the new η_g (1 + (ρ − 1) u / τ) while u ≤ τ, then tail(ρ η_g);
/// - rewarmAll(p, τ): for all, p η_τ u / τ while u ≤ τ, then tail(p η_τ);
/// - fresh: the next phase's shape, over what is left (a plan of its own);
///
/// where tail(x) = f + (x − f)(η(t) − f) / (η_τ − f): the schedule's fall from there, to the same floor. A growth while the schedule
/// still rises has the new entries follow it under asymRewarm. Policies of several growths act one after the other.
/// - SPARKLING, arXiv:2602.02472 (asymRewarm); the tail in closed form is ours.
public struct RatePlan: Sendable, Equatable {
  public struct Mark: Sendable, Equatable {
    /// The phase that grew.
    public let growth: Int
    /// Steps of the run before it.
    public let step: Int
    public let policy: GrowthRate

    public init(growth: Int, step: Int, policy: GrowthRate) {
      self.growth = growth
      self.step = step
      self.policy = policy
    }
  }

  public let base: LearningRate
  /// Steps of the run before the schedule's first.
  public let start: Int
  /// In order of the steps.
  public var marks: [Mark] = []

  public init(_ base: LearningRate, from start: Int) {
    self.base = base
    self.start = start
  }

  /// What the optimizer's rate is multiplied by at the step which `completed` steps of the run precede.
  /// - Parameter growth: the phase that has born the entries; nil for the old.
  public func factor(at completed: Int, bornIn growth: Int? = nil) -> Double {
    value(at: completed - start, growth, marks.count)
  }

  /// After the first `level` growths.
  private func value(at index: Int, _ growth: Int?, _ level: Int) -> Double {
    guard level > 0 else { return base.factor(at: min(index, base.steps - 1)) }
    let mark = marks[level - 1], at = mark.step - start
    guard index >= at else { return value(at: index, growth, level - 1) }
    switch mark.policy {
    case .keep, .fresh:
      return value(at: index, growth, level - 1)
    case .asymRewarm(let policy):
      guard growth == mark.growth, at > base.settings.warmup else {
        return value(at: index, growth == mark.growth ? nil : growth, level - 1)
      }
      let met = value(at: at - 1, nil, level - 1)
      return rewarmed(
        at: index, from: at, over: policy.steps, start: met, top: { _ in policy.rise * met }, nil, level - 1)
    case .rewarmAll(let policy):
      return rewarmed(
        at: index, from: at, over: policy.steps, start: 0, top: { policy.peak * $0 },
        growth == mark.growth ? nil : growth, level - 1)
    }
  }

  private func rewarmed(
    at index: Int, from at: Int, over steps: Int, start: Double, top: (Double) -> Double, _ growth: Int?, _ level: Int
  ) -> Double {
    let wished = steps > 0 ? steps : Int((0.004 * Double(base.steps)).rounded())
    let length = min(wished, base.steps - at), number = index - at + 1
    let last = value(at: max(at + length - 1, 0), growth, level)
    let top = top(last)
    if number <= length { return start + (top - start) * Double(number) / Double(length) }
    let here = value(at: index, growth, level), floor = base.settings.shape == .constant ? 0 : base.settings.floor
    return last > floor ? floor + (top - floor) * (here - floor) / (last - floor) : here
  }
}
