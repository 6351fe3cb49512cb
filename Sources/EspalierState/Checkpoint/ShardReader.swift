/// The index of one shard, checked; and its chunks, read and checked one at a time.
struct ShardReader: Sendable {
  struct Piece: Sendable {
    let tensor: Int
    let slot: String
    let range: Range<Int>
    let element: ElementType
    /// Into `chunks`.
    let chunks: Range<Int>
  }

  struct Chunk: Sendable {
    let offset: Int
    let storedLength: Int
    let rawLength: Int
    let rawChecksum: UInt64
    /// Of its first element, from the start of its piece.
    let firstElement: Int
    let element: ElementType

    var elementCount: Int { rawLength / element.size }
  }

  let path: String
  let name: String
  let directory: OpenFile
  let fileSystem: FileSystem
  let header: ShardHeader
  /// Of the file.
  let length: Int
  let indexChecksum: Checksum
  let pieces: [Piece]
  let chunks: [Chunk]
  /// The document of `ShardDescription`.
  let description: [UInt8]

  /// Reads header, footer and index; every length in them is checked against the file before it is used.
  /// - Parameters:
  ///   - name: inside `directory`, already matched against the pattern of names.
  ///   - shard: what the manifest says of the file; nil where there is no manifest.
  ///   - saveID: that of the manifest.
  init(
    name: String, in directory: OpenFile, expecting shard: Manifest.Shard?, saveID: SaveID?, fileSystem: FileSystem
  ) throws {
    self.name = name
    self.directory = directory
    self.fileSystem = fileSystem
    let path = directory.path + "/" + name
    self.path = path
    let (file, length) = try fileSystem.openFile(name, in: directory)
    self.length = length
    if let shard, length != shard.bytes {
      let kind: CheckpointError.Kind = length < shard.bytes ? .truncated : .wrongLength
      throw CheckpointError.damaged(kind, file: path, "it has \(length) bytes instead of \(shard.bytes)")
    }
    guard length >= ShardFormat.headerBytes + ShardFormat.footerBytes else {
      throw CheckpointError.damaged(.truncated, file: path, "\(length) bytes are too few for a shard")
    }
    func bytes(_ range: Range<Int>) throws -> [UInt8] {
      try [UInt8](unsafeUninitializedCapacity: range.count) { buffer, count in
        try fileSystem.read(
          file, into: UnsafeMutableRawBufferPointer(start: buffer.baseAddress, count: range.count), at: range.lowerBound
        )
        count = range.count
      }
    }
    header = try bytes(0..<ShardFormat.headerBytes).withUnsafeBytes { try ShardHeader(decoding: $0, file: path) }
    if let shard, let saveID, header.saveID != saveID || Int(header.rank) != shard.rank {
      throw CheckpointError.damaged(
        .wrongSave, file: path, "it is shard \(header.rank) of save \(header.saveID), not \(shard.rank) of \(saveID)")
    }
    let footer = try bytes(length - ShardFormat.footerBytes..<length).withUnsafeBytes {
      try ShardFooter(decoding: $0, file: path)
    }
    let end = length - ShardFormat.footerBytes
    guard footer.fileLength == UInt64(length), footer.indexLength <= UInt64(CheckpointFormat.maximumIndexBytes),
      footer.indexOffset >= UInt64(ShardFormat.headerBytes), footer.indexOffset <= UInt64(end),
      UInt64(end) - footer.indexOffset == footer.indexLength, footer.indexLength >= UInt64(ShardFormat.indexHeaderBytes)
    else {
      throw CheckpointError.damaged(.invalidFooter, file: path, "the lengths in its footer do not fit the file")
    }
    if let shard, footer.indexChecksum != shard.indexChecksum {
      throw CheckpointError.damaged(.checksumMismatch, file: path, "its index is not the one that the manifest lists")
    }
    let index = try bytes(Int(footer.indexOffset)..<end)
    guard Checksum(of: index) == footer.indexChecksum else {
      throw CheckpointError.damaged(.checksumMismatch, file: path, "the checksum of its index does not match")
    }
    indexChecksum = footer.indexChecksum
    if let shard, footer.chunkCount != UInt64(shard.chunks) {
      throw CheckpointError.damaged(
        .invalidFooter, file: path, "it has \(footer.chunkCount) chunks instead of \(shard.chunks)")
    }
    (pieces, chunks, description) = try index.withUnsafeBytes {
      try Self.parse($0, chunkCount: footer.chunkCount, end: Int(footer.indexOffset), file: path)
    }
  }

