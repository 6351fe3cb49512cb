import EspalierNN

/// What a run does, step by step: its phases laid end to end, with the steps after which it evaluates and saves.
///
/// A pure value: a function of the recipe and the size of the data, never of a clock, so a resumed run continues the same plan.
/// A train phase states a number of steps; an `until` may end it before, and the train phase after it, which states none, goes
/// on with what is left: such phases are one stretch, with one shape of the learning rate and one sum of steps. So the
/// length of a run is known from the beginning, even where a border is decided on the way.
public struct Schedule: Sendable, Equatable {
  /// One phase with its place in the run.
  public struct PlannedPhase: Sendable, Equatable {
    public let name: String
    /// The steps of the run before the phase: the most, where an `until` is decided on the way.
    public let firstStep: Int
    /// 0 for a growth.
    public let steps: Int
    /// The tasks whose samples it learns from; empty for a phase of another kind.
    public let tasks: [Int]
    /// When tasks end early.
    public let stop: StopSettings
    /// What the recipe says of it.
    public let phase: Phase
    /// The steps of the run that its stretch takes, and the phase that states them.
    let stretch: Range<Int>
    let leader: Int
    /// The least steps of the run at its end; the most are `firstStep + steps`.
    let earliestEnd: Int

    /// Whether its end depends on what the run comes to.
    public var isDecidedOnTheWay: Bool {
      if case .train(let train) = phase { ["tokens", "marginalReturn"].contains(train.until.name) } else { false }
    }

    /// The most steps of the run at its end.
    var latestEnd: Int { firstStep + steps }
  }

  public let phases: [PlannedPhase]
  public let stepCount: Int
  private let evaluateEvery: Int
  /// A run that is measured at its end only is not measured around growths either; they look at a batch of their own.
  var evaluatesAroundGrowths: Bool { evaluateEvery > 0 }
  private let saveEvery: Int
  let savesAtBorders: Bool

  /// - Parameters:
  ///   - rows: the classes of each task, as rows of the head; empty without tasks.
  ///   - stepsPerEpoch: the batches of one pass over the training set (`EpochOrder.batchesPerEpoch`), or over that of some tasks.
  /// - Throws: `SettingsError` of kind `.conflict` when the training set does not fill a batch, the run is longer than can be counted,
  ///   or a phase would end outside of its stretch.
  public init(_ settings: RunSettings, stepsPerEpoch: Int) throws {
    try self.init(settings, rows: []) { _ in stepsPerEpoch }
  }

  package init(_ settings: RunSettings, rows: [[Int32]], stepsPerEpoch: ([Int]) -> Int) throws {
    guard stepsPerEpoch([]) > 0 else {
      throw SettingsError(
        .conflict, subject: "batch.samples",
        reason: "the training set has too few samples for one batch of batch.samples (\(settings.batch.samples))",
        remedy: "use smaller batches, more data, or batch.last: keep")
    }
    var phases: [PlannedPhase] = []
    var first = 0, leader = 0
    var stretch = 0..<0
    var goesOn = false
    for (index, expanded) in try settings.phases(rows: rows).enumerated() {
      guard case .train(let train) = expanded.phase else {
        phases.append(
          PlannedPhase(
            name: expanded.phase.name, firstStep: first, steps: 0, tasks: [], stop: StopSettings(),
            phase: expanded.phase, stretch: stretch,
            leader: leader, earliestEnd: first))
        continue
      }
      let key = "schedule.\(expanded.place).\(expanded.tasks.isEmpty ? "train" : "task")"
      let perEpoch = stepsPerEpoch(expanded.tasks)
      guard perEpoch > 0 else {
        throw SettingsError(
          .conflict, subject: "batch.samples",
          reason:
            "task \(expanded.tasks[0]) has too few samples for one batch of batch.samples (\(settings.batch.samples))",
          remedy: "use smaller batches, more data, or batch.last: keep")
      }
      if !(goesOn && !train.statesLength) {
        let steps = try Self.steps(of: train, at: key, stepsPerEpoch: perEpoch)
        let (end, overflow) = first.addingReportingOverflow(steps)
        guard !overflow else {
          throw SettingsError(.conflict, subject: "schedule", reason: "the schedule has more steps than can be counted")
        }
        (stretch, leader) = (first..<end, index)
      }
      let (earliest, latest) = try Self.ends(of: train, in: stretch, from: first, at: key)
      phases.append(
        PlannedPhase(
          name: Self.name(of: expanded), firstStep: first, steps: latest - first, tasks: expanded.tasks,
          stop: expanded.stop,
          phase: expanded.phase, stretch: stretch, leader: leader, earliestEnd: earliest))
      first = latest
      goesOn = !train.until.isEnd
    }
    self.phases = phases
    stepCount = first
    evaluateEvery = settings.evaluate.every
    saveEvery = settings.save.every
    savesAtBorders = settings.save.keepBorders && settings.save.every > 0
  }

