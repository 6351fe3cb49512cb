package import EspalierComm
import EspalierMethods
import EspalierNN
import EspalierState
import EspalierTensor

/// The loop of a run on one rank, readable from top to bottom.
///
/// The schedule says what comes next; a step is in `TrainingStep`, the memory of all state in `Store`, an update rule in an
/// `Optimizer` of the catalogue, saving in `CheckpointSaver`. Every decision is made from numbers that all ranks share.
package final class Trainer {
  /// Another one after every growth.
  package private(set) var session: RankSession
  private let run: ResolvedRun
  private let communicator: Communicator
  private let options: TrainerOptions
  private let report: RunReport
  private let saver: CheckpointSaver
  private var step: TrainingStep
  private let origin: RunOrigin
  private let lock: RunLock?
  private let world: CheckpointWorld
  private var state: TrainingState
  private var prefetcher: Prefetcher?
  /// Of a run over tasks.
  private let tasks: TaskTrainer?
  /// The lanes of the step after this one, and what the ranks said of their weight.
  private var upcoming: (batches: [Batch], weight: Int?)?
  private var lastEvaluation: EvaluationResult?
  /// Also one before a resume.
  private var newestEvaluation: CheckpointMarks.Evaluation?
  private var lastLoss = Double.nan
  private var newestCheckpoint: String
  /// The step of the newest checkpoint; 0 before the first.
  private var committedStep: Int
  private var saveFailure = ""
  private var trace: TraceSession?
  private let began = ReportClock.uptime()

  /// Claims the run directory, decides how the run begins, and fills the store. Collective: every rank throws if one does.
  package init(_ run: ResolvedRun, _ communicator: Communicator, _ options: TrainerOptions) throws {
    self.run = run
    self.communicator = communicator
    self.options = options
    Kernels.threads = run.settings.threads
    try KernelLevel.requireUniform(communicator)

    let rank = communicator.rank, watchdog = options.watchdog
    try watchdog?.begin(communicator)
    var lock: RunLock?
    let origin = RunOrigin(ranks: communicator.size, stage: run.settings.stage, transport: options.transport)
    self.origin = origin
    let start = try communicator.decide("how the run begins") {
      let claimed = try CheckpointDirectory(run: options.runDirectory).lock(breakLock: options.breaksLock)
      lock = claimed
      if watchdog != nil { Watchdog.prepare(run: options.runDirectory) }
      return try RunStart.decide(run, options, origin, claimed.holder)
    }
    self.lock = lock
    try start.checkSharing(communicator, options.runDirectory)
    let session = try RankSession(
      run, communicator, growths: start.state.cursor.grown.count, added: start.state.continual?.added ?? [:],
      recorder: watchdog?.recorder(of: rank))
    self.session = session
    watchdog?.record(in: options.runDirectory, rank: rank)
    session.step = start.state.step
    session.enter(.starting)
    try start.fill(session)
    state = start.state
    newestEvaluation = start.state.marks?.evaluation
    newestCheckpoint = start.isResume ? start.checkpoint : ""
    committedStep = start.isResume ? start.state.step : 0

    world = CheckpointWorld(
      ranks: communicator.size, hosts: Set(communicator.members.map(\.host)).count, stage: run.settings.stage,
      transport: options.transport)
    saver = CheckpointSaver(
      communicator, run: options.runDirectory, retention: run.settings.save.retention,
      compression: run.settings.save.compression.forShards, writesParity: run.settings.save.parity,
      resumedFrom: newestCheckpoint, fileSystem: TestKill()?.fileSystem(communicator) ?? options.fileSystem)
    let tasks = try TaskTrainer(session, start.state, directory: options.runDirectory)
    self.tasks = tasks
    step = TrainingStep(session, clip: run.settings.clip, seed: run.settings.seed, engine: tasks?.engine)
    report = try RunReport(run, communicator, options, start)
    if options.traceSteps > 0 {
      trace = try TraceSession(session, stepCount: options.traceSteps, directory: options.runDirectory)
      step.trace = trace?.recorder
    }
  }

  /// Trains until the schedule ends or a stop is asked for.
  package func train() throws -> TrainingOutcome {
    defer { prefetcher?.stop() }
    while true {
      switch state.cursor.advance(run.schedule) {
      case .step(let planned):
        if let request = try tasks?.widening(before: planned) {
          try recorder.span("widening", .phase) { try widen(request, planned) }
        }
        let stops = try recorder.span("step \(planned.number)", .phase) { try takeStep(planned) }
        if trace?.countStep() == true { try endTrace() }
        if stops { return try stop() }
      case .border(let border):
        pass(border)
      case .beginTasks(let phase):
        try tasks?.begin(phase, state, report)
      case .endTasks(let phase):
        try recorder.span("task", .phase) { try tasks?.end(phase, state, report) }
      case .grow(let growth):
        try recorder.span("growth", .phase) { try grow(growth) }
      case .evaluate:
        try recorder.span("evaluation", .phase) { try evaluate() }
      case .save:
        try recorder.span("save", .phase) { try save(isLast: state.step >= run.schedule.stepCount) }
      case .finish:
        return try finish(.finished)
      }
    }
  }

  private var recorder: TraceRecorder? { trace?.recorder }

  /// Writes the trace, if one is taken. Collective.
  private func endTrace() throws {
    guard let trace else { return }
    step.trace = nil
    self.trace = nil
    report.traced(try trace.finish())
  }

  /// One step.
  /// - Returns: whether any rank wants to stop.
  private func takeStep(_ planned: ScheduleCursor.PlannedStep) throws -> Bool {
    let started = ReportClock.uptime()
    session.step = planned.number
    session.enter(.readingData)
    let rate = run.optimizer.rate * planned.rateFactor * (tasks?.rateFactor ?? 1)
    let current = try recorder.span("batches", .phase) { try upcoming ?? (batches(), nil) }
    let source = run.source(inPhase: planned.phase)
    let plan = BatchPlan(at: state.position, order: source.order, batch: run.settings.batch)
    let following = try recorder.span("batches", .phase) { try batches() }
    try tasks?.engine.beginStep(planned.number - 1, inTask: planned.indexInPhase, samples: plan.sampleCount)
    let input = TrainingStep.Input(
      step: planned.number - 1, updates: state.updates, rate: rate, batches: current.batches, weight: current.weight,
      note: RankNote(
        stop: stopWish(after: planned.number), save: saver.note,
        upcomingWeight: following.reduce(0) { $0 + $1.weight }),
      births: UpdateBirths(
        ranges: state.births, rates: planned.bornRateFactors.mapValues { run.optimizer.rate * $0 }))
    session.strike(.step)
    let result = try step.run(input)
    upcoming = (following, result.notes.reduce(0) { $0 + $1.upcomingWeight })
    state.position = plan.next
    if result.isFinite {
      state.updates += 1
      state.targets += result.weight
      state.skippedInRow = 0
      lastLoss = result.loss
    } else {
      try skip(planned.number, input)
    }
    let seconds = ReportClock.uptime() - started
    state.totals.add(
      samples: plan.sampleCount,
      operationsPerSample: session.modelStage.operationsPerSample(recompute: run.settings.recompute), seconds: seconds)
    state.cursor.note(
      ScheduleCursor.StepOutcome(
        loss: result.isFinite ? result.loss : .nan, operations: state.totals.operations, targets: state.targets),
      run.schedule)
    if try tasks?.stepped(planned, state) == true { state.cursor.endPhase() }
    report.step(
      planned.number, result, rate: rate, seconds: seconds, progress(in: planned.phase),
      endsPhase: state.cursor.isPhaseDone(run.schedule))
    let digestEvery = run.settings.log.digestEvery
    if digestEvery > 0, planned.number.isMultiple(of: digestEvery) {
      report.digested(planned.number, try recorder.span("digests", .phase) { try StepDigests(of: session.store) })
    }
    if let outcome = try saver.advance(result.notes) { try saved(outcome) }
    return result.notes.contains { $0.stop != .no }
  }

  private func progress(in phase: Int) -> RunProgress {
    RunProgress(
      phase: phase, growths: state.cursor.grown.count, operations: state.totals.operations,
      samples: state.totals.samples, targets: state.targets,
      seconds: state.totals.seconds)
  }

  /// Grows the model in the middle of its run. The cursor counts the growth already; the checkpoint before it does not, so that a
  /// crash in here repeats it.
  private func grow(_ planned: ScheduleCursor.PlannedGrowth) throws {
    // A trace is of one model.
    try endTrace()
    if let last = try saver.finish() { try saved(last) }
    let growth = try RunningGrowth(
      session, number: state.cursor.grown.count, history: state.growths, isSaving: saver.isSaving, isAtBorder: true)
    let (grown, finished) = try growth.run(recorder: options.watchdog?.recorder(of: communicator.rank))
    session = grown
    try tasks?.engine.move(to: grown)
    step = TrainingStep(grown, clip: run.settings.clip, seed: run.settings.seed, engine: tasks?.engine)
    saver.forgetFrozen()
    state.note(finished, growth, grown.modelStage, origin, run.settings)
    report.grew(finished, step: state.step, progress(in: planned.phase))
  }

  /// Layers read more from this step on. The checkpoint before it does not, so that a crash in here repeats it.
  private func widen(_ request: LayerWidening, _ planned: ScheduleCursor.PlannedStep) throws {
    guard let tasks else { return }
    let started = ReportClock.uptime(), done = planned.number - 1, before = session.modelStage.blueprint.count
    if !request.added.isEmpty {
      try endTrace()
      if let last = try saver.finish() { try saved(last) }
      session = try ModelWidening(session).run(
        tasks.engine.added, request, task: session.task ?? 0,
        recorder: options.watchdog?.recorder(of: communicator.rank))
      try tasks.engine.move(to: session)
      step = TrainingStep(session, clip: run.settings.clip, seed: run.settings.seed, engine: tasks.engine)
      saver.forgetFrozen()
      state.note(widening: request, from: before, to: session.modelStage, origin, run.settings)
      session.step = done
      session.strike(.work(.widening))
    }
    let mean = request.measured.values.reduce(0, +) / Double(max(request.measured.count, 1))
    report.measured(
      done,
      request.added.isEmpty
        ? "no layer reads more"
        : "layers read more: \(request.text); \(before) → \(session.modelStage.blueprint.count) parameters",
      JournalEntry(
        .tasks, step: done,
        fields: [
          "added": .mapping(request.added.mapValues { .integer($0) }),
          "measured": .mapping(request.measured.mapValues { .number($0) }), "meanMeasured": .number(mean),
          "seconds": .number(ReportClock.uptime() - started),
        ]))
  }

  /// Another phase begins: of tasks, with samples of its own.
  private func pass(_ border: ScheduleCursor.Border) {
    if !run.schedule.phases[border.from].tasks.isEmpty || !run.schedule.phases[border.to].tasks.isEmpty {
      prefetcher?.stop()
      (prefetcher, upcoming) = (nil, nil)
      state.position = 0
    }
    report.passed(border, step: state.step)
  }

  /// The lanes of this rank for one step more, read ahead by a thread; empty ones after the last step.
  private func batches() throws -> [Batch] {
    if prefetcher == nil {
      let phase = state.cursor.phase(in: run.schedule), source = run.source(inPhase: phase)
      let last =
        run.schedule.phases[phase].tasks.isEmpty ? run.schedule.stepCount : run.schedule.lastStep(ofPhase: phase)
      prefetcher = Prefetcher(
        source.dataset,
        requests: LaneRequests(
          order: source.order, batch: run.settings.batch, lanes: session.turns.compactMap(\.lane),
          steps: state.step...max(last, state.step), position: state.position),
        depth: 2 * session.turns.count)
    }
    return try session.turns.map { turn in
      guard turn.lane != nil, let next = try prefetcher?.next() else { return try run.emptyBatch() }
      return next.batch
    }
  }

  /// A step whose numbers were not finite changed nothing; says where they came from, and ends a run that does not recover.
  private func skip(_ number: Int, _ input: TrainingStep.Input) throws {
    state.skippedInRow += 1
    let found = try step.explain(input)
    report.skipped(number, found)
    guard state.skippedInRow >= run.settings.nonFinite.limit else { return }
    let place =
      found.first.map { "lane \($0.lane), segment '\($0.segment)', parameter '\($0.parameter)'" } ?? "unknown place"
    throw RunError(
      .notFinite, subject: "step \(number)",
      reason: "\(state.skippedInRow) steps in a row had a loss or gradient that is not finite (first in \(place))",
      remedy: "lower the optimizer's rate or look at the samples that \(options.runDirectory)/metrics.jsonl names")
  }

  private func evaluate() throws {
    guard let validation = run.data.validation else { return }
    let settings = run.settings.evaluate
    let started = ReportClock.uptime()
    session.isEvaluating = true
    defer { session.isEvaluating = false }
    session.enter(.evaluating)
    let result = try Evaluation(session, validation, batch: settings.batch, limit: settings.batches).run(
      tasks?.engine.measured)
    lastEvaluation = result
    if result.loss.isFinite { newestEvaluation = .init(step: state.step, loss: result.loss) }
    report.evaluated(
      state.step, result, seconds: ReportClock.uptime() - started, progress(in: state.cursor.phase(in: run.schedule)))
  }

  private func save(isLast: Bool) throws {
    session.enter(.saving)
    state.continual = try tasks?.state
    state.marks = CheckpointMarks(
      border: state.cursor.border(in: run.schedule), evaluation: newestEvaluation)
    for outcome in try saver.begin(session.store, state, world: world, waits: isLast) { try saved(outcome) }
  }

  private func saved(_ outcome: CheckpointSaver.Outcome) throws {
    report.saved(outcome)
    saveFailure = outcome.failure
    if outcome.failure.isEmpty {
      newestCheckpoint = outcome.path
      committedStep = outcome.step
    } else if run.settings.save.onFailure == .stop {
      throw RunError(
        .saveFailed, subject: "checkpoint of step \(outcome.step)", reason: outcome.failure,
        remedy: "mend that and go on with --resume, or set 'save: { onFailure: warn }'")
    }
  }

  private func stopWish(after step: Int) -> RankNote.Stop {
    if StopSignals.isStopRequested || step == options.stopsAfter { return .signal }
    let limit = run.settings.timeLimit
    return limit > 0 && ReportClock.uptime() - began > limit ? .timeLimit : .no
  }

  /// Saves out of turn and ends so that the run can be resumed.
  private func stop() throws -> TrainingOutcome {
    state.cursor.noteSaved()
    try save(isLast: true)
    return try finish(.stopped)
  }

  private func finish(_ end: TrainingOutcome.End) throws -> TrainingOutcome {
    session.enter(.saving)
    if let last = try recorder.span("save", .phase, { try saver.finish() }) { try saved(last) }
    // Steps that no checkpoint holds are no success, whatever is to become of failures on the way.
    guard committedStep == state.step else {
      throw RunError(
        .saveFailed, subject: "last checkpoint, of step \(state.step)", reason: saveFailure,
        remedy: "mend that and go on with --resume"
          + (newestCheckpoint.isEmpty ? "" : "; the newest checkpoint is \(newestCheckpoint)"))
    }
    try endTrace()
    let outcome = TrainingOutcome(
      end: end, step: state.step, checkpoint: newestCheckpoint, lastLoss: lastLoss, evaluation: lastEvaluation)
    report.finished(outcome)
    session.enter(.ending)
    try lock?.release()
    try communicator.barrier(label: "end of the run").wait()
    options.watchdog?.finish(communicator.rank)
    return outcome
  }
}
