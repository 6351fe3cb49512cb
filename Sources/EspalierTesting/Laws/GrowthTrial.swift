import EspalierComm
import EspalierMethods
import EspalierNN
package import EspalierState
import EspalierTensor
package import EspalierTrain

/// Trains a few steps, grows by the first growth of the recipe, and trains on, on in-process ranks and without files: all that was there before,
/// right after the growth, and at the end.
package struct GrowthTrial: Sendable {
  package struct State: Sendable {
    /// Whole slots, by "parameter/slot".
    package let slots: [String: [Float]]
    /// Of the first samples of the training set.
    package let logits: [Float]
    package let digest: String
  }

  package let before: State
  package let grown: State
  package let after: State
  package let losses: [Double]
  package let plan: GrowthPlan
  package let births: [String: BirthRanges]
  /// The largest part of memory that slabs took on any rank, in bytes: before, at the peak of the growth, and after it.
  package let slabBytes: (before: Int, peak: Int, after: Int)

  /// - Parameters:
  ///   - disturb: added to the first weights, normal with this spread, so that gains, biases and silent weights are those of a trained model.
  ///   - prepare: called between growth and training on, on every rank.
  package init(
    _ run: ResolvedRun, ranks: Int, warmUp: Int, steps: Int, disturb: Float = 0,
    prepare: @escaping @Sendable (Store) throws -> Void = { _ in }
  ) throws {
    let shares = try Ranks.run(ranks) { communicator in
      var session = try RankSession(run, communicator)
      try session.store.initialize(seed: run.settings.seed)
      if disturb > 0 { try Self.disturb(session.store, disturb) }
      var trainer = Steps()
      for _ in 0..<warmUp { _ = try trainer.step(session) }
      let before = try Self.state(session)
      let bytesBefore = communicator.statistics.slabBytes
      let growth = try RunningGrowth(session, number: 1, history: 0, isSaving: false, isAtBorder: true)
      session = try growth.run().session
      let births = growth.births(after: [:], updates: trainer.updates)
      try communicator.reclaimSlabs(label: "after growth")
      let statistics = communicator.statistics
      let grown = try Self.state(session)
      try prepare(session.store)
      trainer.births = UpdateBirths(ranges: births)
      let losses = try (0..<steps).map { _ in try trainer.step(session) }
      return Share(
        before: before, grown: grown, after: try Self.state(session), losses: losses, births: births,
        bytes: (bytesBefore, statistics.highWaterSlabBytes, statistics.slabBytes))
    }
    guard let plan = run.stages[1].growth?.plan else { fatalError("the recipe grows") }
    self.plan = plan
    (before, grown, after) = (shares[0].before, shares[0].grown, shares[0].after)
    (losses, births) = (shares[0].losses, shares[0].births)
    slabBytes = (
      shares.map(\.bytes.0).max() ?? 0, shares.map(\.bytes.1).max() ?? 0, shares.map(\.bytes.2).max() ?? 0
    )
  }

  private struct Share: Sendable {
    let before, grown, after: State
    let losses: [Double]
    let births: [String: BirthRanges]
    let bytes: (Int, Int, Int)
  }

  /// The loop of a run, without all that is not arithmetic.
  private struct Steps {
    var number = 0, updates = 0
    var births = UpdateBirths.none

    mutating func step(_ session: RankSession) throws -> Double {
      let run = session.run
      let count = UInt64(run.settings.batch.samples), lanes = UInt64(run.lanes)
      let first = UInt64(number) * count % (UInt64(run.data.training.sampleCount) / count * count)
      let batches = try session.turns.map { turn in
        try turn.lane.map { lane in
          let lane = UInt64(lane)
          return try run.data.training.batch(
            of: (first + lane * count / lanes..<first + (lane + 1) * count / lanes).map { $0 })
        } ?? run.emptyBatch()
      }
      let report = try TrainingStep(session, clip: run.settings.clip, seed: run.settings.seed).run(
        TrainingStep.Input(
          step: number, updates: updates, rate: session.optimizer.rate, batches: batches, births: births))
      number += 1
      updates += 1
      return report.loss
    }
  }

  private static func state(_ session: RankSession) throws -> State {
    let store = session.store
    try store.settle()
    let whole = GatheredSlots(store)
    var slots: [String: [Float]] = [:]
    for (index, spec) in store.blueprint.parameters.enumerated() {
      for slot in store.slots where store.has(slot, index) {
        let found = try whole.whole([spec.name], slot: slot.name)
        slots["\(spec.name)/\(slot.name)"] = Array(UnsafeBufferPointer(start: found[spec.name], count: spec.count))
      }
    }
    return State(slots: slots, logits: try logits(session), digest: "\(try store.digests().total)")
  }

  /// Of the first samples of the training set. Collective.
  package static func logits(_ session: RankSession) throws -> [Float] {
    let batch = try session.run.data.training.batch(of: [0, 1, 2])
    let tape = Tape(pool: session.pool, mode: .inference, samples: batch.samples)
    let logits = session.model.logits(batch, on: tape)
    let values = Array(UnsafeBufferPointer(start: logits.pointer, count: logits.count))
    withExtendedLifetime(logits) {}
    try session.store.endPass(recording: false)
    return values
  }

  private static func disturb(_ store: Store, _ spread: Float) throws {
    let key = RandomKey(seed: 77).child("disturbance")
    for piece in store.ownPieces {
      let spec = store.blueprint.parameters[piece.parameter]
      let values = store.pointer(SlotSpec.value.name, piece)
      for (offset, element) in piece.range.enumerated() {
        values[offset] += spread * Float(key.child(spec.name).uniform(at: UInt64(element)) - 0.5) * 2
      }
    }
    try store.share()
  }
}
