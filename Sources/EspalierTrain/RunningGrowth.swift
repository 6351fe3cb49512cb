package import EspalierComm
import EspalierNN
package import EspalierState
import EspalierTensor

/// What a growth came to; the same on every rank but for the seconds.
package struct FinishedGrowth: Sendable {
  /// Of the operator.
  package let name: String
  package let change: ModelChange
  package let fidelity: Fidelity
  package let parametersBefore: Int
  package let parametersAfter: Int
  /// Nats per target, on one batch.
  package let lossBefore: Double
  package let lossAfter: Double
  package let seconds: Double
  /// Of these, what making the new state took.
  package let relayoutSeconds: Double
}

/// Grows the running state of a session: a session of the larger model is made, filled weight by weight, and measured.
///
/// The old session is left as it was; who asked lets go of it. At the peak a rank holds its shards of both models and one slot of
/// one old weight.
package struct RunningGrowth {
  private let old: RankSession
  private let stage: ModelStage
  private let growth: ModelStage.Growth
  /// The growth's number in the schedule, from 1.
  private let number: Int
  private let history: Int

  /// How far the loss of an exact growth may move: rounding in 32 bits.
  package static let tolerance = 1e-5

  /// - Parameters:
  ///   - number: of the growth in the schedule, from 1.
  ///   - history: growths that the state has been through, on disk as well.
  ///   - isSaving: whether a checkpoint is being written.
  ///   - isAtBorder: whether a step is complete and none begun.
  /// - Throws: `GrowthError` where this is no moment to grow.
  package init(_ old: RankSession, number: Int, history: Int, isSaving: Bool, isAtBorder: Bool) throws {
    let stage = old.run.stage(after: number)
    guard number >= 1, old.run.stages.indices.contains(number), let growth = stage.growth,
      old.modelStage.blueprint == growth.plan.old
    else {
      throw GrowthError(
        .shapeDisagrees, "growth \(number)", "the schedule does not grow from the model that is running",
        remedy: "resume from a checkpoint of this schedule")
    }
    guard !isSaving else {
      throw GrowthError(
        .notAtBorder, "growth \(number)",
        "a checkpoint is being written, and it must be safe before the model changes", remedy: "wait for the save")
    }
    guard isAtBorder else {
      throw GrowthError(
        .notAtBorder, "growth \(number)", "a step is under way, and its gradients have the shape of the old model",
        remedy: "grow between two steps")
    }
    self.old = old
    self.stage = stage
    self.growth = growth
    self.number = number
    self.history = history
  }

  /// What becomes of the state.
  private var stateGrowth: StateGrowth {
    StateGrowth(growth.plan, mode: growth.settings.state, seed: old.run.settings.seed, number: history + 1)
  }

  /// The births after it.
  /// - Parameter updates: updates done.
  package func births(after old: [String: BirthRanges], updates: Int) -> [String: BirthRanges] {
    stateGrowth.births(after: old, updates: updates, phase: growth.phase)
  }

  /// Collective.
  /// - Returns: the session of the larger model.
  /// - Throws: `GrowthError` of kind `.jumped` where an operator that promised to keep the function did not.
  package func run(recorder: FlightRecorder? = nil) throws -> (session: RankSession, finished: FinishedGrowth) {
    let started = ReportClock.uptime(), name = growth.settings.operator.name
    try old.store.settle()
    let before = try heldLoss(old)
    // Its buffers have the sizes of the old model.
    old.pool.drain()
    old.recorder?.enter(.growing, name)
    let began = ReportClock.uptime()
    let new = try RankSession(old.run, old.communicator, growths: number, records: old.records, recorder: recorder)
    new.step = old.step
    try stateGrowth.fill(new.store, from: GatheredSlots(old.store))
    try new.store.share()
    let relayoutSeconds = ReportClock.uptime() - began
    let after = try heldLoss(new)
    if growth.plan.fidelity == .exact, !(abs(after - before) <= Self.tolerance * max(1, abs(before))) {
      throw GrowthError(
        .jumped, name,
        "it promised to keep the function, and the loss on a held batch went from \(before) to \(after)",
        remedy: "go on from the checkpoint before it with another operator, and report this")
    }
    let finished = FinishedGrowth(
      name: name, change: growth.settings.to, fidelity: growth.plan.fidelity,
      parametersBefore: old.modelStage.blueprint.count, parametersAfter: stage.blueprint.count, lossBefore: before,
      lossAfter: after, seconds: ReportClock.uptime() - started, relayoutSeconds: relayoutSeconds)
    return (new, finished)
  }

  /// On the first batch of the validation set, or of the training set where there is none.
  private func heldLoss(_ session: RankSession) throws -> Double {
    let data = session.run.data
    session.isEvaluating = true
    defer { session.isEvaluating = false }
    session.enter(.evaluating)
    return try Evaluation(
      session, data.validation ?? data.training, batch: session.run.settings.evaluate.batch, limit: 1
    ).run().loss
  }
}
