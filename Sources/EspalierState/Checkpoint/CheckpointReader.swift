/// A checkpoint on disk, opened and checked: every range of every slot can be read, whoever wrote it on however many ranks.
///
/// Opening checks COMMIT, the manifest, and header, index and footer of every shard; chunks are checked as they are read, or
/// all at once by `verify(full: true)`. It holds no mutable state, so any thread may read.
package final class CheckpointReader: Sendable {
  package let path: String
  package let manifest: Manifest
  let shards: [ShardReader]
  private let tensorNumbers: [String: Int]

  package var step: Int { manifest.step }
  package var saveID: SaveID { manifest.saveID }
  package var tensors: [TensorRecord] { manifest.tensors.map(\.record) }
  package var world: CheckpointWorld { manifest.world }
  /// The JSON document of the trainer's, in canonical form.
  package var state: [UInt8] { manifest.state.canonical }

  /// - Parameter path: the folder of a finished checkpoint.
  /// - Throws: `CheckpointError` for the first thing that is wrong.
  package convenience init(_ path: String, fileSystem: FileSystem = .real) throws {
    try self.init(folder: path, step: CheckpointFrame.step(of: path), fileSystem: fileSystem)
  }

  /// - Parameter step: what the name of the folder says, if it says anything.
  convenience init(folder path: String, step: Int?, fileSystem: FileSystem) throws {
    try self.init(CheckpointFrame(path, step: step, fileSystem: fileSystem))
  }

  /// Opens the shards of a manifest that was read.
  convenience init(_ frame: CheckpointFrame) throws {
    try self.init(frame, shards: frame.manifest.shards.map { try frame.open($0) })
  }

  /// - Parameter shards: opened, in the order of the manifest.
  init(_ frame: CheckpointFrame, shards: [ShardReader]) throws {
    path = frame.path
    manifest = frame.manifest
    self.shards = shards
    tensorNumbers = Dictionary(
      manifest.tensors.enumerated().map { ($1.record.name, $0) }, uniquingKeysWith: { first, _ in first })
    try matchPieces()
  }

  /// Every piece of the manifest is one of its shard, and every piece of a shard is in the manifest.
  private func matchPieces() throws {
    var unused = shards.map(\.pieces.count)
    for (number, tensor) in manifest.tensors.enumerated() {
      for slot in tensor.slots {
        for piece in slot.pieces {
          let shard = shards[piece.shard]
          let subject = "\(tensor.record.name)/\(slot.name)"
          guard shard.pieces.indices.contains(piece.piece) else {
            throw CheckpointError.damaged(
              .indexDisagrees, file: shard.path, tensor: subject, "the shard has no piece \(piece.piece)")
          }
          let entry = shard.pieces[piece.piece]
          guard entry.tensor == number, entry.slot == slot.name, entry.range == piece.range,
            entry.element == slot.element
          else {
            throw CheckpointError.damaged(
              .indexDisagrees, file: shard.path, tensor: subject,
              "piece \(piece.piece) is \(entry.element) \(entry.range) of '\(entry.slot)' of tensor \(entry.tensor) here, "
                + "but \(slot.element) \(piece.range) of '\(slot.name)' of tensor \(number) in the manifest")
          }
          unused[piece.shard] -= 1
        }
      }
    }
    if let shard = unused.firstIndex(where: { $0 != 0 }) {
      throw CheckpointError.damaged(
        .indexDisagrees, file: shards[shard].path, "\(unused[shard]) of its pieces are not in the manifest")
    }
  }
}

// MARK: Reading

extension CheckpointReader {
  /// The names of the slots of a tensor, in the order of the save.
  package func slots(of tensor: String) throws -> [String] { try find(tensor).slots.map(\.name) }

  package func record(of tensor: String) throws -> TensorRecord { try find(tensor).record }

  /// The digest of a whole slot, as it was computed from the snapshot.
  package func digest(of tensor: String, slot: String) throws -> Digest { try find(tensor, slot).digest }

  /// The sum of the digests of all slots.
  package var digest: Digest {
    manifest.tensors.reduce(.zero) { $1.slots.reduce($0) { $0 + $1.digest } }
  }

  /// Reads elements of a slot; only the chunks that `range` touches are read and decoded, and each is checked.
  ///
  /// - Parameters:
  ///   - range: in elements of the tensor, row-major; by default all of it.
  ///   - destination: room for `range.count` floats.
  /// - Throws: `CheckpointError` that names file, tensor and slot.
  /// - Precondition: `range` lies inside the tensor.
  package func read(
    tensor: String, slot: String, range: Range<Int>? = nil, into destination: UnsafeMutablePointer<Float>
  ) throws {
    let record = try find(tensor).record
    let range = range ?? 0..<record.elementCount
    precondition(
      range.lowerBound >= 0 && range.upperBound <= record.elementCount,
      "elements \(range) of '\(tensor)', which has \(record.elementCount)")
    guard !range.isEmpty else { return }
    let decoder = ChunkDecoder()
    let pieces = try find(tensor, slot).pieces
    // Pieces are sorted: skip those that end before the range.
    var low = 0
    var high = pieces.count
    while low < high {
      let middle = (low + high) / 2
      if pieces[middle].range.upperBound <= range.lowerBound { low = middle + 1 } else { high = middle }
    }
    var open: (shard: Int, file: OpenFile)?
    for piece in pieces[low...] {
      guard piece.range.lowerBound < range.upperBound else { break }
      let part = range.clamped(to: piece.range)
      let shard = shards[piece.shard]
      do {
        let file = try open.flatMap { $0.shard == piece.shard ? $0.file : nil } ?? shard.open()
        open = (piece.shard, file)
        try shard.read(
          piece: piece.piece, range: part, from: file, with: decoder,
          into: destination + (part.lowerBound - range.lowerBound))
      } catch let error as CheckpointError { throw error.naming("\(tensor)/\(slot)") }
    }
  }

  private func find(_ tensor: String) throws -> Manifest.Tensor {
    guard let number = tensorNumbers[tensor] else {
      throw CheckpointError(
        .unknownTensor, file: path, tensor: tensor, reason: "there is no tensor of this name in the checkpoint",
        remedy: "list what there is with `espalier inspect`")
    }
    return manifest.tensors[number]
  }

  private func find(_ tensor: String, _ slot: String) throws -> Manifest.Slot {
    let slots = try find(tensor).slots
    guard let found = slots.first(where: { $0.name == slot }) else {
      throw CheckpointError(
        .unknownSlot, file: path, tensor: tensor,
        reason: "it has no slot '\(slot)', only \(slots.map(\.name).joined(separator: ", "))",
        remedy: "list what there is with `espalier inspect`")
    }
    return found
  }
}

// MARK: Verifying

extension CheckpointReader {
  /// All that is wrong with the chunks; nothing if `full` is false, since the rest was checked when it was opened.
  ///
  /// One problem is named for each piece, with the number of its damaged chunks.
  package func verify(full: Bool, workers: Int = 1) -> [CheckpointError] {
    full ? ChunkVerification(shards: shards, tensors: tensors.map(\.name)).problems(workers: workers) : []
  }

  /// All that is wrong with the checkpoint in a folder, whether or not it can be opened.
  package static func problems(
    at path: String, full: Bool, workers: Int = 1, fileSystem: FileSystem = .real
  ) -> [CheckpointError] {
    CheckpointVerifier(path, full: full, workers: workers, fileSystem: fileSystem).problems()
  }
}
