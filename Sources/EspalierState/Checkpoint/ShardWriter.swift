import EspalierTensor
internal import Glibc

/// What a rank reports of the shard that it wrote; enough for rank 0 to write the manifest.
package struct ShardSummary: Codable, Sendable, Equatable {
  package struct Piece: Codable, Sendable, Equatable {
    /// Its place in the list of tensors.
    package let tensor: Int
    package let slot: String
    /// In elements of the whole tensor.
    package let lower: Int
    package let upper: Int
    package let element: ElementType
    /// Of these elements at these indices.
    package let digest: Digest
  }

  /// Inside the checkpoint: "shards/w00000.esp".
  package let file: String
  package let rank: Int
  package let host: String
  /// Length of the file.
  package let bytes: Int
  package let chunks: Int
  package let indexChecksum: Checksum
  /// Of the elements, before and after compression.
  package let rawBytes: Int
  package let storedBytes: Int
  /// In the order of the shard.
  package let pieces: [Piece]

  /// Whether later checkpoints may share the file.
  package var isFrozen: Bool { file.hasPrefix(CheckpointFormat.frozenFolder + "/") }
}

/// Writes one rank's shard. Blocking, and free of any communication, so that a background thread can run it.
package enum ShardWriter {
  package static func file(rank: Int) -> String { "\(CheckpointFormat.shardFolder)/\(name(rank: rank))" }

  /// The file of a rank's frozen tensors, which later checkpoints link: it keeps the name of the save that wrote it.
  package static func frozenFile(rank: Int, saveID: SaveID) -> String {
    "\(CheckpointFormat.frozenFolder)/\(saveID)-\(name(rank: rank))"
  }

  private static func name(rank: Int) -> String {
    let digits = String(rank)
    return "w\(String(repeating: "0", count: max(0, 5 - digits.count)))\(digits).esp"
  }

  /// Writes `snapshot` into the folder that `CheckpointDirectory.prepare` made and returns when it is on stable storage.
  ///
  /// - Parameters:
  ///   - directory: `PreparedSave.path`, the same folder for every rank.
  ///   - isFrozen: whether these are the tensors that later saves will link instead of writing.
  ///   - plan: kept in the shard of rank 0, so that a lost manifest can be recovered.
  /// - Throws: `CheckpointError`, kind `notShared` if this rank does not see the folder, `diskFull` and the other kinds of
  ///   the file system otherwise.
  package static func write(
    _ snapshot: Snapshot, to directory: String, rank: Int, world: CheckpointWorld, saveID: SaveID,
    compression: Compression = .auto, isFrozen: Bool = false, plan: CheckpointPlan? = nil,
    fileSystem: FileSystem = .real
  ) throws -> ShardSummary {
    let host = hostName()
    let name = isFrozen ? frozenFile(rank: rank, saveID: saveID) : file(rank: rank)
    let path = "\(directory)/\(name)"
    let folder = "\(directory)/\(isFrozen ? CheckpointFormat.frozenFolder : CheckpointFormat.shardFolder)"
    guard try fileSystem.kind(folder) == .directory else {
      throw CheckpointError(
        .notShared, file: directory, reason: "rank \(rank) on \(host) does not see the folder that rank 0 made",
        remedy: "put the run on a file system that all hosts share")
    }
    let output = try fileSystem.create(path)
    var body = ShardBody(output: output, fileSystem: fileSystem)
    try body.append(ShardHeader(saveID: saveID, rank: UInt32(rank), ranks: UInt32(world.ranks)).encoded)

    let encoder = ChunkEncoder(chunkBytes: snapshot.chunkBytes, compression: compression)
    var pieces: [ShardSummary.Piece] = []
    for (number, piece) in snapshot.pieces.enumerated() {
      let tensor = snapshot.tensors[piece.tensor].name
      body.begin(tensor: piece.tensor, slot: piece.slot, range: piece.range, element: piece.element)
      // Everything that reads the elements takes its turn at each chunk, while it is in the processor's cache.
      let key = Digest.key(parameter: tensor, slot: piece.slot)
      var digest = Digest.zero
      for (ordinal, range) in snapshot.chunks(of: piece).enumerated() {
        ProgressCounter.tick()
        let bytes = snapshot.bytes(piece, range)
        guard let chunk = bytes.baseAddress else { continue }
        digest += Digest(
          key: key, firstIndex: piece.range.lowerBound + range.lowerBound / piece.element.size,
          stored: chunk, piece.element, count: range.count / piece.element.size)
        do {
          let checksum = snapshot.checksum(piece, ordinal, bytes)
          let (record, stored) = try encoder.encode(
            bytes, of: piece.element, checksum: checksum, tensor: piece.tensor, piece: number, ordinal: ordinal)
          try body.append(record, storedLength: stored, rawLength: bytes.count, checksum: checksum)
        } catch let error as CheckpointError { throw error.naming("\(tensor)/\(piece.slot)") }
      }
      pieces.append(
        ShardSummary.Piece(
          tensor: piece.tensor, slot: piece.slot, lower: piece.range.lowerBound, upper: piece.range.upperBound,
          element: piece.element, digest: digest))
    }
    let footer = try body.finish(ShardDescription(host: host, plan: rank == 0 && !isFrozen ? plan : nil))
    try fileSystem.sync(output)
    try fileSystem.syncDirectory(folder)
    return ShardSummary(
      file: name, rank: rank, host: host, bytes: Int(footer.fileLength), chunks: Int(footer.chunkCount),
      indexChecksum: footer.indexChecksum, rawBytes: snapshot.byteCount, storedBytes: body.storedBytes, pieces: pieces)
  }
}

/// The name of this host, as the kernel has it.
func hostName() -> String {
  var buffer = [CChar](repeating: 0, count: 256)
  guard gethostname(&buffer, buffer.count - 1) == 0 else { return "unknown" }
  return String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
}
