/// Where a tool puts a new checkpoint: under any name that is free, by the same commit as a save of training.
///
/// Inside RUN/checkpoints it holds the run's lock meanwhile, so that no trainer takes its work for something left behind.
package struct CheckpointPlacement: Sendable {
  package let saveID: SaveID
  /// The folder in which shards are written, on every rank.
  package let folder: String
  /// What the checkpoint will be called.
  package let path: String
  private let parent: String
  private let run: String?
  private let lock: RunLock?
  private let fileSystem: FileSystem

  /// Makes the folder to write in.
  ///
  /// - Parameters:
  ///   - path: of the checkpoint; or a run directory, in which it gets the name of its step.
  ///   - step: of the checkpoint, which a name that begins with `step-` must tell.
  /// - Throws: `alreadyExists` if there is anything at `path`, `wrongName`, `locked` if a trainer lives on the run.
  package init(_ path: String, step: Int, fileSystem: FileSystem = .real) throws {
    var path = path
    while path.count > 1, path.hasSuffix("/") { path.removeLast() }
    let stepName = CheckpointName.of(step: step)
    if try fileSystem.kind("\(path)/checkpoints") == .directory {
      path += "/checkpoints/\(stepName)"
    } else if Self.lastName(path) == "checkpoints" {
      path += "/\(stepName)"
    }
    let name = Self.lastName(path)
    if name.hasPrefix(CheckpointName.temporaryPrefix) || name.hasPrefix(CheckpointName.trashPrefix) {
      throw CheckpointError(
        .wrongName, file: path, reason: "such a name means an unfinished save",
        remedy: "choose another, such as \(stepName)")
    }
    if name.hasPrefix("step-"), CheckpointName.step(of: name) != step {
      throw CheckpointError(
        .wrongName, file: path, reason: "the checkpoint is of step \(step), and this name does not say so",
        remedy: "call it \(stepName), or something that does not begin with step-")
    }
    guard try fileSystem.kind(path) == .missing else {
      throw CheckpointError(
        .alreadyExists, file: path, reason: "there is something of that name already",
        remedy: "choose another place; nothing is ever overwritten")
    }
    self.path = path
    self.fileSystem = fileSystem
    saveID = .random()
    parent = path.contains("/") ? String(path.dropLast(name.count + 1)) : "."
    run =
      CheckpointName.step(of: name) != nil && Self.lastName(parent) == "checkpoints"
      ? (parent.contains("/") ? String(parent.dropLast("/checkpoints".count)) : ".") : nil
    if let run {
      let directory = CheckpointDirectory(run: run.isEmpty ? "/" : run, fileSystem: fileSystem)
      lock = try directory.lock()
      folder = try directory.prepare(saveID).path
    } else {
      lock = nil
      let place = parent.isEmpty ? "/" : parent
      try fileSystem.ensureDirectory(place)
      folder = "\(place)/\(CheckpointName.temporary(saveID))"
      try fileSystem.makeDirectory(folder)
      try fileSystem.makeDirectory("\(folder)/\(CheckpointFormat.shardFolder)")
      try fileSystem.syncDirectory(folder)
      try fileSystem.syncDirectory(place)
    }
  }

  /// Makes what was written a checkpoint.
  /// - Returns: what failed after it was safe.
  package func commit(_ plan: CheckpointPlan, summaries: [ShardSummary]) throws -> [CheckpointError] {
    _ = try SaveSeal.close(folder, plan, summaries, parity: nil, fileSystem: fileSystem)
    try fileSystem.renameDirectory(folder, to: path)
    try fileSystem.syncDirectory(parent.isEmpty ? "/" : parent)
    guard let run else { return [] }
    do {
      let newest = try CheckpointDirectory(run: run, fileSystem: fileSystem).list().last?.name ?? ""
      try fileSystem.replace("\(parent)/LATEST", with: Array("\(newest)\n".utf8))
      try lock?.release()
    } catch let error as CheckpointError { return [error] }
    return []
  }

  /// Removes what was written, after a failure.
  package func abandon() {
    try? fileSystem.removeTree(folder)
    try? lock?.release()
  }

  private static func lastName(_ path: String) -> String { path.split(separator: "/").last.map(String.init) ?? path }
}
