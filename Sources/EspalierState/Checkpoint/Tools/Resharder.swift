import EspalierComm

/// Cuts a checkpoint for another number of ranks, without the model and without ever holding more than a few chunks of it.
///
/// Each destination shard is written as the store of that rank would have written it. A chunk that the source has with the same
/// range of elements is copied as it is stored, under a new header; every other is put together from decoded chunks. At the
/// end the digest of every slot is compared with the source's. The save becomes a checkpoint by `Placement`, as any other does.
package struct Resharder: Sendable {
  /// What was done for one or more shards.
  package struct Counts: Codable, Sendable, Equatable {
    package var copiedChunks = 0
    package var recodedChunks = 0
    /// Of the elements.
    package var copiedBytes = 0
    package var recodedBytes = 0
    package var storedBytes = 0

    package init() {}

    package static func + (a: Counts, b: Counts) -> Counts {
      var sum = a
      sum.copiedChunks += b.copiedChunks
      sum.recodedChunks += b.recodedChunks
      sum.copiedBytes += b.copiedBytes
      sum.recodedBytes += b.recodedBytes
      sum.storedBytes += b.storedBytes
      return sum
    }
  }

  package struct WrittenShard: Codable, Sendable {
    package let summary: ShardSummary
    package let counts: Counts
  }

  package let source: CheckpointReader
  package let plan: CheckpointPlan
  let cuts: ReshardPlan

  /// - Parameters:
  ///   - world: how the new checkpoint says it is spread; its ranks are the shards.
  ///   - state: the trainer's document, in which the reader's stands with what is to be said of this.
  package init(
    _ source: CheckpointReader, world: CheckpointWorld, state: [UInt8], saveID: SaveID, created: String = timestamp()
  ) throws {
    self.source = source
    let manifest = source.manifest
    cuts = try ReshardPlan(source, ranks: world.ranks)
    plan = CheckpointPlan(
      saveID: saveID, step: source.step, tensors: source.tensors, slots: manifest.tensors.map { $0.slots.map(\.name) },
      state: state, world: world, segments: manifest.segments, created: created)
  }

  /// Slots whose sameness is proven by the checksums of copied chunks, and those proven by their digest.
  package var slotsCopied: Int { cuts.isCopied.joined().filter { $0 }.count }
  package var slotCount: Int { cuts.isCopied.joined().count }

  /// Writes the shards of some ranks into a prepared folder, several at a time.
  /// - Returns: in the order of `ranks`.
  package func write(
    ranks: [Int], to folder: String, workers: Int, compression: Compression = .auto, fileSystem: FileSystem = .real
  ) throws -> [WrittenShard] {
    let written = Monitor([Int: WrittenShard]())
    try WorkerPool.forEach(ranks.count, workers: workers) {
      let worker = ReshardWorker(self, compression: compression, fileSystem: fileSystem)
      return { number in
        let shard = try worker.write(rank: ranks[number], to: folder)
        written.update { $0[number] = shard }
      }
    }
    return written.read { found in ranks.indices.compactMap { found[$0] } }
  }

  /// Compares the digest of every slot with the source's.
  /// - Throws: `resultDiffers`.
  package func requireSame(_ summaries: [ShardSummary]) throws {
    let result = try Manifest(plan: plan, summaries: summaries, file: source.path)
    for (tensor, other) in zip(source.manifest.tensors, result.tensors) {
      for (slot, new) in zip(tensor.slots, other.slots) where slot.digest != new.digest {
        throw CheckpointError(
          .resultDiffers, file: source.path, tensor: "\(tensor.record.name)/\(slot.name)",
          reason: "its digest is \(slot.digest) here and \(new.digest) in the new shards",
          remedy: "check the source with `espalier verify --full`; nothing was committed")
      }
    }
  }
}
