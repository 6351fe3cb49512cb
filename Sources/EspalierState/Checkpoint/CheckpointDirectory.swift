/// A folder in which a save can be written.
package struct PreparedSave: Sendable {
  package let saveID: SaveID
  /// What `ShardWriter.write` takes, on every rank.
  package let path: String
  /// What is left of earlier saves and could not be removed; harmless, tried again at the next.
  package let notes: [CheckpointError]
}

package struct CommittedCheckpoint: Sendable {
  package let step: Int
  package let path: String
  /// The names of those removed.
  package let retired: [String]
  /// What failed after the checkpoint was safe: the advisory LATEST, or the removal of old ones.
  package let notes: [CheckpointError]
}

package struct RefusedCheckpoint: Sendable {
  package let name: String
  package let problems: [CheckpointError]
}

/// RUN/checkpoints: where saves appear whole or not at all. Used by rank 0 alone; docs/checkpoint-format.md has the protocol.
package struct CheckpointDirectory: Sendable {
  package struct Entry: Sendable, Equatable {
    package let name: String
    package let step: Int
    package let path: String
  }

  package let run: String
  /// RUN/checkpoints
  package let path: String
  let fileSystem: FileSystem
  private let memory = RetentionMemory()

  package init(run: String, fileSystem: FileSystem = .real) {
    self.run = run
    path = run + "/checkpoints"
    self.fileSystem = fileSystem
  }

  /// Claims the run for this process; refused if another trainer lives on it.
  package func lock(breakLock: Bool = false) throws -> RunLock {
    try fileSystem.ensureDirectory(run)
    return try RunLock(run: run, breakLock: breakLock, fileSystem: fileSystem)
  }

  // MARK: Finding

  /// The finished checkpoints in the order of their steps, valid or not.
  package func list() throws -> [Entry] {
    guard try fileSystem.kind(path) == .directory else { return [] }
    return try fileSystem.list(path).compactMap { name -> Entry? in
      guard let step = CheckpointName.step(of: name) else { return nil }
      let entry = "\(path)/\(name)"
      guard try fileSystem.kind(entry) == .directory else { return nil }
      return Entry(name: name, step: step, path: entry)
    }.sorted { $0.step < $1.step }
  }

  /// The newest checkpoint without a fault, and the newer ones that were refused, newest first.
  ///
  /// - Parameter full: decode every chunk, as a resume must: a flipped byte inside a chunk is found in no other way.
  package func newestValid(full: Bool = true) throws -> (reader: CheckpointReader?, refused: [RefusedCheckpoint]) {
    var refused: [RefusedCheckpoint] = []
    for entry in try list().reversed() {
      do {
        let reader = try CheckpointReader(entry.path, fileSystem: fileSystem)
        let problems = reader.verify(full: full)
        if problems.isEmpty { return (reader, refused) }
        refused.append(RefusedCheckpoint(name: entry.name, problems: problems))
      } catch let error as CheckpointError {
        refused.append(RefusedCheckpoint(name: entry.name, problems: [error]))
      }
    }
    return (nil, refused)
  }

  // MARK: Saving

  /// Removes what unfinished saves and deletions have left. Nobody else may be saving: hold the lock.
  package func cleanUp() -> [CheckpointError] {
    var notes: [CheckpointError] = []
    do {
      guard try fileSystem.kind(path) == .directory else { return [] }
      let left = try fileSystem.list(path).filter {
        $0.hasPrefix(CheckpointName.temporaryPrefix) || $0.hasPrefix(CheckpointName.trashPrefix)
      }
      // Whoever was killed between a rename and its sync left a name that a power cut would take back: with its content gone.
      if !left.isEmpty { try fileSystem.syncDirectory(path) }
      for name in left {
        do { try removeContent(of: "\(path)/\(name)") } catch let error as CheckpointError { notes.append(error) }
      }
      // Whoever was killed before a new LATEST had its name.
      let unnamed = FileSystem.temporary("\(path)/LATEST")
      if try fileSystem.kind(unnamed) == .regular { try fileSystem.removeFile(unnamed) }
    } catch { notes.append(Self.wrapped(error, path)) }
    return notes
  }

  /// Makes the folder of a save, after removing what earlier ones have left.
  package func prepare(_ saveID: SaveID) throws -> PreparedSave {
    try fileSystem.ensureDirectory(run)
    try fileSystem.ensureDirectory(path)
    let notes = cleanUp()
    let folder = "\(path)/\(CheckpointName.temporary(saveID))"
    try fileSystem.makeDirectory(folder)
    try fileSystem.makeDirectory("\(folder)/\(CheckpointFormat.shardFolder)")
    try fileSystem.syncDirectory(folder)
    try fileSystem.syncDirectory(path)
    try fileSystem.syncDirectory(run)
    try fileSystem.syncNames(in: FileSystem.parent(of: run))
    return PreparedSave(saveID: saveID, path: folder, notes: notes)
  }

  /// Makes a prepared save a checkpoint, when every rank's shard is written, and then retires old ones.
  ///
  /// - Parameters:
  ///   - linked: what `link` has put there in place of shards of frozen tensors.
  ///   - parity: of `ParityWriter`, where the save has it.
  /// - Throws: `CheckpointError`; what was committed before is untouched.
  package func commit(
    _ plan: CheckpointPlan, summaries: [ShardSummary], linked: FrozenShards? = nil, parity: ParityRecord? = nil,
    retention: Retention = .all
  ) throws -> CommittedCheckpoint {
    let folder = "\(path)/\(CheckpointName.temporary(plan.saveID))"
    let written = try SaveSeal.close(
      folder, plan, summaries, linked: linked, parity: parity, fileSystem: fileSystem)

    let final = "\(path)/\(CheckpointName.of(step: plan.step))"
    try publish(folder, as: final, written)
    try fileSystem.syncDirectory(path)

    var notes: [CheckpointError] = []
    do { try fileSystem.replace("\(path)/LATEST", with: Array("\(CheckpointName.of(step: plan.step))\n".utf8)) } catch {
      notes.append(Self.wrapped(error, "\(path)/LATEST"))
    }
    let (retired, failures) = retire(retention, justCommitted: plan.step)
    return CommittedCheckpoint(step: plan.step, path: final, retired: retired, notes: notes + failures)
  }

  /// Renames a finished save to its final name. A faulty checkpoint of the same step gives way; a good one with the same
  /// state makes this save superfluous; a good one with another state stays, and the save fails.
  private func publish(_ folder: String, as final: String, _ written: CheckpointReader) throws {
    do { return try fileSystem.renameDirectory(folder, to: final) } catch let error as CheckpointError
      where error.kind == .alreadyExists
    {
      var problems: [CheckpointError]
      var existing: CheckpointReader?
      do {
        existing = try CheckpointReader(final, fileSystem: fileSystem)
        problems = existing?.verify(full: true) ?? []
      } catch let error as CheckpointError { problems = [error] }
      // A file system that cannot be read just now says nothing of what is there.
      if let unclear = problems.first(where: { [.inputOutput, .permissionDenied].contains($0.kind) }) { throw unclear }
      if let existing, problems.isEmpty {
        guard existing.digest == written.digest, existing.state == written.state else {
          throw CheckpointError(
            .alreadyExists, file: final, reason: "there is a good checkpoint of this step with another state",
            remedy: "move it away, or save to another run directory")
        }
        // If it stays, the next save removes it and says what is in the way.
        try? fileSystem.removeTree(folder)
        return
      }
    }
    let name = CheckpointName.of(step: written.step)
    try fileSystem.rename(final, to: "\(path)/\(CheckpointName.trash(of: name))")
    try fileSystem.renameDirectory(folder, to: final)
  }

  // MARK: Retiring

  /// Removes what the retention does not keep, after a commit.
  private func retire(_ retention: Retention, justCommitted: Int) -> (retired: [String], notes: [CheckpointError]) {
    guard retention != .all else { return ([], []) }
    var retired: [String] = []
    var notes: [CheckpointError] = []
    do {
      let entries = try list()
      let candidates = candidates(entries, retention, upTo: justCommitted, notes: &notes)
      let kept = retention.kept(of: candidates, justCommitted: justCommitted)
      // The oldest first: whatever interrupts this leaves the newer ones.
      for entry in entries where kept[entry.step] == nil {
        do {
          try remove(entry)
          memory.forget(entry.name)
          retired.append(entry.name)
        } catch { notes.append(Self.wrapped(error, entry.path)) }
      }
    } catch { notes.append(Self.wrapped(error, path)) }
    return (retired, notes)
  }

  /// What the retention wants to know of each checkpoint. The newest are opened each time, for they are what a resume relies
  /// on; older ones once.
  ///
  /// - Parameter notes: what cannot be opened is told here, once.
  private func candidates(
    _ entries: [Entry], _ retention: Retention, upTo step: Int, notes: inout [CheckpointError]
  ) -> [Retention.Candidate] {
    var fresh = 0
    return entries.reversed().map { entry in
      let known = memory.candidate(entry.name)
      if fresh >= retention.last, let known { return known }
      let unknown = Retention.Candidate(step: entry.step, isValid: false, marks: known?.marks)
      guard entry.step <= step else { return unknown }
      do {
        let reader = try CheckpointReader(entry.path, fileSystem: fileSystem)
        fresh += 1
        let (frozen, own) = (
          reader.manifest.shards.filter { $0.frozen != nil }, reader.manifest.shards.filter { $0.frozen == nil }
        )
        var shared: [String: Int] = [:]
        for shard in frozen { shared[try fileSystem.identity("\(entry.path)/\(shard.file)")] = shard.bytes }
        let candidate = Retention.Candidate(
          step: entry.step, isValid: true, marks: reader.marks, bytes: own.reduce(0) { $0 + $1.bytes }, shared: shared)
        memory.note(candidate, as: entry.name)
        return candidate
      } catch {
        if memory.isNews(entry.name) { notes.append(Self.wrapped(error, entry.path)) }
        return unknown
      }
    }
  }

  /// Which checkpoints a retention would keep now, and why; nothing is removed.
  package func kept(by retention: Retention) throws -> [Int: [Retention.Reason]] {
    let entries = try list()
    guard let newest = entries.last(where: { (try? CheckpointReader($0.path, fileSystem: fileSystem)) != nil }) else {
      return [:]
    }
    var notes: [CheckpointError] = []
    let candidates = candidates(entries, retention, upTo: newest.step, notes: &notes)
    return retention.kept(of: candidates, justCommitted: newest.step)
  }

  /// Takes a checkpoint out of sight, durably, before touching what is in it; and then the marker first.
  private func remove(_ entry: Entry) throws {
    let trash = "\(path)/\(CheckpointName.trash(of: entry.name))"
    try fileSystem.rename(entry.path, to: trash)
    try fileSystem.syncDirectory(path)
    try removeContent(of: trash)
  }

  private func removeContent(of folder: String) throws {
    try fileSystem.removeTree(folder, first: [CheckpointFormat.commitFile, CheckpointFormat.manifestFile])
  }

  private static func wrapped(_ error: any Error, _ file: String) -> CheckpointError {
    error as? CheckpointError
      ?? CheckpointError(.inputOutput, file: file, reason: "\(error)", remedy: "check the file system")
  }
}
