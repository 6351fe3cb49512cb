import Foundation

/// How the learning rate moves in a phase: a fraction of the optimizer's rate for each of its steps.
///
/// With u = 1 … T the number of a step in its phase, W the warm-up, f the floor, and t = (u − W) / (T − W) the progress after it:
/// - while u ≤ W, every shape is u / W;
/// - constant: 1;
/// - linear: 1 − (1 − f) t;
/// - cosine: f + (1 − f) (1 + cos π t) / 2 (Loshchilov, Hutter: SGDR, 2016, arXiv:1608.03983, one cycle, with a floor);
/// - wsd: 1, and in the last D = round(decayFraction · T) steps, x = (u − (T − D)) / D of them done, what `decayShape` says (Hu et al.:
///   MiniCPM, 2024, arXiv:2404.06395): linear 1 − (1 − f) x; squareRoot 1 − (1 − f) √x (Hägele et al., 2024, arXiv:2405.18392);
///   exponential fˣ, as MiniCPM's. A decay that would begin inside the warm-up begins after it.
///
/// The last step of a phase is at the floor. A phase that is shorter than its warm-up ends while it still rises.
public struct LearningRate: Sendable, Equatable {
  /// The shape and its options.
  public let settings: RateSettings
  /// T, the steps of the phase.
  public let steps: Int

  /// - Precondition: `steps` is not negative.
  public init(_ settings: RateSettings, steps: Int) {
    precondition(steps >= 0, "a phase has no negative number of steps, got \(steps)")
    self.settings = settings
    self.steps = steps
  }

  /// The fraction of the optimizer's rate at the step that `index` steps of the phase precede.
  /// - Precondition: 0 ≤ index < steps.
  public func factor(at index: Int) -> Double {
    precondition(index >= 0 && index < steps, "step \(index) lies outside of a phase of \(steps) steps")
    let number = index + 1, warmup = settings.warmup
    if number <= warmup { return Double(number) / Double(warmup) }
    let floor = settings.floor
    let progress = Double(number - warmup) / Double(steps - warmup)
    switch settings.shape {
    case .constant: return 1
    case .linear: return 1 - (1 - floor) * progress
    case .cosine: return floor + (1 - floor) * 0.5 * (1 + cos(.pi * progress))
    case .wsd:
      let decay = Int((settings.decayFraction * Double(steps)).rounded())
      let start = max(steps - decay, warmup)
      if number <= start { return 1 }
      let done = Double(number - start) / Double(steps - start)
      switch settings.decayShape {
      case .linear: return 1 - (1 - floor) * done
      case .squareRoot: return 1 - (1 - floor) * done.squareRoot()
      case .exponential: return pow(floor, done)
      }
    }
  }
}
