/// COMMIT and manifest of a checkpoint, read and checked; no shard has been looked at.
struct CheckpointFrame: Sendable {
  let path: String
  let folder: OpenFile
  let manifest: Manifest
  let fileSystem: FileSystem

  /// - Parameter step: what the name of the folder says, if it says anything.
  /// - Throws: `CheckpointError` for the first thing that is wrong.
  init(_ path: String, step: Int?, fileSystem: FileSystem) throws {
    self.path = path
    self.fileSystem = fileSystem
    folder = try fileSystem.openDirectory(path)
    let commitPath = path + "/" + CheckpointFormat.commitFile
    let (commitFile, commitLength): (OpenFile, Int)
    do { (commitFile, commitLength) = try fileSystem.openFile(CheckpointFormat.commitFile, in: folder) } catch let error
      as CheckpointError where error.kind == .missing
    {
      throw CheckpointError(
        .notCommitted, file: commitPath, reason: "it is missing, so this save was never finished",
        remedy: "use an older checkpoint")
    }
    guard commitLength <= CheckpointFormat.maximumCommitBytes else {
      throw CheckpointError.damaged(.wrongLength, file: commitPath, "\(commitLength) bytes are too many")
    }
    let commit = try CommitRecord(
      parsing: fileSystem.readAll(commitFile, length: commitLength), file: commitPath)

    let manifestPath = path + "/" + CheckpointFormat.manifestFile
    let (manifestFile, length) = try fileSystem.openFile(CheckpointFormat.manifestFile, in: folder)
    guard length <= CheckpointFormat.maximumManifestBytes else {
      throw CheckpointError.damaged(
        .manifestTooLarge, file: manifestPath, "\(length) bytes are more than \(CheckpointFormat.maximumManifestBytes)")
    }
    guard length == commit.manifestBytes else {
      throw CheckpointError.damaged(
        length < commit.manifestBytes ? .truncated : .wrongLength, file: manifestPath,
        "it has \(length) bytes instead of \(commit.manifestBytes)")
    }
    let bytes = try fileSystem.readAll(manifestFile, length: length)
    guard Checksum(of: bytes) == commit.manifestChecksum else {
      throw CheckpointError.damaged(.checksumMismatch, file: manifestPath, "its checksum is not the one in COMMIT")
    }
    manifest = try Manifest(parsing: bytes, file: manifestPath)
    guard manifest.saveID == commit.saveID, manifest.step == commit.step,
      [manifest.version.major, manifest.version.minor] == commit.version
    else { throw CheckpointError.damaged(.wrongSave, file: commitPath, "it belongs to another save than the manifest") }
    if let step, step != manifest.step {
      throw CheckpointError.damaged(.wrongName, file: path, "it holds step \(manifest.step), not \(step)")
    }
  }

  /// Opens one shard of the manifest and checks header, index and footer. A shared file carries the name of the save that
  /// wrote it; the manifest still says which index it must have.
  func open(_ shard: Manifest.Shard) throws -> ShardReader {
    try ShardReader(
      name: shard.name, in: fileSystem.openDirectory(shard.folder, in: folder), expecting: shard,
      saveID: shard.frozen?.firstSaved ?? manifest.saveID, fileSystem: fileSystem)
  }

  /// What the name of a folder says of the step.
  /// - Throws: `notCommitted` for the name of an unfinished save.
  static func step(of path: String) throws -> Int? {
    let name = path.split(separator: "/").last.map(String.init) ?? path
    guard !name.hasPrefix(CheckpointName.temporaryPrefix), !name.hasPrefix(CheckpointName.trashPrefix) else {
      throw CheckpointError(
        .notCommitted, file: path, reason: "this save was never finished, or is being deleted",
        remedy: "use a folder whose name begins with step-")
    }
    return CheckpointName.step(of: name)
  }
}
