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
  /// - Throws: `CheckpointError`, kind `notShared` if this rank does not see the folder, `diskFull` and the other kinds of
  ///   the file system otherwise.
  package static func write(
    _ snapshot: Snapshot, to directory: String, rank: Int, world: CheckpointWorld, saveID: SaveID,
    compression: Compression = .auto, isFrozen: Bool = false, fileSystem: FileSystem = .real
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
    for (number, piece) in snapshot.pieces.enumerated() {
      let elements = snapshot.bytes(piece)
      body.begin(piece)
      for (ordinal, start) in stride(from: 0, to: elements.count, by: snapshot.chunkBytes).enumerated() {
        let end = min(start + snapshot.chunkBytes, elements.count)
        let checksum = snapshot.checksums[piece.firstChunk + ordinal]
        ProgressCounter.tick()
        do {
          let (record, stored) = try encoder.encode(
            elements.slice(start..<end), of: piece.element, checksum: checksum, tensor: piece.tensor, piece: number,
            ordinal: ordinal)
          try body.append(record, storedLength: stored, rawLength: end - start, checksum: checksum)
        } catch let error as CheckpointError {
          throw error.naming("\(snapshot.tensors[piece.tensor].name)/\(piece.slot)")
        }
      }
    }
    let footer = try body.finish()
    try fileSystem.sync(output)
    try fileSystem.syncDirectory(folder)

    let pieces = snapshot.pieces.map { piece in
      ProgressCounter.tick()
      return ShardSummary.Piece(
        tensor: piece.tensor, slot: piece.slot, lower: piece.range.lowerBound, upper: piece.range.upperBound,
        element: piece.element, digest: snapshot.digest(piece))
    }
    return ShardSummary(
      file: name, rank: rank, host: host, bytes: Int(footer.fileLength), chunks: Int(footer.chunkCount),
      indexChecksum: footer.indexChecksum, rawBytes: snapshot.byteCount, storedBytes: body.storedBytes, pieces: pieces)
  }
}

/// The file as it grows, and the index that will close it.
private struct ShardBody {
  let output: OpenFile
  let fileSystem: FileSystem
  var position = 0
  var storedBytes = 0
  var pieces = ByteRecord()
  var chunks = ByteRecord()
  var pieceCount = 0
  var chunkCount = 0
  var slots: [String] = []
  /// Chunks are counted only when the next piece begins, so a piece is entered when it is complete.
  var open: (piece: Snapshot.Piece, firstChunk: Int)?

  mutating func append(_ bytes: [UInt8]) throws {
    try bytes.withUnsafeBytes { try fileSystem.write(output, $0) }
    position += bytes.count
  }

  mutating func append(
    _ record: UnsafeRawBufferPointer, storedLength: Int, rawLength: Int, checksum: UInt64
  ) throws {
    try fileSystem.write(output, record)
    chunks.append(UInt64(position))
    chunks.append(UInt32(storedLength))
    chunks.append(UInt32(rawLength))
    chunks.append(checksum)
    position += record.count
    storedBytes += storedLength
    chunkCount += 1
  }

  mutating func begin(_ piece: Snapshot.Piece) {
    close()
    open = (piece, chunkCount)
  }

  mutating func close() {
    guard let (piece, firstChunk) = open else { return }
    open = nil
    let slot = slots.firstIndex(of: piece.slot) ?? slots.count
    if slot == slots.count { slots.append(piece.slot) }
    pieces.append(UInt32(piece.tensor))
    pieces.append(UInt32(pieceCount))
    pieces.append(UInt32(slot))
    pieces.append(piece.element.code)
    pieces.append(UInt64(piece.range.lowerBound))
    pieces.append(UInt64(piece.range.upperBound))
    pieces.append(UInt64(firstChunk))
    pieces.append(UInt64(chunkCount - firstChunk))
    pieceCount += 1
  }

  mutating func finish() throws -> ShardFooter {
    close()
    var index = ByteRecord()
    index.append(ShardFormat.indexMagic)
    index.append(UInt32(pieceCount))
    index.append(UInt32(slots.count))
    index.append(UInt64(chunkCount))
    index.append(bytes: pieces.bytes)
    index.append(bytes: chunks.bytes)
    for slot in slots {
      index.append(UInt32(slot.utf8.count))
      index.append(bytes: Array(slot.utf8))
    }
    index.pad()
    let footer = ShardFooter(
      indexOffset: UInt64(position), indexLength: UInt64(index.bytes.count), indexChecksum: Checksum(of: index.bytes),
      chunkCount: UInt64(chunkCount),
      fileLength: UInt64(position + index.bytes.count + ShardFormat.footerBytes))
    try append(index.bytes + footer.encoded)
    return footer
  }
}

/// The name of this host, as the kernel has it.
func hostName() -> String {
  var buffer = [CChar](repeating: 0, count: 256)
  guard gethostname(&buffer, buffer.count - 1) == 0 else { return "unknown" }
  return String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
}
