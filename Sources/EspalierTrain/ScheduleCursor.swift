/// Where a run stands in its schedule: what the trainer asks for its next action, and what a checkpoint keeps.
///
/// It holds no schedule, so a run may be resumed with another one. It does hold what no schedule knows beforehand: which growths
/// are done and when, where phases ended that an `until` decides on the way, and the losses that such a decision rests on.
public struct ScheduleCursor: Codable, Sendable, Equatable {
  /// A growth that is done.
  public struct Grown: Codable, Sendable, Equatable {
    /// The phase's place in the schedule, from 0.
    public let phase: Int
    /// Steps done before it.
    public let step: Int
  }

  /// A phase that ended before its most steps.
  struct Ended: Codable, Sendable, Equatable {
    let phase: Int
    let step: Int
  }

  /// Steps done, skipped ones included. While a `.step` is being carried out it is counted already.
  public private(set) var completed: Int
  /// The growths that are done, in order; the one that is being carried out among them.
  public private(set) var grown: [Grown] = []
  private var ended: [Ended] = []
  private var evaluated = false
  private var saved = false
  /// An evaluation that no interval asks for: after a growth.
  private var mustEvaluate = false
  /// The phase under way; nil before the first action.
  private var entered: Int?
  /// The phases whose tasks have begun and ended last.
  private var opened: Int?
  private var closed: Int?
  private var history = ReturnHistory()

  /// - Precondition: `completed` is not negative.
  public init(completed: Int = 0) {
    precondition(completed >= 0, "a run has no negative number of steps, got \(completed)")
    self.completed = completed
  }

  public enum Action: Sendable, Equatable {
    case step(PlannedStep)
    /// One phase is over and another begins.
    case border(Border)
    /// Tasks are about to be learned, and have been learned: the phase.
    case beginTasks(Int)
    case endTasks(Int)
    case evaluate
    case save
    case grow(PlannedGrowth)
    case finish
  }

  /// Places in the schedule, from 0.
  public struct Border: Sendable, Equatable {
    public let from: Int
    public let to: Int
  }

  /// A growth that is to be done now, with a checkpoint and an evaluation behind it.
  public struct PlannedGrowth: Sendable, Equatable {
    public let phase: Int
    public let settings: GrowPhase
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
    /// The same for what a growth of this stretch has born, by the phase that grew.
    public let bornRateFactors: [Int: Double]
  }

  /// The next thing to do. After a step comes its evaluation, then its checkpoint, each once, also when a resume comes between;
  /// then the border, if there is one. A growth has an evaluation and a checkpoint before it and an evaluation after it.
  public mutating func advance(_ schedule: Schedule) -> Action {
    if let entered, opened == entered, closed != entered, isPhaseDone(schedule) {
      closed = entered
      return .endTasks(entered)
    }
    if !evaluated, mustEvaluate || schedule.evaluates(after: completed) { return evaluate() }
    if !saved, schedule.saves(after: completed) || (schedule.savesAtBorders && border(in: schedule) != nil) {
      return save()
    }
    let place = place(in: schedule)
    guard let phase = place.phase else {
      // A run that ends before its most steps has a last evaluation and a last checkpoint as well.
      if completed < schedule.stepCount, completed > 0 {
        if !evaluated { return evaluate() }
        if !saved { return save() }
      }
      return .finish
    }
    if let entered, entered != phase {
      self.entered = phase
      history = ReturnHistory()
      return .border(Border(from: entered, to: phase))
    }
    entered = phase
    switch place {
    case .end: return .finish
    case .grow: return grow(phase, schedule)
    case .train(_, let index):
      if !schedule.phases[phase].tasks.isEmpty, opened != phase {
        opened = phase
        return .beginTasks(phase)
      }
      return step(phase, index, schedule)
    }
  }

  private mutating func evaluate() -> Action {
    (evaluated, mustEvaluate) = (true, false)
    return .evaluate
  }

  private mutating func save() -> Action {
    saved = true
    return .save
  }

  private mutating func grow(_ phase: Int, _ schedule: Schedule) -> Action {
    guard case .grow(let settings) = schedule.phases[phase].phase else { preconditionFailure("phase \(phase) grows") }
    if !evaluated, schedule.evaluatesAroundGrowths { return evaluate() }
    // Before the first step there is nothing to lose; of a step there is one checkpoint, which repeats all growths at it.
    if !saved, completed > 0 { return save() }
    grown.append(Grown(phase: phase, step: completed))
    (evaluated, mustEvaluate) = (false, schedule.evaluatesAroundGrowths)
    return .grow(PlannedGrowth(phase: phase, settings: settings))
  }

