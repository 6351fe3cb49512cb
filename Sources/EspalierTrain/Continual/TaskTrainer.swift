import EspalierComm
import EspalierMethods
import EspalierNN
import EspalierState
import Foundation

/// The tasks of a run as the trainer meets them: their beginning, their end, and what is measured around them.
final class TaskTrainer {
  let engine: ContinualEngine
  private let run: ResolvedRun
  private let sequence: TaskSequence
  private let directory: String
  private(set) var results: TaskResults
  private var began = ReportClock.uptime()
  /// Seconds of the task that ended last, measures afterwards not among them.
  private var lasted = 0.0
  private var plateau: Plateau?

  /// nil where the run has no tasks. A resumed run goes on in the task that it was in.
  init?(_ session: RankSession, _ state: TrainingState, directory: String) throws {
    guard let sequence = session.run.sequence, let engine = try ContinualEngine(session, state.continual) else {
      return nil
    }
    self.engine = engine
    self.sequence = sequence
    self.directory = directory
    run = session.run
    results =
      try state.continual?.results
      ?? TaskResults(
        setting: sequence.setting.rawValue,
        tasks: sequence.tasks.map { TaskResults.Task(name: $0.name, classes: $0.classes.map(Int.init)) },
        methods: run.methods.map(\.name), seed: run.settings.seed, settings: SettingValue(encoding: run.settings))
    plateau = state.continual?.plateau
    if let phase = state.cursor.taskPhase { engine.enter(phase: phase) }
  }

  /// What a checkpoint holds.
  var state: ContinualState {
    get throws {
      var state = try engine.state(results)
      state.plateau = plateau
      return state
    }
  }

  /// Collective.
  func begin(_ phase: Int, _ state: TrainingState, _ report: RunReport) throws {
    began = ReportClock.uptime()
    if results.views.isEmpty { try measure(learned: 0, state, report) }
    engine.enter(phase: phase)
    plateau = run.schedule.phases[phase].stop.patience > 0 ? Plateau() : nil
    try engine.begin(step: state.step)
  }

  /// Collective.
  func end(_ phase: Int, _ state: TrainingState, _ report: RunReport) throws {
    let tasks = run.schedule.phases[phase].tasks
    if plateau?.best != nil { try takeBack() }
    plateau = nil
    try engine.end(step: state.step)
    lasted = ReportClock.uptime() - began
    let learned = run.schedule.phases[...phase].reduce(0) { $0 + $1.tasks.count }
    for task in tasks {
      results.finish(
        task: task, steps: run.schedule.phases[phase].steps, seconds: lasted)
    }
    try measure(learned: learned, state, report)
  }

  /// What the learning rate is multiplied by.
  var rateFactor: Double { plateau?.rateFactor ?? 1 }

  /// A step is done; at the end of a pass it decides whether the task is over. Collective.
  func stepped(_ planned: ScheduleCursor.PlannedStep, _ state: TrainingState) throws -> Bool {
    guard plateau != nil, engine.endsEpoch(planned.indexInPhase) else { return false }
    let phase = run.schedule.phases[planned.phase], session = engine.session
    session.isEvaluating = true
    defer { session.isEvaluating = false }
    session.enter(.evaluating)
    let evaluation = TaskEvaluation(
      session: session, measured: nil, sequence: sequence,
      headRows: run.stage(after: state.cursor.grown.count).headRows ?? sequence.classCount)
    let view: TaskView = sequence.setting == .task ? .task : .class
    let measures = try phase.tasks.compactMap { task in
      try sequence.tasks[task].heldOut.map { try evaluation.measure($0, of: task) }
    }
    let loss = measures.reduce(0) { $0 + ($1.losses[view] ?? 0) } / Double(max(measures.count, 1))
    for (task, measure) in zip(phase.tasks, measures) {
      if let accuracy = measure.among[view] {
        results.record(view, .init(step: state.step, learning: task, task: task, accuracy: accuracy))
      }
    }
    if plateau?.note(loss, phase.stop) == true {
      session.store.forEachUpdated { shard in
        _ = shard.slot(ResolvedRun.bestSlot).update(fromContentsOf: shard.value)
      }
    }
    return plateau?.isOver ?? false
  }

