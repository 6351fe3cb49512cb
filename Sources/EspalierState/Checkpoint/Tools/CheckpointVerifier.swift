/// Everything that is wrong with the checkpoint in a folder, and not only the first thing.
struct CheckpointVerifier {
  let path: String
  let full: Bool
  let workers: Int
  let fileSystem: FileSystem

  /// - Parameters:
  ///   - full: decode every chunk.
  ///   - workers: threads that decode.
  init(_ path: String, full: Bool, workers: Int, fileSystem: FileSystem) {
    self.path = path
    self.full = full
    self.workers = workers
    self.fileSystem = fileSystem
  }

  /// In the order COMMIT, manifest, shards, parity; empty for a checkpoint without a fault.
  func problems() -> [CheckpointError] {
    do {
      let frame = try CheckpointFrame(path, step: CheckpointFrame.step(of: path), fileSystem: fileSystem)
      let manifest = frame.manifest
      var problems: [CheckpointError] = []
      var shards: [ShardReader] = []
      for shard in manifest.shards {
        do { shards.append(try frame.open(shard)) } catch { problems.append(Self.wrapped(error, path)) }
      }
      if shards.count == manifest.shards.count {
        do { _ = try CheckpointReader(frame, shards: shards) } catch { problems.append(Self.wrapped(error, path)) }
      }
      if full {
        problems += ChunkVerification(shards: shards, tensors: manifest.tensors.map(\.record.name))
          .problems(workers: workers)
      }
      if manifest.parity != nil {
        do { try ShardParity(frame).check(full: full) } catch { problems.append(Self.wrapped(error, path)) }
      }
      return problems
    } catch { return [Self.wrapped(error, path)] }
  }

  private static func wrapped(_ error: any Error, _ path: String) -> CheckpointError {
    error as? CheckpointError ?? .damaged(.inputOutput, file: path, "\(error)")
  }
}
