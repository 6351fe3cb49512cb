import EspalierComm
import EspalierNN
import EspalierState
import EspalierTensor

/// The session's model with other weights: those of a slot. Held as the weights themselves are, in shards at stage 3.
final class ModelCopy {
  let model: any Model
  let store: Store
  private let session: RankSession
  private let slot: String

  /// - Parameter slot: of the session's store.
  init(_ session: RankSession, slot: String) throws {
    self.session = session
    self.slot = slot
    let built = session.modelStage.build(session.run.settings)
    model = built.model
    store = Store(
      built, table: SlotTable(built.blueprint, all: []) { _ in [] },
      ownerCosts: session.run.ownerCosts(built.blueprint), optimizer: nil,
      options: Store.Options(
        stage: session.run.stage, lanes: session.run.lanes, poisons: session.run.settings.checks.memory),
      communicator: session.communicator)
    try refresh()
  }

  /// Takes the weights from the slot. Collective.
  func refresh() throws {
    store.takeValues(from: session.store, slot: slot)
    try store.share()
  }

  /// The logits of a batch, as in evaluation. Collective at stage 3.
  func logits(_ batch: Batch) throws -> [Float] {
    let tape = Tape(pool: session.pool, mode: .inference, samples: batch.samples)
    tape.task = session.task
    let logits = model.logits(batch, on: tape)
    let values = logits.values
    try store.endPass(recording: false)
    return values
  }
}