  private static func name(of expanded: ExpandedPhase) -> String {
    switch expanded.tasks.count {
    case 0: expanded.phase.name
    case 1: "task \(expanded.tasks[0])"
    default: "tasks \(expanded.tasks.map(String.init).joined(separator: ", "))"
    }
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

  /// The least and the most steps of the run at the end of a phase.
  private static func ends(
    of train: TrainPhase, in stretch: Range<Int>, from first: Int, at key: String
  ) throws -> (Int, Int) {
    func place(_ fraction: Double) -> Int {
      stretch.lowerBound + min(Int((fraction * Double(stretch.count)).rounded()), stretch.count)
    }
    let ends: (earliest: Int, latest: Int)
    switch train.until {
    case .end: return (stretch.upperBound, stretch.upperBound)
    case .fraction(let until): ends = (place(until.at), place(until.at))
    case .step(let until): ends = (until.at, until.at)
    case .tokens: return (min(first + 1, stretch.upperBound), stretch.upperBound)
    case .marginalReturn(let until): ends = (place(until.minimum), place(until.maximum))
    }
    guard ends.latest >= first, ends.latest <= stretch.upperBound else {
      throw SettingsError(
        .conflict, subject: key + ".until",
        reason: "\(key) would end at step \(ends.latest), but its steps are \(first) to \(stretch.upperBound)",
        remedy: "choose an end between them")
    }
    return (max(ends.earliest, first), ends.latest)
  }

  /// The phase that holds the step which `completed` steps precede, where every phase takes its most steps.
  public func phase(at completed: Int) -> PlannedPhase? {
    guard completed >= 0, completed < stepCount else { return nil }
    return phases.first { $0.steps > 0 && completed < $0.latestEnd }
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

  /// The number of the last step of a phase, where every phase takes its most steps.
  package func lastStep(ofPhase phase: Int) -> Int { phases[phase].firstStep + phases[phase].steps }

  private static func isDue(every: Int, _ completed: Int, of count: Int) -> Bool {
    guard completed > 0 else { return false }
    return completed == count || (every > 0 && completed.isMultiple(of: every))
  }
}

extension Schedule {
  /// What comes at a point of a run, given what was decided on the way.
  enum Place: Equatable {
    /// A step of a phase, and how many of the phase come before it.
    case train(phase: Int, index: Int)
    case grow(phase: Int)
    case end

    var phase: Int? {
      switch self {
      case .train(let phase, _), .grow(let phase): phase
      case .end: nil
      }
    }
  }

  /// - Parameters:
  ///   - ends: of phases that ended before their most steps, by phase: the steps of the run.
  ///   - grown: phases whose growth is done.
  func place(at completed: Int, ends: [Int: Int], grown: Set<Int>) -> Place {
    var first = 0
    for (index, planned) in phases.enumerated() {
      switch planned.phase {
      case .grow:
        if !grown.contains(index) { return .grow(phase: index) }
      case .task: preconditionFailure("task phases are spelt out as training")
      case .train:
        let end = max(min(ends[index] ?? planned.latestEnd, planned.latestEnd), first)
        if completed < end { return .train(phase: index, index: completed - first) }
        first = end
      }
    }
    return .end
  }

  /// How the learning rate runs in a phase, given where the growths before it happened.
  func ratePlan(of phase: Int, grown: [ScheduleCursor.Grown]) -> RatePlan {
    let planned = phases[phase]
    guard case .train(let leader) = phases[planned.leader].phase else {
      preconditionFailure("phase \(planned.leader) states steps and is no training")
    }
    var plan = RatePlan(LearningRate(leader.rate, steps: planned.stretch.count), from: planned.stretch.lowerBound)
    for growth in grown where (planned.leader..<phase).contains(growth.phase) {
      guard case .grow(let settings) = phases[growth.phase].phase else { continue }
      if case .fresh = settings.rate {
        let next = phases[growth.phase...].lazy.compactMap { next -> TrainPhase? in
          if case .train(let train) = next.phase { train } else { nil }
        }.first
        plan = RatePlan(
          LearningRate((next ?? leader).rate, steps: planned.stretch.upperBound - growth.step), from: growth.step)
      } else {
        plan.marks.append(RatePlan.Mark(growth: growth.phase, step: growth.step, policy: settings.rate))
      }
    }
    return plan
  }

  /// What makes no sense among the phases of a recipe.
  static func problems(_ schedule: [Phase]) -> [SettingProblem] {
    func problem(_ index: Int, _ reason: String, remedy: String) -> [SettingProblem] {
      [SettingProblem("schedule", "phase \(index) of the schedule \(reason)", remedy: remedy)]
    }
    var isCut = false, isFresh = false
    for (index, phase) in schedule.enumerated() {
      switch phase {
      case .grow(let grow):
        if case .fresh = grow.rate { isFresh = true }
      case .task:
        if isCut {
          return problem(
            index, "learns tasks, but the train phase before it has left some of its steps",
            remedy: "leave out the 'until' of that phase, or let a train phase follow it")
        }
      case .train(let train):
        let goesOn = isCut && !train.statesLength
        if isCut, !goesOn {
          return problem(
            index, "states steps or epochs, but the train phase before it has left some of its own",
            remedy: "state them once, in the first of these phases, or leave out its 'until'")
        }
        if goesOn, !isFresh, train.rate != RateSettings() {
          return problem(
            index, "goes on with the rate of the phase before it, and states another",
            remedy: "leave it out, or write 'rate: fresh' in the growth before it")
        }
        (isCut, isFresh) = (!train.until.isEnd, false)
      }
    }
    if case .grow = schedule.last {
      return problem(
        schedule.count - 1, "is a growth that nothing follows", remedy: "add a train phase after it: - train: {}")
    }
    if isCut {
      return problem(
        schedule.count - 1, "has an 'until' and nothing goes on with its steps",
        remedy: "add a train phase after it: - train: {}")
    }
    return []
  }
}
