/// Gives a checkpoint back the one shard that is lost or damaged, bit for bit, from the parity and all the others.
package struct ShardRepair {
  package struct Outcome: Codable, Sendable, Equatable {
    /// The file that was written anew; empty where nothing was wrong.
    package let file: String
    package let bytes: Int
    /// What was wrong with it.
    package let reason: String
  }

  private let frame: CheckpointFrame
  private let workers: Int

  /// - Throws: `CheckpointError` where COMMIT or the manifest cannot be read.
  package init(_ path: String, workers: Int = WorkerPool.cores, fileSystem: FileSystem = .real) throws {
    do {
      frame = try CheckpointFrame(path, step: CheckpointFrame.step(of: path), fileSystem: fileSystem)
    } catch let error as CheckpointError {
      throw CheckpointError(
        error.kind, file: error.file, reason: error.reason,
        remedy: "rebuild the manifest first, with `espalier recover`", errorNumber: error.errorNumber)
    }
    self.workers = workers
  }

  /// Looks at every byte, and writes the one file anew that needs it. The new file takes its place only after all of it was
  /// checked against the manifest.
  /// - Throws: `cannotRepair` with the reason, such as two shards that are lost; nothing was changed then.
  package func run() throws -> Outcome {
    let manifest = frame.manifest
    let names = manifest.tensors.map(\.record.name)
    var faults: [(shard: Manifest.Shard, problem: CheckpointError)] = []
    for shard in manifest.shards {
      do {
        let reader = try frame.open(shard)
        let problems = ChunkVerification(shards: [reader], tensors: names).problems(workers: workers)
        if let first = problems.first { faults.append((shard, first)) }
      } catch let error as CheckpointError { faults.append((shard, error)) }
    }
    guard let parity = manifest.parity else {
      guard let first = faults.first else { return Outcome(file: "", bytes: 0, reason: "") }
      throw refusal("\(first.problem.reason), and the checkpoint has no parity", first.problem.file)
    }
    var parityProblem: CheckpointError?
    do { try ShardParity(frame).check(full: true) } catch let error as CheckpointError { parityProblem = error }

    switch (faults.count, parityProblem) {
    case (0, nil): return Outcome(file: "", bytes: 0, reason: "")
    case (0, let problem?):
      let covered = manifest.shards.map(\.file).filter(ShardParity.isCovered)
      return try replace(parity.file, from: covered, bytes: parity.bytes, because: problem) { temporary in
        let written = try ShardParity(frame).combine([temporary]) { _ in }
        guard written.checksum == parity.checksum else {
          throw refusal("the shards do not give the parity that the manifest lists", frame.path)
        }
      }
    case (1, nil):
      let (shard, problem) = faults[0]
      guard ShardParity.isCovered(shard.file) else {
        throw refusal("\(problem.reason), and parity covers the shards of this save alone", problem.file)
      }
      let others = manifest.shards.map(\.file).filter { $0 != shard.file && ShardParity.isCovered($0) }
      return try replace(shard.file, from: others + [parity.file], bytes: shard.bytes, because: problem) { temporary in
        try check(temporary, as: shard, names)
      }
    case (_, let problem):
      let files = (faults.map(\.problem) + [problem].compactMap { $0 }).map { "\($0.file) (\($0.reason))" }
      throw refusal(
        "\(files.count) files are lost or damaged and parity can give back one: \(files.joined(separator: ", "))",
        frame.path)
    }
  }

  private func refusal(_ reason: String, _ file: String) -> CheckpointError {
    CheckpointError(.cannotRepair, file: file, reason: reason, remedy: CheckpointError.damagedRemedy)
  }

  /// Writes the XOR of `sources` beside `file`, has it checked, and lets it take its place.
  private func replace(
    _ file: String, from sources: [String], bytes: Int, because problem: CheckpointError,
    _ check: (String) throws -> Void
  ) throws -> Outcome {
    let fileSystem = frame.fileSystem
    let parts = file.split(separator: "/").map(String.init)
    let parent = "\(frame.path)/\(parts[0])"
    if try fileSystem.kind(parent) == .missing { try fileSystem.makeDirectory(parent) }
    let temporary = "\(parts[0])/repair-\(SaveID.random())"
    let path = "\(frame.path)/\(temporary)"
    do {
      let output = try fileSystem.create(path)
      var left = bytes
      _ = try ShardParity(frame).combine(sources) { block in
        let kept = min(left, block.count)
        left -= kept
        try fileSystem.write(output, UnsafeRawBufferPointer(rebasing: block[..<kept]))
        guard block[kept...].allSatisfy({ $0 == 0 }) else {
          throw refusal("parity and shards do not belong together", frame.path)
        }
      }
      guard left == 0 else { throw refusal("parity and shards are shorter than the file", frame.path) }
      try fileSystem.sync(output)
      try check(temporary)
      try fileSystem.rename(path, to: "\(frame.path)/\(file)")
      try fileSystem.syncDirectory(parent)
      try fileSystem.syncDirectory(frame.path)
    } catch {
      try? fileSystem.removeFile(path)
      throw error
    }
    return Outcome(file: "\(frame.path)/\(file)", bytes: bytes, reason: problem.reason)
  }

  /// Whether a file is what the manifest says of a shard, to the last byte.
  private func check(_ temporary: String, as shard: Manifest.Shard, _ names: [String]) throws {
    let reader = try frame.open(
      Manifest.Shard(
        file: temporary, rank: shard.rank, host: shard.host, bytes: shard.bytes, chunks: shard.chunks,
        indexChecksum: shard.indexChecksum))
    if let first = ChunkVerification(shards: [reader], tensors: names).problems(workers: workers).first {
      throw refusal("what parity and the other shards give is no shard of this save (\(first.reason))", frame.path)
    }
  }
}
