package import EspalierComm
package import EspalierState

/// Saves while training goes on: a copy is taken at once, written by a thread of its own, and committed by rank 0 when every
/// rank has told that its shard is on disk. Training waits only if the save before is unfinished.
///
/// Every method that is marked collective is called by all ranks at the same step.
package final class CheckpointSaver {
  /// What became of a save, the same on every rank.
  package struct Outcome: Codable, Sendable {
    package let step: Int
    /// The folder of the checkpoint; empty where the save failed.
    package let path: String
    /// Why it failed; empty where it did not.
    package let failure: String
    package let notes: [String]
    package let rawBytes: Int
    package let storedBytes: Int
    /// Of files of frozen weights that the checkpoint shares with the one before.
    package let linkedBytes: Int
    /// From the copy to the commit.
    package let seconds: Double
    /// Of these, what training stood still for on rank 0.
    package let waited: Double
  }

  /// A save under way.
  private struct Running {
    let plan: CheckpointPlan
    /// Of rank 0: what is left of earlier saves.
    let notes: [String]
    let started: ContinuousClock.Instant
    var waited: Double
    let result: Monitor<Result<[ShardSummary], any Error>?>
    /// The frozen weights that are linked; on rank 0.
    let linked: FrozenShards?
    let thread: DedicatedThread
    let folder: String
    /// Rank 0 combines the shards when all are written; the others wait for it as for a shard.
    var parity: Monitor<Result<ParityRecord, any Error>?>?
    var parityBegan = false
  }

  private let communicator: Communicator
  private let directory: CheckpointDirectory
  private let retention: Retention
  private let compression: Compression
  private let writesParity: Bool
  private let fileSystem: FileSystem
  private var running: Running?
  /// The newest checkpoint's frozen weights, which the next save may link; on rank 0.
  private var frozen: FrozenShards?
  /// Of the frozen weights in memory: taken once, since nothing changes them.
  private var frozenDigests: [Int: Digest]?

  /// - Parameters:
  ///   - run: the run directory.
  ///   - resumedFrom: the checkpoint of this run that the state came from; empty where there is none.
  package init(
    _ communicator: Communicator, run: String, retention: Retention, compression: Compression,
    writesParity: Bool = false, resumedFrom: String = "", fileSystem: FileSystem = .real
  ) {
    self.communicator = communicator
    self.fileSystem = fileSystem
    directory = CheckpointDirectory(run: run, fileSystem: fileSystem)
    self.retention = retention
    self.compression = compression
    self.writesParity = writesParity
    if communicator.rank == 0, !resumedFrom.isEmpty { frozen = FrozenShards(at: resumedFrom) }
  }

  /// How far this rank is, for the step's exchange.
  package var note: RankNote.Save {
    guard let running else { return .none }
    if let begun = running.parity, begun.read({ $0 == nil }) { return .writing }
    return switch running.result.read({ $0 }) {
    case nil: .writing
    case .success: .written
    case .failure: .failed
    }
  }

  /// Whether a save is under way.
  package var isSaving: Bool { running != nil }

  /// The model is another one: frozen weights are no longer what they were.
  package func forgetFrozen() { frozenDigests = nil }

  /// Copies the state and starts to write it. Collective.
  /// - Parameter waits: returns when this rank has written its part, straight from the state; for saves after which training ends.
  /// - Returns: the outcome of the save before, if it was still under way and had to be waited for; and that of this one, if it
  ///   could not begin.
  package func begin(_ store: Store, _ state: TrainingState, world: CheckpointWorld, waits: Bool = false) throws
    -> [Outcome]
  {
    let before = try finish().map { [$0] } ?? []
    let started = ContinuousClock().now
    try store.settle()
    let hasFrozen = !store.frozenTensors.isEmpty
    let digests = try frozenDigests ?? store.frozenDigests()
    frozenDigests = digests
    let records = store.tensorRecords
    let prepared = try communicator.decide("a save begins") {
      let saveID = SaveID.random()
      do {
        let save = try directory.prepare(saveID)
        let candidate = frozen?.hold(records, digests: digests) == true ? frozen : nil
        let links = hasFrozen ? try directory.prepareFrozen(save, candidate: candidate) : false
        return Prepared(
          saveID: saveID, path: save.path, linksFrozen: links, notes: save.notes.map { "\($0)" }, failure: "")
      } catch {
        return Prepared(saveID: saveID, path: "", linksFrozen: false, notes: [], failure: "\(error)")
      }
    }
    guard prepared.failure.isEmpty else {
      return before + [
        Outcome(
          step: state.step, path: "", failure: prepared.failure, notes: [], rawBytes: 0, storedBytes: 0, linkedBytes: 0,
          seconds: Self.seconds(since: started), waited: Self.seconds(since: started))
      ]
    }
    let saveID = prepared.saveID
    let plan = CheckpointPlan(
      saveID: saveID, step: state.step, tensors: records, slots: store.slotNames,
      state: try state.encoded(), world: world, segments: store.segmentRecord)
    let snapshot = store.snapshot(frozen: false, isCopy: !waits)
    let frozenSnapshot = hasFrozen && !prepared.linksFrozen ? store.snapshot(frozen: true, isCopy: !waits) : nil
    let linked = prepared.linksFrozen && communicator.rank == 0 ? frozen : nil
    let result = Monitor<Result<[ShardSummary], any Error>?>(nil)
    let (rank, path, compression, checkpoints, fileSystem) = (
      communicator.rank, prepared.path, compression, directory, fileSystem
    )
    let thread = DedicatedThread(named: "writer \(rank)", stackBytes: 1 << 20) {
      func write(_ snapshot: Snapshot, isFrozen: Bool) throws -> ShardSummary {
        try ShardWriter.write(
          snapshot, to: path, rank: rank, world: world, saveID: saveID, compression: compression, isFrozen: isFrozen,
          plan: plan, fileSystem: fileSystem)
      }
      let written = Result {
        var shards = [try write(snapshot, isFrozen: false)]
        if let frozenSnapshot, frozenSnapshot.byteCount > 0 { shards.append(try write(frozenSnapshot, isFrozen: true)) }
        if let linked { try checkpoints.link(linked, into: path) }
        return shards
      }
      result.update { $0 = written }
    }
    if waits { thread.join() }
    running = Running(
      plan: plan, notes: prepared.notes, started: started, waited: Self.seconds(since: started), result: result,
      linked: linked, thread: thread, folder: path)
    return before
  }

  /// Commits the save under way if every rank has written its part. Collective.
  /// - Parameter notes: of all ranks, from the step's exchange.
  package func advance(_ notes: [RankNote]) throws -> Outcome? {
    guard running != nil, notes.allSatisfy({ $0.save == .written || $0.save == .failed }) else { return nil }
    if writesParity, running?.parityBegan == false, notes.allSatisfy({ $0.save == .written }) {
      running?.parityBegan = true
      if communicator.rank == 0 { beginParity() }
      return nil
    }
    return try finish()
  }

  /// Combines the shards on a thread of its own, now that all ranks have written theirs.
  private func beginParity() {
    guard let folder = running?.folder else { return }
    let (ranks, fileSystem) = (communicator.size, fileSystem)
    let result = Monitor<Result<ParityRecord, any Error>?>(nil)
    running?.parity = result
    _ = DedicatedThread(named: "parity", stackBytes: 1 << 20) {
      let written = Result { try ParityWriter.write(to: folder, ranks: ranks, fileSystem: fileSystem) }
      result.update { $0 = written }
    }
  }

  /// The parity of a save all of whose shards are written; waits for it, or makes it now.
  private func parity(of running: Running) throws -> ParityRecord? {
    guard writesParity else { return nil }
    guard let begun = running.parity else {
      return try ParityWriter.write(to: running.folder, ranks: communicator.size, fileSystem: fileSystem)
    }
    return try begun.wait { $0 }?.get()
  }

  /// Waits for the save under way and commits it. Collective.
  package func finish() throws -> Outcome? {
    guard var running else { return nil }
    self.running = nil
    let waitingSince = ContinuousClock().now
    let result = running.result.wait { $0 } ?? .failure(CancellationError())
    var part = WrittenPart(summary: [], failure: "")
    switch result {
    case .success(let summaries): part.summary = summaries
    case .failure(let error): part.failure = "rank \(communicator.rank): \(error)"
    }
    let parts = try communicator.gatherValues(part, label: "shards of step \(running.plan.step)")
    running.waited += Self.seconds(since: waitingSince)
    return try communicator.decide("commit of step \(running.plan.step)") { commit(running, parts) }
  }

  private static func seconds(since start: ContinuousClock.Instant) -> Double {
    start.duration(to: ContinuousClock().now) / .seconds(1)
  }

  private func commit(_ running: Running, _ parts: [WrittenPart]) -> Outcome {
    let summaries = parts.flatMap(\.summary)
    var failure = parts.map(\.failure).first { !$0.isEmpty } ?? ""
    var path = "", notes = running.notes
    if failure.isEmpty {
      do {
        let committed = try directory.commit(
          running.plan, summaries: summaries, linked: running.linked, parity: parity(of: running),
          retention: retention)
        path = committed.path
        if frozenDigests?.isEmpty == false { frozen = FrozenShards(at: path) }
        notes += committed.notes.map { "\($0)" }
      } catch { failure = "\(error)" }
    }
    // Files that cannot be linked, or are no longer what they were, are written anew by the next save.
    if failure.contains("/frozen/") { frozen = nil }
    return Outcome(
      step: running.plan.step, path: path, failure: failure, notes: notes,
      rawBytes: summaries.reduce(0) { $0 + $1.rawBytes }, storedBytes: summaries.reduce(0) { $0 + $1.storedBytes },
      linkedBytes: running.linked?.byteCount ?? 0,
      seconds: Self.seconds(since: running.started), waited: running.waited)
  }
}

/// What rank 0 says of a save that is to begin.
private struct Prepared: Codable, Sendable {
  let saveID: SaveID
  let path: String
  /// Whether frozen weights are taken over from the checkpoint before.
  let linksFrozen: Bool
  let notes: [String]
  /// Why it cannot; empty where it can.
  let failure: String
}

/// What one rank reports of its shards: the summaries, or why there are none.
private struct WrittenPart: Codable, Sendable {
  var summary: [ShardSummary]
  var failure: String
}

extension SaveSettings.Compression {
  package var forShards: Compression {
    switch self {
    case .auto: .auto
    case .zstd: .zstd
    case .none: .none
    }
  }
}
