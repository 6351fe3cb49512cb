/// The end of every save: what makes a folder of shards a checkpoint.
enum SaveSeal {
  /// Writes MANIFEST.json and then COMMIT, syncs the folder, and opens the result as a reader would: what cannot be opened must
  /// not become a checkpoint.
  static func close(
    _ folder: String, _ plan: CheckpointPlan, _ summaries: [ShardSummary], linked: FrozenShards? = nil,
    parity: ParityRecord?, fileSystem: FileSystem
  ) throws -> CheckpointReader {
    let manifestPath = "\(folder)/\(CheckpointFormat.manifestFile)"
    let manifest = try Manifest(plan: plan, summaries: summaries, linked: linked, parity: parity, file: manifestPath)
    let bytes = manifest.json.canonical
    guard bytes.count <= CheckpointFormat.maximumManifestBytes else {
      throw CheckpointError(
        .manifestTooLarge, file: manifestPath, reason: "it would have \(bytes.count) bytes",
        remedy: "save from fewer ranks or keep less in the state")
    }
    try fileSystem.replace(manifestPath, with: bytes)
    try fileSystem.replace(
      "\(folder)/\(CheckpointFormat.commitFile)", with: CommitRecord(manifest: manifest, bytes: bytes).encoded)
    try fileSystem.syncDirectory(folder)
    return try CheckpointReader(folder: folder, step: plan.step, fileSystem: fileSystem)
  }
}

/// Writes the parity of a prepared save when the shards of all its ranks are on stable storage. Blocking, and free of any
/// communication.
package enum ParityWriter {
  /// - Parameter directory: `PreparedSave.path`.
  package static func write(to directory: String, ranks: Int, fileSystem: FileSystem = .real) throws -> ParityRecord {
    try ShardParity(folder: directory, fileSystem: fileSystem).write((0..<ranks).map(ShardWriter.file))
  }
}