  /// The best weights of the task are the weights again. Collective.
  private func takeBack() throws {
    try engine.session.store.settle()  // what is gathered is lent to the communicator
    engine.session.store.forEachUpdated { shard in
      _ = shard.value.update(fromContentsOf: shard.slot(ResolvedRun.bestSlot))
    }
    try engine.session.store.shareUpdated()
  }

  /// What methods want layers to read more before a step; then the task goes on from its best weights, and its rate begins anew.
  /// Collective.
  func widening(before planned: ScheduleCursor.PlannedStep) throws -> LayerWidening? {
    guard let request = try engine.widening(beforeStep: planned.number - 1, inTask: planned.indexInPhase) else {
      return nil
    }
    if let plateau {
      if plateau.best != nil { try takeBack() }
      self.plateau = Plateau()
    }
    return request
  }

  /// One row of the accuracy matrix. Collective.
  private func measure(learned: Int, _ state: TrainingState, _ report: RunReport) throws {
    let session = engine.session
    session.isEvaluating = true
    defer { session.isEvaluating = false }
    session.enter(.evaluating)
    let headRows = run.stage(after: state.cursor.grown.count).headRows ?? sequence.classCount
    let evaluation = TaskEvaluation(
      session: session, measured: learned == 0 ? nil : try engine.measured, sequence: sequence, headRows: headRows)
    for task in sequence.tasks.indices {
      guard let measure = try evaluation.measure(task) else { continue }
      for (view, accuracy) in measure.among {
        results.record(view, learned: learned, task: task, accuracy, loss: measure.losses[view])
      }
    }
    guard session.communicator.rank == 0 else { return }
    try TaskFile.write(results, run: directory)
    let sentence = self.sentence(learned: learned)
    report.measured(
      state.step, sentence.text,
      JournalEntry(
        .tasks, step: state.step,
        fields: ["learned": .integer(learned), "accuracy": .list(sentence.values)].merging(learned > 0 ? seconds : [:])
        { $1 }
      ))
    if learned == sequence.tasks.count { _ = try TaskPage.write(run: directory) }
  }

  /// "taskSeconds", and of them "momentsSeconds", "decompositionsSeconds", "gradientsSeconds".
  private var seconds: [String: SettingValue] {
    let parts = engine.secondsBetweenSteps.map { ("\($0.key.rawValue)Seconds", SettingValue.number($0.value)) }
    return Dictionary(uniqueKeysWithValues: parts + [("taskSeconds", .number(lasted))])
  }

  /// "learned 2 of 5 tasks; accuracy 0.912 0.874 | mean 0.893"
  private func sentence(learned: Int) -> (text: String, values: [SettingValue]) {
    let view: TaskView = sequence.setting == .task ? .task : .class
    let row = sequence.tasks.indices.map { results.views[view]?.accuracy[learned: learned, task: $0]?.fraction }
    let figures = row.map { $0.map { String(format: "%.3f", $0) } ?? "–" }.joined(separator: " ")
    let mean = learned > 0 ? results.views[view]?.accuracy.mean(learned: learned, ofFirst: learned) : nil
    return (
      "learned \(learned) of \(sequence.tasks.count) tasks; accuracy by task \(figures)"
        + (mean.map { String(format: "; mean of those learned %.3f", $0) } ?? ""),
      row.map { $0.map { JournalEntry.number($0) } ?? .null }
    )
  }
}

extension ModelStage {
  /// Rows of the head; nil for a model without one.
  var headRows: Int? { blueprint.parameters.last { $0.tags.contains(.head) }?.axes.first?.count }
}
