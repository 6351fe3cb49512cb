/// The file as it grows, and the index that will close it.
struct ShardBody {
  let output: OpenFile
  let fileSystem: FileSystem
  private var position = 0
  private(set) var storedBytes = 0
  private var pieces = ByteRecord()
  private var chunks = ByteRecord()
  private var pieceCount = 0
  private var chunkCount = 0
  private var slots: [String] = []
  /// Chunks are counted only when the next piece begins, so a piece is entered when it is complete.
  private var open: (tensor: Int, slot: String, range: Range<Int>, element: ElementType, firstChunk: Int)?

  init(output: OpenFile, fileSystem: FileSystem) {
    self.output = output
    self.fileSystem = fileSystem
  }

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

  mutating func begin(tensor: Int, slot: String, range: Range<Int>, element: ElementType) {
    close()
    open = (tensor, slot, range, element, chunkCount)
  }

  private mutating func close() {
    guard let (tensor, name, range, element, firstChunk) = open else { return }
    open = nil
    let slot = slots.firstIndex(of: name) ?? slots.count
    if slot == slots.count { slots.append(name) }
    pieces.append(UInt32(tensor))
    pieces.append(UInt32(pieceCount))
    pieces.append(UInt32(slot))
    pieces.append(element.code)
    pieces.append(UInt64(range.lowerBound))
    pieces.append(UInt64(range.upperBound))
    pieces.append(UInt64(firstChunk))
    pieces.append(UInt64(chunkCount - firstChunk))
    pieceCount += 1
  }

  mutating func finish(_ description: ShardDescription) throws -> ShardFooter {
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
    let described = description.json.canonical
    index.append(UInt32(described.count))
    index.append(bytes: described)
    index.pad()
    guard index.bytes.count <= CheckpointFormat.maximumIndexBytes else {
      throw CheckpointError(
        .encodingFailed, file: output.path, reason: "its index would have \(index.bytes.count) bytes",
        remedy: "save from more ranks")
    }
    let footer = ShardFooter(
      indexOffset: UInt64(position), indexLength: UInt64(index.bytes.count), indexChecksum: Checksum(of: index.bytes),
      chunkCount: UInt64(chunkCount),
      fileLength: UInt64(position + index.bytes.count + ShardFormat.footerBytes))
    try append(index.bytes + footer.encoded)
    return footer
  }
}