  private mutating func step(_ phase: Int, _ index: Int, _ schedule: Schedule) -> Action {
    let plan = schedule.ratePlan(of: phase, grown: grown)
    let planned = schedule.phases[phase]
    // A task's rate begins anew, also where tasks before it ended early.
    let place = planned.tasks.isEmpty ? completed : planned.firstStep + index
    let step = PlannedStep(
      number: completed + 1, phase: phase, indexInPhase: index, rateFactor: plan.factor(at: place),
      bornRateFactors: Dictionary(
        uniqueKeysWithValues: plan.marks.map { ($0.growth, plan.factor(at: place, bornIn: $0.growth)) }))
    completed += 1
    (evaluated, saved, mustEvaluate) = (false, false, false)
    return .step(step)
  }

  private func place(in schedule: Schedule) -> Schedule.Place {
    schedule.place(
      at: completed, ends: Dictionary(ended.map { ($0.phase, $0.step) }, uniquingKeysWith: { $1 }),
      grown: Set(grown.map(\.phase)))
  }

  /// What a step came to: all that an `until` may be decided from. The same on every rank.
  public struct StepOutcome: Sendable, Equatable {
    /// Not finite where the step was skipped.
    public let loss: Double
    /// Of all steps of the run.
    public let operations: Double
    public let targets: Int

    public init(loss: Double, operations: Double, targets: Int) {
      self.loss = loss
      self.operations = operations
      self.targets = targets
    }
  }

  /// Tells what the last step came to; it may be the last of its phase.
  public mutating func note(_ outcome: StepOutcome, _ schedule: Schedule) {
    guard let entered, schedule.phases.indices.contains(entered) else { return }
    let planned = schedule.phases[entered]
    guard case .train(let train) = planned.phase, completed < planned.latestEnd else { return }
    let isOver: Bool
    switch train.until {
    case .end, .fraction, .step: return
    case .tokens(let until): isOver = outcome.targets >= until.at
    case .marginalReturn(let until):
      history.add(loss: outcome.loss, operations: outcome.operations, until, of: planned.stretch.count)
      isOver = completed >= planned.earliestEnd && history.isExhausted(until, of: planned.stretch.count)
    }
    if isOver { ended.append(Ended(phase: entered, step: completed)) }
  }

  /// The phase under way is over with the last step: decided from numbers that all ranks share.
  mutating func endPhase() {
    if let entered { ended.append(Ended(phase: entered, step: completed)) }
  }

  /// The phase under way: after a growth, the growth, until its border is passed.
  public func phase(in schedule: Schedule) -> Int { entered ?? place(in: schedule).phase ?? 0 }

  /// The phase that is over here, in words; nil within a phase. The last one counts: another may be added before a resume.
  public func border(in schedule: Schedule) -> String? {
    let next =
      switch place(in: schedule) {
      case .end: schedule.phases.count
      case .grow(let phase), .train(let phase, 0): phase
      case .train: 0
      }
    guard completed > 0, next > 0 else { return nil }
    return "end of phase \(next - 1) (\(schedule.phases[next - 1].name))"
  }

  /// The phase whose tasks have begun and not ended.
  package var taskPhase: Int? { opened == closed ? nil : opened }

  /// Whether the phase of the last step has no step more.
  public func isPhaseDone(_ schedule: Schedule) -> Bool { place(in: schedule).phase != entered }

  /// The growths become part of the model: what goes on is a run that never grew.
  mutating func forgetGrowths() {
    grown = []
    (entered, opened, closed, mustEvaluate) = (nil, nil, nil, false)
  }

  /// A checkpoint is written now, out of turn: for a signal or a time limit.
  public mutating func noteSaved() { saved = true }
}

extension ScheduleCursor {
  private enum CodingKeys: String, CodingKey {
    case completed, grown, ended, evaluated, saved, mustEvaluate, entered, opened, closed, history
  }

  /// What a checkpoint does not say, because it was written before there was any, has not happened.
  public init(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: CodingKeys.self)
    completed = try values.decode(Int.self, forKey: .completed)
    evaluated = try values.decode(Bool.self, forKey: .evaluated)
    saved = try values.decode(Bool.self, forKey: .saved)
    grown = try values.decodeIfPresent([Grown].self, forKey: .grown) ?? []
    ended = try values.decodeIfPresent([Ended].self, forKey: .ended) ?? []
    mustEvaluate = try values.decodeIfPresent(Bool.self, forKey: .mustEvaluate) ?? false
    entered = try values.decodeIfPresent(Int.self, forKey: .entered)
    opened = try values.decodeIfPresent(Int.self, forKey: .opened)
    closed = try values.decodeIfPresent(Int.self, forKey: .closed)
    history = try values.decodeIfPresent(ReturnHistory.self, forKey: .history) ?? ReturnHistory()
  }
}
