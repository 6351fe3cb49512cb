/// How the run was spread when it saved.
package struct CheckpointWorld: Codable, Sendable, Equatable {
  package let ranks: Int
  package let hosts: Int
  /// ZeRO.
  package let stage: Int
  /// "in-process", "mpi".
  package let transport: String

  package init(ranks: Int, hosts: Int, stage: Int, transport: String) {
    self.ranks = ranks
    self.hosts = hosts
    self.stage = stage
    self.transport = transport
  }
}

/// All that rank 0 says of a save apart from the shards.
package struct CheckpointPlan: Sendable {
  package let saveID: SaveID
  package let step: Int
  package let tensors: [TensorRecord]
  /// The names of the slots of each tensor, in the order of `tensors`.
  package let slots: [[String]]
  /// A JSON document of the trainer's: schedule, data cursor, seeds, lineage. Kept as it is, number by number.
  package let state: [UInt8]
  package let world: CheckpointWorld
  /// Which tensors are cut among ranks together; nil where nobody knows.
  package let segments: SegmentRecord?
  /// "2026-11-23T17:42:25Z"
  package let created: String

  package init(
    saveID: SaveID, step: Int, tensors: [TensorRecord], slots: [[String]], state: [UInt8], world: CheckpointWorld,
    segments: SegmentRecord? = nil, created: String = timestamp()
  ) {
    precondition(slots.count == tensors.count, "\(slots.count) lists of slots for \(tensors.count) tensors")
    self.saveID = saveID
    self.step = step
    self.tensors = tensors
    self.slots = slots
    self.state = state
    self.world = world
    self.segments = segments
    self.created = created
  }
}

/// What is in a checkpoint and where: the content of MANIFEST.json.
package struct Manifest: Sendable, Equatable {
  package struct Piece: Sendable, Equatable {
    /// Into `shards`.
    package let shard: Int
    /// Into the pieces of that shard.
    package let piece: Int
    package let range: Range<Int>
  }

  package struct Slot: Sendable, Equatable {
    package let name: String
    /// Of the whole slot.
    package let digest: Digest
    /// How its elements are stored.
    package let element: ElementType
    /// In the order of their elements, tiling the tensor.
    package let pieces: [Piece]
  }

  package struct Tensor: Sendable, Equatable {
    package let record: TensorRecord
    package let slots: [Slot]
  }

  package struct Shard: Sendable, Equatable {
    package let file: String
    package let rank: Int
    package let host: String
    package let bytes: Int
    package let chunks: Int
    package let indexChecksum: Checksum
    /// Of a file in `frozen/`, which several checkpoints may share; nil for one of this save alone.
    package let frozen: Frozen?

    package init(
      file: String, rank: Int, host: String, bytes: Int, chunks: Int, indexChecksum: Checksum, frozen: Frozen? = nil
    ) {
      self.file = file
      self.rank = rank
      self.host = host
      self.bytes = bytes
      self.chunks = chunks
      self.indexChecksum = indexChecksum
      self.frozen = frozen
    }

    init(_ summary: ShardSummary, saveID: SaveID) {
      self.init(
        file: summary.file, rank: summary.rank, host: summary.host, bytes: summary.bytes, chunks: summary.chunks,
        indexChecksum: summary.indexChecksum,
        frozen: summary.isFrozen
          ? Frozen(firstSaved: saveID, rawBytes: summary.rawBytes, storedBytes: summary.storedBytes) : nil)
    }
  }

  /// What a shared file says besides.
  package struct Frozen: Sendable, Equatable {
    /// The save that wrote it, whose name stands in its header.
    package let firstSaved: SaveID
    /// Bytes of its elements before and after compression.
    package let rawBytes: Int
    package let storedBytes: Int
  }

  package let version: (major: Int, minor: Int)
  package let saveID: SaveID
  package let step: Int
  /// "2026-11-23T17:42:25Z"
  package let created: String
  package let world: CheckpointWorld
  package let tensors: [Tensor]
  package let shards: [Shard]
  package let segments: SegmentRecord?
  package let parity: ParityRecord?
  package let state: StrictJSON
  /// Bytes of all elements before and after compression.
  package let rawBytes: Int
  package let storedBytes: Int

  package static func == (a: Manifest, b: Manifest) -> Bool { a.json == b.json }
}

