/// What each of a number of ranks would have saved of a checkpoint's state: a pure function of the manifest.
struct ReshardPlan: Sendable {
  struct Piece: Sendable {
    /// Into the tensors of the manifest.
    let tensor: Int
    /// Into the slots of that tensor.
    let slot: Int
    /// In elements of the tensor.
    let range: Range<Int>
  }

  /// The pieces of each rank, in the order in which its store would write them.
  let shards: [[Piece]]
  /// Of the elements of a whole chunk.
  let chunkBytes: Int
  /// Whether every chunk of the slot is one of the source's, by tensor and slot.
  let isCopied: [[Bool]]

  /// Cuts the segments of the manifest as the layout planner does; where it names none, all tensors as one run.
  /// - Throws: `CheckpointError` for shapes that cannot be added up.
  init(_ reader: CheckpointReader, ranks: Int) throws {
    let manifest = reader.manifest
    let record =
      manifest.segments ?? SegmentRecord(segments: [Array(manifest.tensors.indices)])
    func items(_ segment: [Int], _ isTrained: Bool) -> [LayoutPlanner.Item] {
      segment.filter { manifest.tensors[$0].record.trainable == isTrained }.map {
        LayoutPlanner.Item(
          place: $0, count: manifest.tensors[$0].record.elementCount, cost: isTrained ? record.cost(of: $0) : 0)
      }
    }
    for segment in record.segments {
      var total = 0
      for tensor in segment {
        let (sum, overflow) = total.addingReportingOverflow(manifest.tensors[tensor].record.elementCount)
        guard !overflow, sum < Int.max / 2 else {
          throw CheckpointError.damaged(
            .invalidField, file: reader.path, "its tensors have more elements than a file can")
        }
        total = sum
      }
    }
    // As in a store, trained and frozen tensors are shared out each by themselves.
    let trained = LayoutPlanner.parts(record.segments.map { items($0, true) }, ranks)
    var shards: [[Piece]] = Array(repeating: [], count: ranks)
    for (segment, front) in zip(record.segments, trained) {
      for (part, items) in [
        (front, items(segment, true)), (LayoutPlanner.even(items(segment, false), ranks), items(segment, false)),
      ] {
        for rank in 0..<ranks {
          let slice = part.boundaries[rank]..<part.boundaries[rank + 1]
          for item in items {
            let start = part.offsets[item.place] ?? 0
            let own = (start..<start + item.count).clamped(to: slice)
            guard !own.isEmpty else { continue }
            let range = own.lowerBound - start..<own.upperBound - start
            shards[rank] += manifest.tensors[item.place].slots.indices.map {
              Piece(tensor: item.place, slot: $0, range: range)
            }
          }
        }
      }
    }
    self.shards = shards
    chunkBytes = Self.chunkBytes(reader)
    var isCopied = manifest.tensors.map { $0.slots.map { _ in true } }
    for piece in shards.joined() where isCopied[piece.tensor][piece.slot] {
      let slot = manifest.tensors[piece.tensor].slots[piece.slot]
      var first = piece.range.lowerBound
      while first < piece.range.upperBound {
        let range = first..<min(first + chunkBytes / slot.element.size, piece.range.upperBound)
        if Self.sameChunk(reader, slot, range) == nil {
          isCopied[piece.tensor][piece.slot] = false
          break
        }
        first = range.upperBound
      }
    }
    self.isCopied = isCopied
  }

  /// The chunk of the source that holds exactly these elements of a slot, if there is one.
  static func sameChunk(_ reader: CheckpointReader, _ slot: Manifest.Slot, _ range: Range<Int>)
    -> CheckpointReader.ChunkPart?
  {
    let parts = reader.chunks(of: slot, in: range.lowerBound..<range.lowerBound + 1)
    return parts.first { $0.range == range }
  }

  /// That of the source, so that chunks coincide where they can; unless it is so large that it would cost memory.
  private static func chunkBytes(_ reader: CheckpointReader) -> Int {
    let largest = 4 << 20
    let used = reader.shards.flatMap { shard in
      shard.pieces.filter { $0.chunks.count > 1 }.map { shard.chunks[$0.chunks.lowerBound].rawLength }
    }.max()
    guard let used, used <= largest else { return Snapshot.defaultChunkBytes }
    return used
  }
}
