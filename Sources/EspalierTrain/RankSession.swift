package import EspalierComm
import EspalierMethods
package import EspalierNN
package import EspalierState
package import EspalierTensor

/// What one rank trains with: its model, store, optimizer and pool, all confined to the rank's thread.
package final class RankSession {
  package let run: ResolvedRun
  /// The model that it trains: the run's first, or what growths have made of it.
  package let modelStage: ModelStage
  package let communicator: Communicator
  package let pool: Pool
  package let model: any Model
  package let store: Store
  package let optimizer: any Optimizer
  /// By parameter.
  package let groups: [ParameterGroup]
  package let logitClipping: LogitClipping
  /// Records of the stream; nil without replay.
  package let records: ReplayMemory?
  /// The lanes of this rank, in order.
  package let turns: [LaneTurn]
  /// Samples that this rank has put through a training pass.
  package private(set) var sampleCount = 0

  /// Where this rank notes what it is busy with.
  let recorder: FlightRecorder?
  /// Passes belong to an evaluation.
  var isEvaluating = false
  /// The task that passes are of, in the order of learning; nil where none is known.
  var task: Int?
  /// Growths of the schedule that are done.
  let growths: Int
  /// The step under way, from 1.
  var step = 0
  private let hang = TestHang()

  /// - Parameters:
  ///   - growths: how many of the schedule's growths are done.
  ///   - added: by layer and task, inputs that methods have added.
  ///   - records: those of the session before a growth; nil makes empty ones where the run has any.
  package init(
    _ run: ResolvedRun, _ communicator: Communicator, growths: Int = 0, added: [String: [Int]] = [:],
    records: ReplayMemory? = nil,
    recorder: FlightRecorder? = nil
  ) throws {
    self.run = run
    modelStage = try run.stage(after: growths).widened(by: added, run.settings)
    self.growths = growths
    self.recorder = recorder
    self.communicator = communicator
    guard communicator.size <= run.lanes else {
      throw RunError(
        .moreRanksThanLanes, subject: "batch.lanes",
        reason: "\(communicator.size) ranks cannot share \(run.lanes) lanes: a lane is computed by one rank",
        remedy: "start at most \(run.lanes) ranks, or write more lanes in a new recipe")
    }
    pool = Pool(poisons: run.settings.checks.memory)
    let built = modelStage.build(run.settings)
    model = built.model
    logitClipping = LogitClipping(built.clips)
    optimizer = run.optimizer
    store = Store(
      built, table: SlotTable(built.blueprint, optimizer, methods: run.methodSlots),
      ownerCosts: run.ownerCosts(built.blueprint), optimizer: optimizer,
      options: Store.Options(stage: run.stage, lanes: run.lanes, poisons: run.settings.checks.memory),
      communicator: communicator)
    store.recompute(run.settings.recompute)
    self.records = records ?? run.makeRecords(communicator)
    store.extras = self.records?.tensors ?? []
    groups = store.blueprint.parameters.map { run.settings.group(of: $0) }
    turns = LaneTurn.turns(
      of: communicator.rank,
      in: LaneDealing(lanes: run.lanes, ranks: communicator.size, order: run.stage.laneOrder),
      order: run.stage.laneOrder)
    if let recorder { note(passesIn: recorder) }
  }

  /// Of the model that a checkpoint's state is of.
  package convenience init(_ run: ResolvedRun, _ communicator: Communicator, at state: TrainingState) throws {
    try self.init(run, communicator, growths: state.cursor.grown.count, added: state.continual?.added ?? [:])
  }

  /// Tells the recorder of every segment that a pass enters.
  private func note(passesIn recorder: FlightRecorder) {
    let names = store.blueprint.segments.map(\.name)
    store.phaseObserver = { [unowned self] segment, direction in
      let phase: RankPhase = isEvaluating ? .evaluating : direction == .forward ? .forward : .backward
      recorder.enter(phase, names[segment])
      if direction == .backward { strike(.segment(names[segment])) }
    }
  }

  /// Where a test may have this rank hang.
  func strike(_ place: TestHang.Place) { hang?.strike(rank: communicator.rank, step: step, place) }

  /// Says what this rank is busy with from now on.
  func enter(_ phase: RankPhase) { recorder?.enter(phase, step: step) }

  func count(samples: Int) { sampleCount += samples }
}

extension ZeroStage {
  /// How lanes are dealt: blocks where whole gradients are summed on the rank, one after the other where they are shards.
  package var laneOrder: LaneDealing.Order { shardsGradients ? .roundRobin : .contiguous }
}

extension RunSettings {
  /// The factors for one parameter: of the first group that matches, else no decay for what is tagged so.
  package func group(of spec: ParameterSpec) -> ParameterGroup {
    if let group = groups.first(where: { $0.matches(name: spec.name, tags: spec.tags.map(\.name)) }) {
      return ParameterGroup(rate: group.rate, decay: group.decay)
    }
    return ParameterGroup(decay: spec.tags.contains(.noDecay) ? 0 : 1)
  }
}
