/// Writes a shard piece by piece, as the store of that rank would have written it; holds no more of it than its caller does.
struct ShardStream {
  struct Piece: Sendable {
    /// Into the tensors of the plan.
    let tensor: Int
    let slot: String
    /// In elements of the tensor.
    let range: Range<Int>
    let element: ElementType
  }

  /// What was written of a piece.
  struct Written {
    let digest: Digest
    /// Of its elements, before compression.
    let rawBytes: Int
  }

  let plan: CheckpointPlan
  let fileSystem: FileSystem

  /// - Parameter write: appends the chunks of one piece.
  /// - Throws: `CheckpointError`; one of another file that names no tensor is given the piece's.
  func write(
    rank: Int, to folder: String, _ pieces: [Piece], _ write: (Piece, Int, inout ShardBody) throws -> Written
  ) throws -> ShardSummary {
    let name = ShardWriter.file(rank: rank)
    let host = hostName()
    guard try fileSystem.kind("\(folder)/\(CheckpointFormat.shardFolder)") == .directory else {
      throw CheckpointError(
        .notShared, file: folder, reason: "\(host) does not see the folder that rank 0 made",
        remedy: "put the checkpoint on a file system that all hosts share")
    }
    let output = try fileSystem.create("\(folder)/\(name)")
    var body = ShardBody(output: output, fileSystem: fileSystem)
    try body.append(
      ShardHeader(saveID: plan.saveID, rank: UInt32(rank), ranks: UInt32(plan.world.ranks)).encoded)
    var written: [ShardSummary.Piece] = [], rawBytes = 0
    for (number, piece) in pieces.enumerated() {
      body.begin(tensor: piece.tensor, slot: piece.slot, range: piece.range, element: piece.element)
      do {
        let part = try write(piece, number, &body)
        rawBytes += part.rawBytes
        written.append(
          ShardSummary.Piece(
            tensor: piece.tensor, slot: piece.slot, lower: piece.range.lowerBound, upper: piece.range.upperBound,
            element: piece.element, digest: part.digest))
      } catch let error as CheckpointError where error.tensor == nil && error.file != output.path {
        throw error.naming("\(plan.tensors[piece.tensor].name)/\(piece.slot)")
      }
    }
    let footer = try body.finish(ShardDescription(host: host, plan: rank == 0 ? plan : nil))
    try fileSystem.sync(output)
    try fileSystem.syncDirectory("\(folder)/\(CheckpointFormat.shardFolder)")
    return ShardSummary(
      file: name, rank: rank, host: host, bytes: Int(footer.fileLength), chunks: Int(footer.chunkCount),
      indexChecksum: footer.indexChecksum, rawBytes: rawBytes, storedBytes: body.storedBytes, pieces: written)
  }
}
