import EspalierComm

/// Rebuilds MANIFEST.json and COMMIT of a checkpoint from its shards alone.
///
/// The index of each shard tells its pieces, that of rank 0's the names, shapes and the trainer's state, and the digests are
/// computed from the elements: every byte is read and checked on the way. The result is the lost manifest byte for byte.
package struct ManifestRecovery {
  package struct Outcome: Codable, Sendable, Equatable {
    /// False where manifest and COMMIT were good, and nothing was done.
    package let wasNeeded: Bool
    package let step: Int
    package let saveID: String
    package let shards: Int
    /// Whether a COMMIT that was left says that this is the manifest it stood for; nil where none was left.
    package let matchesCommit: Bool?
    /// The files that were set aside, under their new names.
    package let setAside: [String]
    /// Shards in the folder that belong to other saves.
    package let ignored: [String]
  }

  private let path: String
  private let workers: Int
  private let fileSystem: FileSystem

  package init(_ path: String, workers: Int = WorkerPool.cores, fileSystem: FileSystem = .real) {
    self.path = path
    self.workers = workers
    self.fileSystem = fileSystem
  }

  /// - Throws: `cannotRecover` with what is missing, or what is wrong with a shard; nothing was changed then.
  package func run() throws -> Outcome {
    let namedStep: Int?
    do { namedStep = try CheckpointFrame.step(of: path) } catch let error as CheckpointError {
      throw CheckpointError(
        error.kind, file: path, reason: error.reason,
        remedy: "if no trainer is at work on it, rename the folder to step- and ten digits first")
    }
    if let frame = try? CheckpointFrame(path, step: namedStep, fileSystem: fileSystem) {
      return Outcome(
        wasNeeded: false, step: frame.manifest.step, saveID: "\(frame.manifest.saveID)",
        shards: frame.manifest.shards.count, matchesCommit: nil, setAside: [], ignored: [])
    }
    let directory = try fileSystem.openDirectory(path)
    let commit = leftCommit(directory)
    let (own, ignored) = try findShards(directory, commit?.saveID)
    let saveID = own[0].header.saveID
    let shards = own + (try frozenShards(directory))
    let firstSaved = Dictionary(
      shards.map { ("\($0.folder)/\($0.name)", $0.header.saveID) }, uniquingKeysWith: { first, _ in first })
    let descriptions = try shards.map {
      try ShardDescription(parsing: $0.description, saveID: $0.header.saveID, file: $0.path)
    }
    guard let plan = descriptions[0].plan else {
      throw refusal("the shard of rank 0 does not tell names and state", shards[0].path)
    }
    if let namedStep, namedStep != plan.step {
      throw refusal("the folder is named for step \(namedStep), and the shards hold step \(plan.step)", path)
    }
    let summaries = try ShardSurvey(shards: shards, plan: plan).summaries(
      hosts: descriptions.map(\.host), workers: workers)
    let parity = try recoverParity(summaries.map(\.file).filter(ShardParity.isCovered))
    let manifestPath = "\(path)/\(CheckpointFormat.manifestFile)", commitPath = "\(path)/\(CheckpointFormat.commitFile)"
    let manifest = try Manifest(
      plan: plan, summaries: summaries, firstSaved: firstSaved, parity: parity, file: manifestPath)
    let bytes = manifest.json.canonical
    let record = CommitRecord(manifest: manifest, bytes: bytes)
    // Aside and not away: whoever damaged them may still be of use.
    let setAside = try [(manifestPath, bytes), (commitPath, record.encoded)].compactMap { try put($1, at: $0) }
    try fileSystem.syncDirectory(path)
    _ = try CheckpointReader(path, fileSystem: fileSystem)
    return Outcome(
      wasNeeded: true, step: plan.step, saveID: "\(saveID)", shards: shards.count,
      matchesCommit: commit.map { $0 == record }, setAside: setAside, ignored: ignored)
  }

  private func refusal(_ reason: String, _ file: String) -> CheckpointError {
    CheckpointError(.cannotRecover, file: file, reason: reason, remedy: CheckpointError.damagedRemedy)
  }

  /// What COMMIT says, if it is there and whole.
  private func leftCommit(_ directory: OpenFile) -> CommitRecord? {
    guard let (file, length) = try? fileSystem.openFile(CheckpointFormat.commitFile, in: directory),
      length <= CheckpointFormat.maximumCommitBytes, let bytes = try? fileSystem.readAll(file, length: length)
    else { return nil }
    return try? CommitRecord(parsing: bytes, file: file.path)
  }

  /// The shards of one save, all of them, by rank.
  /// - Parameter wanted: the save that COMMIT names; without it there must be one complete set alone.
  private func findShards(_ directory: OpenFile, _ wanted: SaveID?) throws -> ([ShardReader], ignored: [String]) {
    let folder = try fileSystem.openDirectory(CheckpointFormat.shardFolder, in: directory)
    var bySave: [SaveID: [ShardReader]] = [:]
    var problems: [CheckpointError] = []
    for name in try fileSystem.list(folder.path).sorted()
    where Manifest.Shard.isAllowed("\(folder.path)/\(name)", in: [folder.path]) {
      do {
        let reader = try ShardReader(name: name, in: folder, expecting: nil, saveID: nil, fileSystem: fileSystem)
        bySave[reader.header.saveID, default: []].append(reader)
      } catch let error as CheckpointError { problems.append(error) }
    }
    let complete = bySave.filter { id, shards in
      (wanted == nil || id == wanted) && shards.map { Int($0.header.rank) }.sorted() == Array(0..<shards.count)
        && shards.allSatisfy { Int($0.header.ranks) == shards.count }
    }
    guard complete.count == 1, let (chosen, shards) = complete.first else {
      if complete.count > 1 { throw refusal("it holds the shards of \(complete.count) saves", folder.path) }
      if let first = problems.first { throw first }
      let counts = bySave.values.compactMap { shards in shards.first.map { "\(shards.count) of \($0.header.ranks)" } }
      throw refusal(
        counts.isEmpty
          ? "there is no shard in it"
          : "not all shards of a save are there: \(counts.sorted().joined(separator: ", "))",
        folder.path)
    }
    return (
      shards.sorted { $0.header.rank < $1.header.rank },
      bySave.filter { $0.key != chosen }.values.joined().map(\.path).sorted() + problems.map(\.file)
    )
  }

  /// The files of frozen tensors, of whatever save: the folder holds those that belong to the checkpoint alone.
  private func frozenShards(_ directory: OpenFile) throws -> [ShardReader] {
    guard try fileSystem.kind("\(path)/\(CheckpointFormat.frozenFolder)") == .directory else { return [] }
    let folder = try fileSystem.openDirectory(CheckpointFormat.frozenFolder, in: directory)
    return try fileSystem.list(folder.path).sorted().map {
      try ShardReader(name: $0, in: folder, expecting: nil, saveID: nil, fileSystem: fileSystem)
    }
  }

  /// The parity file, if there is one that is the XOR of the shards.
  private func recoverParity(_ shards: [String]) throws -> ParityRecord? {
    guard try fileSystem.kind("\(path)/\(ShardParity.file)") == .regular else { return nil }
    let parity = try ShardParity(folder: path, fileSystem: fileSystem)
    let expected = try parity.combine(shards) { _ in }
    let found = try parity.combine([ShardParity.file]) { _ in }
    return expected == found ? ParityRecord(file: ShardParity.file, bytes: found.bytes, checksum: found.checksum) : nil
  }

  /// Writes a file unless it is there as it should be.
  /// - Returns: the new name of what was there instead.
  private func put(_ bytes: [UInt8], at file: String) throws -> String? {
    var aside: String?
    if try fileSystem.kind(file) != .missing {
      if isRight(file, bytes) { return nil }
      let name = "\(file).damaged-\(hexadecimal(UInt64.random(in: .min ... .max)))"
      try fileSystem.rename(file, to: name)
      aside = name
    }
    try fileSystem.replace(file, with: bytes)
    return aside
  }

  private func isRight(_ file: String, _ bytes: [UInt8]) -> Bool {
    guard let folder = try? fileSystem.openDirectory(path),
      let (opened, length) = try? fileSystem.openFile(String(file.dropFirst(path.count + 1)), in: folder),
      length == bytes.count
    else { return false }
    return (try? fileSystem.readAll(opened, length: length)) == bytes
  }
}