extension Manifest {
  /// Puts the summaries of all ranks together, with the files of frozen tensors that were linked instead of written.
  /// - Throws: `CheckpointError` if they do not tile every slot of the plan, or the state is no JSON document.
  /// - Parameter firstSaved: of files in `frozen/` that are of another save than the plan's, by name.
  init(
    plan: CheckpointPlan, summaries: [ShardSummary], linked: FrozenShards? = nil, firstSaved: [String: SaveID] = [:],
    parity: ParityRecord? = nil, file: String
  ) throws {
    version = (CheckpointFormat.major, CheckpointFormat.minor)
    saveID = plan.saveID
    step = plan.step
    created = plan.created
    world = plan.world
    segments = plan.segments
    self.parity = parity
    do { state = try StrictJSON(parsing: plan.state) } catch let error as StrictJSONError {
      throw CheckpointError(
        .invalidJSON, file: file, reason: "the trainer's state is not strict JSON: \(error)",
        remedy: "report this as a bug")
    }
    let ordered = summaries.sorted { ($0.isFrozen ? 1 : 0, $0.rank) < ($1.isFrozen ? 1 : 0, $1.rank) }
    shards = ordered.map { Shard($0, saveID: firstSaved[$0.file] ?? plan.saveID) } + (linked?.shards ?? [])
    rawBytes = ordered.reduce(linked?.rawBytes ?? 0) { $0 + $1.rawBytes }
    storedBytes = ordered.reduce(linked?.storedBytes ?? 0) { $0 + $1.storedBytes }

    var found: [[String: (digest: Digest, element: ElementType?, pieces: [Piece])]] = Array(
      repeating: [:], count: plan.tensors.count)
    for (tensor, names) in plan.slots.enumerated() {
      for name in names { found[tensor][name] = (.zero, nil, []) }
    }
    for (shard, summary) in ordered.enumerated() {
      for (number, piece) in summary.pieces.enumerated() {
        guard found.indices.contains(piece.tensor), piece.lower < piece.upper,
          let slot = found[piece.tensor][piece.slot], slot.element ?? piece.element == piece.element
        else {
          throw CheckpointError(
            .unknownSlot, file: file,
            tensor: found.indices.contains(piece.tensor) ? plan.tensors[piece.tensor].name : nil,
            reason: "rank \(summary.rank) wrote slot '\(piece.slot)' of tensor \(piece.tensor), "
              + "which is not in the plan, or \(piece.element) unlike others",
            remedy: "report this as a bug")
        }
        found[piece.tensor][piece.slot]?.digest += piece.digest
        found[piece.tensor][piece.slot]?.element = piece.element
        found[piece.tensor][piece.slot]?.pieces.append(
          Piece(shard: shard, piece: number, range: piece.lower..<piece.upper))
      }
    }
    for (tensor, slot) in linked?.slots ?? [:] where found.indices.contains(tensor) {
      found[tensor][slot.name] = (
        slot.digest, slot.element,
        slot.pieces.map { Piece(shard: ordered.count + $0.shard, piece: $0.piece, range: $0.range) }
      )
    }
    tensors = zip(plan.tensors, zip(plan.slots, found)).map { record, slots in
      Tensor(
        record: record,
        slots: slots.0.map { name in
          let (digest, element, pieces) = slots.1[name] ?? (.zero, nil, [])
          return Slot(
            name: name, digest: digest, element: element ?? .f32,
            pieces: pieces.sorted { $0.range.lowerBound < $1.range.lowerBound })
        })
    }
    try check(file: file)
  }

  /// Names are unique and pieces tile every slot: no hole, no overlap, nothing beyond the shape, no piece used twice.
  func check(file: String) throws {
    func refuse(_ kind: CheckpointError.Kind, _ tensor: String?, _ reason: String) -> CheckpointError {
      .damaged(kind, file: file, tensor: tensor, reason)
    }
    var names: Set<String> = []
    var used: [Set<Int>] = Array(repeating: [], count: shards.count)
    for tensor in tensors {
      let name = tensor.record.name
      guard !name.isEmpty, names.insert(name).inserted else {
        throw refuse(.duplicateName, name, "two tensors have this name, or none")
      }
      var count = 1
      for extent in tensor.record.shape {
        let (product, overflow) = count.multipliedReportingOverflow(by: extent)
        guard extent >= 0, !overflow, product <= Int.max / 8 else {
          throw refuse(.invalidField, name, "its shape \(tensor.record.shape) is impossible")
        }
        count = product
      }
      var slots: Set<String> = []
      for slot in tensor.slots {
        let subject = "\(name)/\(slot.name)"
        guard !slot.name.isEmpty, slots.insert(slot.name).inserted else {
          throw refuse(.duplicateName, subject, "two slots have this name, or none")
        }
        var end = 0
        for piece in slot.pieces {
          guard piece.range.upperBound <= count else {
            throw refuse(.beyondShape, subject, "a piece ends at element \(piece.range.upperBound) of \(count)")
          }
          guard piece.range.lowerBound <= end else {
            throw refuse(.hole, subject, "elements \(end) to \(piece.range.lowerBound) are missing")
          }
          guard piece.range.lowerBound == end else {
            throw refuse(
              .overlap, subject,
              "elements \(piece.range.lowerBound) to \(min(end, piece.range.upperBound)) are there twice")
          }
          guard shards[piece.shard].frozen == nil || (!tensor.record.trainable && slot.name == "value") else {
            throw refuse(.invalidField, subject, "a frozen file holds it, but it is trained")
          }
          guard used[piece.shard].insert(piece.piece).inserted else {
            throw refuse(.overlap, subject, "piece \(piece.piece) of shard \(piece.shard) is used twice")
          }
          end = piece.range.upperBound
        }
        guard end == count else { throw refuse(.hole, subject, "elements \(end) to \(count) are missing") }
      }
    }
  }
}
