/// Decoded chunks of a checkpoint, the most recently used ones, within a limit of bytes. One thread at a time.
///
/// Whoever reads slots piece by piece and range by range decodes each chunk once, however the ranges lie across the chunks.
final class ChunkCache {
  static let defaultBytes = 16 << 20
  /// Open files that are kept; those of a checkpoint of a thousand ranks would be too many.
  private static let maximumFiles = 16

  let reader: CheckpointReader
  private let capacity: Int
  private let decoder = ChunkDecoder()
  private var entries: [Key: Entry] = [:]
  private var bytes = 0
  private var clock = 0
  private var files: [Int: OpenFile] = [:]

  private struct Key: Hashable {
    let shard: Int
    let chunk: Int
  }

  private struct Entry {
    let start: UnsafeMutableRawPointer
    let bytes: Int
    var used: Int
  }

  init(_ reader: CheckpointReader, capacity: Int = ChunkCache.defaultBytes) {
    self.reader = reader
    self.capacity = capacity
  }

  deinit { for entry in entries.values { entry.start.deallocate() } }

  /// Reads elements of a slot as floats. Errors name file, tensor and slot.
  /// - Precondition: `range` lies inside the tensor; `destination` has room for it.
  func read(
    _ tensor: Manifest.Tensor, _ slot: Manifest.Slot, _ range: Range<Int>, into destination: UnsafeMutablePointer<Float>
  ) throws {
    try forEachPart(tensor, slot, range) { source, part in
      slot.element.widen(source, into: destination + (part.lowerBound - range.lowerBound), count: part.count)
    }
  }

  /// As above, as they are stored.
  func readStored(
    _ tensor: Manifest.Tensor, _ slot: Manifest.Slot, _ range: Range<Int>, into destination: UnsafeMutableRawPointer
  ) throws {
    let size = slot.element.size
    try forEachPart(tensor, slot, range) { source, part in
      (destination + (part.lowerBound - range.lowerBound) * size).copyMemory(
        from: source, byteCount: part.count * size)
    }
  }

  private func forEachPart(
    _ tensor: Manifest.Tensor, _ slot: Manifest.Slot, _ range: Range<Int>,
    _ body: (UnsafeRawPointer, Range<Int>) -> Void
  ) throws {
    for part in reader.chunks(of: slot, in: range) {
      let start: UnsafeMutableRawPointer
      do { start = try decoded(part) } catch let error as CheckpointError {
        throw error.naming("\(tensor.record.name)/\(slot.name)")
      }
      let wanted = part.range.clamped(to: range)
      body(start + (wanted.lowerBound - part.range.lowerBound) * slot.element.size, wanted)
    }
  }

  /// The file of a shard, open.
  func file(_ shard: Int) throws -> OpenFile {
    if let file = files[shard] { return file }
    if files.count >= Self.maximumFiles { files.removeAll() }
    let file = try reader.shards[shard].open()
    files[shard] = file
    return file
  }

  private func decoded(_ part: CheckpointReader.ChunkPart) throws -> UnsafeMutableRawPointer {
    clock += 1
    let key = Key(shard: part.shard, chunk: part.chunk)
    if let entry = entries[key] {
      entries[key]?.used = clock
      return entry.start
    }
    let shard = reader.shards[part.shard]
    let chunk = shard.chunks[part.chunk]
    while bytes + chunk.rawLength > capacity, let oldest = entries.min(by: { $0.value.used < $1.value.used }) {
      bytes -= oldest.value.bytes
      oldest.value.start.deallocate()
      entries[oldest.key] = nil
    }
    let start = UnsafeMutableRawPointer.allocate(byteCount: chunk.rawLength, alignment: 64)
    do {
      try decoder.decode(
        chunk, part.identity, from: file(part.shard), with: shard.fileSystem, into: start)
    } catch {
      start.deallocate()
      throw error
    }
    entries[key] = Entry(start: start, bytes: chunk.rawLength, used: clock)
    bytes += chunk.rawLength
    return start
  }
}

extension CheckpointReader {
  /// A chunk that holds elements of a slot.
  struct ChunkPart {
    let shard: Int
    /// Into the chunks of the shard.
    let chunk: Int
    let identity: ChunkDecoder.Identity
    /// All of its elements, counted in the tensor.
    let range: Range<Int>
  }

  /// The chunks that hold elements `range` of a slot, in their order.
  func chunks(of slot: Manifest.Slot, in range: Range<Int>) -> [ChunkPart] {
    guard !range.isEmpty else { return [] }
    var parts: [ChunkPart] = []
    var number = slot.pieces.firstPlace { $0.range.upperBound > range.lowerBound }
    while number < slot.pieces.count, slot.pieces[number].range.lowerBound < range.upperBound {
      let piece = slot.pieces[number]
      let shard = shards[piece.shard]
      let entry = shard.pieces[piece.piece]
      let chunks = shard.chunks[entry.chunks]
      let start = entry.range.lowerBound
      var index = chunks.firstPlace { start + $0.firstElement + $0.elementCount > range.lowerBound }
      while index < chunks.endIndex, start + chunks[index].firstElement < range.upperBound {
        let first = start + chunks[index].firstElement
        parts.append(
          ChunkPart(
            shard: piece.shard, chunk: index,
            identity: .init(tensor: entry.tensor, piece: piece.piece, ordinal: index - chunks.startIndex),
            range: first..<first + chunks[index].elementCount))
        index += 1
      }
      number += 1
    }
    return parts
  }
}

extension RandomAccessCollection where Index == Int {
  /// The first place where `isBeyond` holds, as it does for all that follow.
  fileprivate func firstPlace(where isBeyond: (Element) -> Bool) -> Int {
    var low = startIndex, high = endIndex
    while low < high {
      let middle = (low + high) / 2
      if isBeyond(self[middle]) { high = middle } else { low = middle + 1 }
    }
    return low
  }
}