  /// - Parameter end: where the chunks must end in the file.
  private static func parse(
    _ index: UnsafeRawBufferPointer, chunkCount: UInt64, end: Int, file: String
  ) throws -> ([Piece], [Chunk], [UInt8]) {
    func invalid(_ reason: String) -> CheckpointError { .damaged(.invalidIndex, file: file, "in its index \(reason)") }
    let pieceCount = Int(index.number(at: 8, as: UInt32.self))
    let slotCount = Int(index.number(at: 12, as: UInt32.self))
    guard index.number(at: 0) == ShardFormat.indexMagic, index.number(at: 16) == chunkCount,
      chunkCount <= UInt64(index.count)
    else { throw invalid("the heading is wrong") }
    let chunkTable = ShardFormat.indexHeaderBytes + pieceCount * ShardFormat.indexPieceBytes
    let slotTable = chunkTable + Int(chunkCount) * ShardFormat.indexChunkBytes
    guard slotTable <= index.count else { throw invalid("there are more entries than bytes") }

    var position = slotTable
    var slots: [String] = []
    for _ in 0..<slotCount {
      guard position + 4 <= index.count else { throw invalid("the names of slots are cut off") }
      let length = Int(index.number(at: position, as: UInt32.self))
      guard length <= index.count - position - 4,
        let slot = String(validating: index.slice(position + 4..<position + 4 + length), as: UTF8.self)
      else { throw invalid("the name of a slot is wrong") }
      slots.append(slot)
      position += 4 + length
    }
    // Behind the names either a description with its length, or nothing: fewer than four bytes can only be padding.
    var description: [UInt8] = []
    if position + 4 <= index.count {
      let described = Int(index.number(at: position, as: UInt32.self))
      guard described <= index.count - position - 4 else { throw invalid("the description is cut off") }
      description = Array(index.slice(position + 4..<position + 4 + described))
      if described > 0 { position += 4 + described }
    }
    guard ShardFormat.padded(position) == index.count, index[position...].allSatisfy({ $0 == 0 }) else {
      throw invalid("something follows the description")
    }

    // Chunks lie one behind the other with nothing between them.
    var chunks: [Chunk] = []
    chunks.reserveCapacity(Int(chunkCount))
    var offset = ShardFormat.headerBytes
    var pieces: [Piece] = []
    pieces.reserveCapacity(pieceCount)
    for number in 0..<pieceCount {
      let entry = index.slice(
        ShardFormat.indexHeaderBytes + number * ShardFormat.indexPieceBytes..<ShardFormat.indexHeaderBytes
          + (number + 1) * ShardFormat.indexPieceBytes)
      let slot = Int(entry.number(at: 8, as: UInt32.self))
      guard entry.number(at: 4, as: UInt32.self) == UInt32(number), let type = ElementType(code: entry.number(at: 12)),
        slot < slots.count, let lower = Int(exactly: entry.number(at: 16, as: UInt64.self)),
        let upper = Int(exactly: entry.number(at: 24, as: UInt64.self)), lower < upper,
        entry.number(at: 32) == UInt64(chunks.count), let count = Int(exactly: entry.number(at: 40, as: UInt64.self)),
        count <= Int(chunkCount) - chunks.count
      else { throw invalid("piece \(number) is wrong") }
      let first = chunks.count
      var element = 0
      for _ in 0..<count {
        let at = chunkTable + chunks.count * ShardFormat.indexChunkBytes
        let chunk = Chunk(
          offset: Int(truncatingIfNeeded: index.number(at: at, as: UInt64.self)),
          storedLength: Int(index.number(at: at + 8, as: UInt32.self)),
          rawLength: Int(index.number(at: at + 12, as: UInt32.self)), rawChecksum: index.number(at: at + 16),
          firstElement: element, element: type)
        guard chunk.offset == offset, chunk.rawLength > 0, chunk.rawLength % type.size == 0,
          chunk.rawLength <= CheckpointFormat.maximumChunkBytes, chunk.storedLength > 0,
          chunk.storedLength <= max(ShardFormat.storedBound(chunk.rawLength), 4),
          chunk.elementCount <= upper - lower - element
        else { throw invalid("chunk \(chunks.count) is wrong") }
        element += chunk.elementCount
        offset += ShardFormat.chunkHeaderBytes + ShardFormat.padded(chunk.storedLength)
        chunks.append(chunk)
      }
      guard element == upper - lower else { throw invalid("the chunks of piece \(number) do not fill it") }
      pieces.append(
        Piece(
          tensor: Int(entry.number(at: 0, as: UInt32.self)), slot: slots[slot], range: lower..<upper,
          element: type, chunks: first..<chunks.count))
    }
    guard chunks.count == Int(chunkCount), offset == end else { throw invalid("the chunks do not fill the file") }
    return (pieces, chunks, description)
  }

  /// The folder inside the checkpoint.
  var folder: String { directory.path.split(separator: "/").last.map(String.init) ?? "" }

  /// Opens the file for the reading of chunks.
  func open() throws -> OpenFile { try fileSystem.openFile(name, in: directory).file }

  /// Decodes the part of a piece that lies in `range` (in elements of the tensor) to the front of `destination`.
  func read(
    piece number: Int, range: Range<Int>, from file: OpenFile, with decoder: ChunkDecoder,
    into destination: UnsafeMutablePointer<Float>
  ) throws {
    let piece = pieces[number]
    let wanted = range.lowerBound - piece.range.lowerBound..<range.upperBound - piece.range.lowerBound
    // The last chunk that begins at or before the first wanted element.
    var low = piece.chunks.lowerBound
    var high = piece.chunks.upperBound
    while high - low > 1 {
      let middle = (low + high) / 2
      if chunks[middle].firstElement <= wanted.lowerBound { low = middle } else { high = middle }
    }
    var index = low
    while index < piece.chunks.upperBound, chunks[index].firstElement < wanted.upperBound {
      let chunk = chunks[index]
      let elements = chunk.firstElement..<chunk.firstElement + chunk.elementCount
      let part = wanted.clamped(to: elements)
      let target = destination + (part.lowerBound - wanted.lowerBound)
      let identity = ChunkDecoder.Identity(
        tensor: piece.tensor, piece: number, ordinal: index - piece.chunks.lowerBound)
      if part == elements, chunk.element == .f32 {
        try decoder.decode(chunk, identity, from: file, with: fileSystem, into: target)
      } else {
        let whole = try decoder.decodeToScratch(chunk, identity, from: file, with: fileSystem)
        chunk.element.widen(
          whole + (part.lowerBound - elements.lowerBound) * chunk.element.size, into: target, count: part.count)
      }
      index += 1
    }
  }
}
