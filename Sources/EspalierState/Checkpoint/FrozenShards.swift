/// The frozen tensors of a finished checkpoint and the files that hold them: what a later save links instead of writing.
///
/// The number of names that a file has is the number of checkpoints that need it, so any of them may be deleted at any time.
package struct FrozenShards: Sendable {
  /// The folder of the checkpoint.
  package let checkpoint: String
  let shards: [Manifest.Shard]
  /// By the number of the tensor; pieces are places in `shards`.
  let slots: [Int: Manifest.Slot]
  private let tensors: [Int: TensorRecord]

  /// nil where a checkpoint cannot be opened or has no such files.
  package init?(at path: String, fileSystem: FileSystem = .real) {
    guard let reader = try? CheckpointReader(path, fileSystem: fileSystem) else { return nil }
    self.init(reader.manifest, at: path)
  }

  private init?(_ manifest: Manifest, at path: String) {
    let numbers = manifest.shards.indices.filter { manifest.shards[$0].frozen != nil }
    guard !numbers.isEmpty else { return nil }
    let places = Dictionary(uniqueKeysWithValues: numbers.enumerated().map { ($1, $0) })
    var slots: [Int: Manifest.Slot] = [:], tensors: [Int: TensorRecord] = [:]
    for (number, tensor) in manifest.tensors.enumerated() where !tensor.record.trainable {
      for slot in tensor.slots where slot.pieces.contains(where: { places[$0.shard] != nil }) {
        let pieces = slot.pieces.compactMap { piece in
          places[piece.shard].map { Manifest.Piece(shard: $0, piece: piece.piece, range: piece.range) }
        }
        guard pieces.count == slot.pieces.count else { return nil }
        slots[number] = Manifest.Slot(
          name: slot.name, digest: slot.digest, element: slot.element, pieces: pieces)
        tensors[number] = tensor.record
      }
    }
    checkpoint = path
    shards = numbers.map { manifest.shards[$0] }
    self.slots = slots
    self.tensors = tensors
  }

  /// Whether these files hold exactly the frozen tensors of a state, with their bits.
  ///
  /// Numbers must agree as well: chunks carry them. Where they do not, or a tensor was thawed, the next save writes new files.
  /// - Parameter digests: of the values of the frozen tensors, by number.
  package func hold(_ state: [TensorRecord], digests: [Int: Digest]) -> Bool {
    let frozen = state.indices.filter { !state[$0].trainable && state[$0].elementCount > 0 }
    return frozen == slots.keys.sorted()
      && frozen.allSatisfy { tensors[$0] == state[$0] && slots[$0]?.digest == digests[$0] }
  }

  /// Length of all files.
  package var byteCount: Int { shards.reduce(0) { $0 + $1.bytes } }
  var rawBytes: Int { shards.reduce(0) { $0 + ($1.frozen?.rawBytes ?? 0) } }
  var storedBytes: Int { shards.reduce(0) { $0 + ($1.frozen?.storedBytes ?? 0) } }
}

extension CheckpointDirectory {
  /// Makes the folder of frozen tensors in a prepared save.
  /// - Parameter candidate: what may be linked there; taken at its word later, so it is looked at now.
  /// - Returns: whether the files of `candidate` are all there; if not, every rank must write its own.
  package func prepareFrozen(_ save: PreparedSave, candidate: FrozenShards?) throws -> Bool {
    try fileSystem.makeDirectory("\(save.path)/\(CheckpointFormat.frozenFolder)")
    try fileSystem.syncDirectory(save.path)
    guard let candidate else { return false }
    do {
      let folder = try fileSystem.openDirectory("\(candidate.checkpoint)/\(CheckpointFormat.frozenFolder)")
      return try candidate.shards.allSatisfy { try fileSystem.openFile($0.name, in: folder).length == $0.bytes }
    } catch { return false }
  }

  /// Gives the files of frozen tensors a second name in a prepared save; copies those that cannot have one (another file
  /// system, no links there, too many of them). What they hold is checked when the save is committed.
  package func link(_ frozen: FrozenShards, into save: String) throws {
    let target = "\(save)/\(CheckpointFormat.frozenFolder)"
    let source = try fileSystem.openDirectory("\(frozen.checkpoint)/\(CheckpointFormat.frozenFolder)")
    for shard in frozen.shards {
      do { try fileSystem.link("\(source.path)/\(shard.name)", as: "\(target)/\(shard.name)") } catch is CheckpointError
      {
        try fileSystem.copy(shard.name, in: source, to: "\(target)/\(shard.name)")
      }
    }
    try fileSystem.syncDirectory(target)
  }
}
