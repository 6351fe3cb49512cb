/// The readers of single parts of a checkpoint, for whoever tries them with bytes that nobody wrote: whatever these are, every
/// function returns.
package enum CheckpointProbe {
  /// Whether the bytes are a manifest. One that is must be the same after it was written and read again.
  package static func manifest(_ bytes: [UInt8]) -> Bool {
    do {
      let manifest = try Manifest(parsing: bytes, file: CheckpointFormat.manifestFile)
      let again = try Manifest(parsing: manifest.json.canonical, file: CheckpointFormat.manifestFile)
      // By what would be written: the members of the trainer's document may stand in another order.
      precondition(again.json.canonical == manifest.json.canonical, "a manifest changed when it was written and read")
      return true
    } catch { return false }
  }

  /// Whether the bytes are a COMMIT, of which there is one way to write each.
  package static func commit(_ bytes: [UInt8]) -> Bool {
    guard let commit = try? CommitRecord(parsing: bytes, file: CheckpointFormat.commitFile) else { return false }
    precondition(commit.encoded == bytes, "a COMMIT was read that would not have been written")
    return true
  }

  /// What is wrong with one shard, of which no manifest tells anything: every chunk is decoded.
  package static func shard(_ name: String, in folder: String, fileSystem: FileSystem = .real) -> [CheckpointError] {
    do {
      let directory = try fileSystem.openDirectory(folder)
      let shard = try ShardReader(name: name, in: directory, expecting: nil, saveID: nil, fileSystem: fileSystem)
      // What a lost manifest is recovered from.
      _ = try? ShardDescription(parsing: shard.description, saveID: shard.header.saveID, file: shard.path)
      let file = try shard.open()
      let decoder = ChunkDecoder()
      var problems: [CheckpointError] = []
      for (number, piece) in shard.pieces.enumerated() {
        do {
          for (ordinal, index) in piece.chunks.enumerated() {
            _ = try decoder.decodeToScratch(
              shard.chunks[index], .init(tensor: piece.tensor, piece: number, ordinal: ordinal), from: file,
              with: fileSystem)
          }
        } catch let error as CheckpointError { problems.append(error.naming(piece.slot)) }
      }
      return problems
    } catch let error as CheckpointError { return [error] } catch {
      return [.damaged(.inputOutput, file: folder, "\(error)")]
    }
  }
}
