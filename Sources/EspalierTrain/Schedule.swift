import EspalierNN

/// What a run does, step by step: its phases laid end to end, with the steps after which it evaluates and saves.
///
/// A pure value: a function of the recipe and the size of the data, never of a clock, so a resumed run continues the same plan.
public struct Schedule: Sendable, Equatable {
  /// One phase with its place in the run.
  public struct PlannedPhase: Sendable, Equatable {
    public let name: String
    /// The steps of the run before the phase.
    public let firstStep: Int
    public let rate: LearningRate
    public var steps: Int { rate.steps }
  }

  public let phases: [PlannedPhase]
  public let stepCount: Int
  private let evaluateEvery: Int
  private let saveEvery: Int
  private let savesAtBorders: Bool

  /// - Parameter stepsPerEpoch: the batches of one pass over the training set (`EpochOrder.batchesPerEpoch`).
  /// - Throws: `SettingsError` of kind `.conflict` when the training set does not fill a batch, or the run is longer than can be counted.
  public init(_ settings: RunSettings, stepsPerEpoch: Int) throws {
    guard stepsPerEpoch > 0 else {
      throw SettingsError(
        .conflict, subject: "batch.samples",
        reason: "the training set has too few samples for one batch of batch.samples (\(settings.batch.samples))",
        remedy: "use smaller batches, more data, or batch.last: keep")
    }
    var phases: [PlannedPhase] = []
    var first = 0
    for (index, phase) in settings.schedule.enumerated() {
      guard case .train(let train) = phase else { continue }
      let steps = try Self.steps(
        of: train, at: "schedule.\(index).train", stepsPerEpoch: stepsPerEpoch)
      phases.append(PlannedPhase(name: phase.name, firstStep: first, rate: LearningRate(train.rate, steps: steps)))
      let (sum, overflow) = first.addingReportingOverflow(steps)
      guard !overflow else {
        throw SettingsError(.conflict, subject: "schedule", reason: "the schedule has more steps than can be counted")
      }
      first = sum
    }
    self.phases = phases
    stepCount = first
    evaluateEvery = settings.evaluate.every
    saveEvery = settings.save.every
    savesAtBorders = settings.save.keepBorders && settings.save.every > 0
  }

  private static func steps(
    of train: TrainPhase, at key: String, stepsPerEpoch: Int
  ) throws -> Int {
    if train.steps > 0 { return train.steps }
    let (product, overflow) = stepsPerEpoch.multipliedReportingOverflow(by: max(train.epochs, 1))
    guard !overflow else {
      throw SettingsError(
        .conflict, subject: key + ".epochs", reason: "\(key).epochs is more steps than can be counted")
    }
    return product
  }

  /// The phase that holds the step which `completed` steps precede.
  /// - Complexity: log phases.
  public func phase(at completed: Int) -> PlannedPhase? {
    guard completed >= 0, completed < stepCount else { return nil }
    var low = 0, high = phases.count
    while high - low > 1 {
      let middle = (low + high) / 2
      if phases[middle].firstStep <= completed { low = middle } else { high = middle }
    }
    return phases[low]
  }

  /// Whether the validation set is measured when so many steps are done.
  public func evaluates(after completed: Int) -> Bool { Self.isDue(every: evaluateEvery, completed, of: stepCount) }

  /// Whether a checkpoint is written when so many steps are done.
  public func saves(after completed: Int) -> Bool {
    Self.isDue(every: saveEvery, completed, of: stepCount) || (savesAtBorders && border(after: completed) != nil)
  }

  /// The phase that ends when so many steps are done, in words; nil within a phase.
  ///
  /// The last one counts: another may be added before the run is resumed.
  public func border(after completed: Int) -> String? {
    guard completed > 0, let phase = phase(at: completed - 1), phase.firstStep + phase.steps == completed else {
      return nil
    }
    return "end of phase \(phases.firstIndex(of: phase) ?? 0) (\(phase.name))"
  }

  private static func isDue(every: Int, _ completed: Int, of count: Int) -> Bool {
    guard completed > 0 else { return false }
    return completed == count || (every > 0 && completed.isMultiple(of: every))
  }
}

/// Where a run stands in its schedule: what the trainer asks for its next action, and what a checkpoint keeps.
///
/// It holds no schedule, so a run may be resumed with another one.
public struct ScheduleCursor: Codable, Sendable, Equatable {
  /// Steps done, skipped ones included. While a `.step` is being carried out it is counted already.
  public private(set) var completed: Int
  private var evaluated = false
  private var saved = false

  /// - Precondition: `completed` is not negative.
  public init(completed: Int = 0) {
    precondition(completed >= 0, "a run has no negative number of steps, got \(completed)")
    self.completed = completed
  }

  public enum Action: Sendable, Equatable {
    case step(PlannedStep)
    case evaluate
    case save
    case finish
  }

  /// One step that is to be done.
  public struct PlannedStep: Sendable, Equatable {
    /// 1 for the first step of the run: the number that reports, checkpoints and Adam's bias correction use.
    public let number: Int
    /// The phase's place in the schedule, from 0.
    public let phase: Int
    /// Steps of the phase that come before this one.
    public let indexInPhase: Int
    /// What the optimizer's rate is multiplied by.
    public let rateFactor: Double
  }

  /// The next thing to do. After a step comes its evaluation, then its checkpoint, each once, also when a resume comes between.
  public mutating func advance(_ schedule: Schedule) -> Action {
    if !evaluated, schedule.evaluates(after: completed) {
      evaluated = true
      return .evaluate
    }
    if !saved, schedule.saves(after: completed) {
      saved = true
      return .save
    }
    guard let phase = schedule.phase(at: completed) else { return .finish }
    let index = completed - phase.firstStep
    let step = PlannedStep(
      number: completed + 1, phase: schedule.phases.firstIndex(of: phase) ?? 0, indexInPhase: index,
      rateFactor: phase.rate.factor(at: index))
    completed += 1
    evaluated = false
    saved = false
    return .step(step)
  }

  /// A checkpoint is written now, out of turn: for a signal or a time limit.
  public mutating func noteSaved() { saved = true }
}
