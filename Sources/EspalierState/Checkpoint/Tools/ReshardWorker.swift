/// One thread's part of a reshard: writes one destination shard at a time.
///
/// Memory: the destination chunk, the encoder's two buffers, the decoder's two, and the cache: under 64 MiB for any source.
final class ReshardWorker {
  private let job: Resharder
  private let fileSystem: FileSystem
  private let cache: ChunkCache
  private let encoder: ChunkEncoder
  private let elements: UnsafeMutableRawBufferPointer
  private var record: [UInt8] = []

  init(_ job: Resharder, compression: Compression, fileSystem: FileSystem) {
    self.job = job
    self.fileSystem = fileSystem
    cache = ChunkCache(job.source)
    encoder = ChunkEncoder(chunkBytes: job.cuts.chunkBytes, compression: compression)
    elements = .allocate(byteCount: job.cuts.chunkBytes, alignment: 64)
  }

  deinit { elements.deallocate() }

  func write(rank: Int, to folder: String) throws -> Resharder.WrittenShard {
    var counts = Resharder.Counts()
    let tensors = job.source.manifest.tensors, pieces = job.cuts.shards[rank]
    let stream = ShardStream(plan: job.plan, fileSystem: fileSystem)
    let summary = try stream.write(
      rank: rank, to: folder,
      pieces.map { piece in
        let slot = tensors[piece.tensor].slots[piece.slot]
        return ShardStream.Piece(tensor: piece.tensor, slot: slot.name, range: piece.range, element: slot.element)
      }
    ) { _, number, body in
      let piece = pieces[number], before = counts.copiedBytes + counts.recodedBytes
      let tensor = tensors[piece.tensor]
      let digest = try write(piece, number, tensor, tensor.slots[piece.slot], to: &body, &counts)
      return ShardStream.Written(digest: digest, rawBytes: counts.copiedBytes + counts.recodedBytes - before)
    }
    counts.storedBytes = summary.storedBytes
    return Resharder.WrittenShard(summary: summary, counts: counts)
  }

  /// - Returns: the digest of the piece. Of a slot that is copied as a whole no element is decoded: its chunks are the source's,
  ///   compared by their checksums, so its first piece brings the digest of the whole slot and the others nothing.
  private func write(
    _ piece: ReshardPlan.Piece, _ number: Int, _ tensor: Manifest.Tensor, _ slot: Manifest.Slot,
    to body: inout ShardBody, _ counts: inout Resharder.Counts
  ) throws -> Digest {
    let isCopied = job.cuts.isCopied[piece.tensor][piece.slot]
    var digest: Digest = isCopied && piece.range.lowerBound == 0 ? slot.digest : .zero
    let key = Digest.key(parameter: tensor.record.name, slot: slot.name)
    var first = piece.range.lowerBound
    var ordinal = 0
    while first < piece.range.upperBound {
      let range = first..<min(first + job.cuts.chunkBytes / slot.element.size, piece.range.upperBound)
      let bytes = UnsafeMutableRawBufferPointer(rebasing: elements[..<(range.count * slot.element.size)])
      let same = ReshardPlan.sameChunk(job.source, slot, range)
      if same == nil || !isCopied, let start = bytes.baseAddress {
        try cache.readStored(tensor, slot, range, into: start)
        digest += Digest(key: key, firstIndex: first, stored: start, slot.element, count: range.count)
      }
      if let same {
        try copy(same, tensor: piece.tensor, piece: number, ordinal: ordinal, to: &body)
        counts.copiedChunks += 1
        counts.copiedBytes += bytes.count
      } else {
        let raw = UnsafeRawBufferPointer(bytes)
        let checksum = Checksum(of: raw).value
        let (record, stored) = try encoder.encode(
          raw, of: slot.element, checksum: checksum, tensor: piece.tensor, piece: number, ordinal: ordinal)
        try body.append(record, storedLength: stored, rawLength: raw.count, checksum: checksum)
        counts.recodedChunks += 1
        counts.recodedBytes += bytes.count
      }
      first = range.upperBound
      ordinal += 1
    }
    return digest
  }

  /// Copies a chunk as it is stored; the header alone says something new. What is stored is checked against its checksum.
  private func copy(
    _ part: CheckpointReader.ChunkPart, tensor: Int, piece: Int, ordinal: Int, to body: inout ShardBody
  ) throws {
    let chunk = job.source.shards[part.shard].chunks[part.chunk]
    let length = ShardFormat.chunkHeaderBytes + ShardFormat.padded(chunk.storedLength)
    if record.count < length { record = [UInt8](repeating: 0, count: length) }
    let file = try cache.file(part.shard)
    try record.withUnsafeMutableBytes { buffer in
      let bytes = UnsafeMutableRawBufferPointer(rebasing: buffer[..<length])
      try fileSystem.read(file, into: bytes, at: chunk.offset)
      let header = try ChunkDecoder.check(UnsafeRawBufferPointer(bytes), chunk, part.identity, file: file.path)
      header.moved(tensor: tensor, piece: piece, ordinal: ordinal).encode(into: bytes)
      try body.append(
        UnsafeRawBufferPointer(bytes), storedLength: chunk.storedLength, rawLength: chunk.rawLength,
        checksum: chunk.rawChecksum)
    }
  }
}
