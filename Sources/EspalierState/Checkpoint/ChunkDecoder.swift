internal import CZstd
import EspalierTensor

/// Reads a chunk and returns exactly the bytes that were staged, or throws. One thread at a time.
final class ChunkDecoder {
  /// Where a chunk must say that it belongs.
  struct Identity {
    let tensor: Int
    let piece: Int
    let ordinal: Int
  }

  private let context: OpaquePointer
  private var stored = UnsafeMutableRawBufferPointer(start: nil, count: 0)
  private var planes = UnsafeMutableRawBufferPointer(start: nil, count: 0)
  private var scratch = UnsafeMutableRawBufferPointer(start: nil, count: 0)

  init() {
    guard let context = ZSTD_createDCtx() else { preconditionFailure("no memory for a zstd context") }
    self.context = context
    // ZSTD_d_forceIgnoreChecksum, 1 to switch it on: a frame may have a checksum, and the raw bytes have one of ours. No harm where it is
    // unknown.
    _ = ZSTD_DCtx_setParameter(context, ZSTD_dParameter(rawValue: 1002), 1)
  }

  deinit {
    ZSTD_freeDCtx(context)
    stored.deallocate()
    planes.deallocate()
    scratch.deallocate()
  }

  /// As `decode`, into memory of the decoder's that is valid until the next call.
  func decodeToScratch(
    _ chunk: ShardReader.Chunk, _ identity: Identity, from file: OpenFile, with fileSystem: FileSystem
  ) throws -> UnsafeMutableRawPointer {
    let target = Self.grow(&scratch, to: chunk.rawLength)
    try decode(chunk, identity, from: file, with: fileSystem, into: target)
    return target
  }

  /// - Parameter destination: room for `chunk.rawLength` bytes, which the index has promised and its checker has bounded.
  func decode(
    _ chunk: ShardReader.Chunk, _ identity: Identity, from file: OpenFile, with fileSystem: FileSystem,
    into destination: UnsafeMutableRawPointer
  ) throws {
    func invalid(_ kind: CheckpointError.Kind, _ reason: String) -> CheckpointError {
      .damaged(kind, file: file.path, "\(reason), in the chunk at byte \(chunk.offset)")
    }
    let length = ShardFormat.chunkHeaderBytes + ShardFormat.padded(chunk.storedLength)
    let start = Self.grow(&stored, to: length)
    let record = UnsafeMutableRawBufferPointer(start: start, count: length)
    try ProgressCounter.duringFileOperation { try fileSystem.read(file, into: record, at: chunk.offset) }
    let bytes = UnsafeRawBufferPointer(record)

    let header = try Self.check(bytes, chunk, identity, file: file.path)
    let payload = bytes.slice(ShardFormat.chunkHeaderBytes..<ShardFormat.chunkHeaderBytes + chunk.storedLength)
    do { try decode(payload, header, into: destination) } catch let reason as Refusal {
      throw invalid(reason.kind, reason.text)
    }
    let raw = UnsafeRawBufferPointer(start: destination, count: chunk.rawLength)
    guard Checksum(of: raw).value == header.rawChecksum else {
      throw invalid(.checksumMismatch, "the checksum of the decoded elements does not match")
    }
  }

  /// Checks the record of a chunk up to its stored bytes.
  static func check(
    _ bytes: UnsafeRawBufferPointer, _ chunk: ShardReader.Chunk, _ identity: Identity, file: String
  ) throws -> ChunkHeader {
    func invalid(_ kind: CheckpointError.Kind, _ reason: String) -> CheckpointError {
      .damaged(kind, file: file, "\(reason), in the chunk at byte \(chunk.offset)")
    }
    guard let header = ChunkHeader(decoding: bytes) else {
      throw invalid(.checksumMismatch, "the checksum of the header does not match")
    }
    guard header.tensor == UInt32(identity.tensor), header.piece == UInt32(identity.piece),
      header.ordinal == UInt32(identity.ordinal)
    else {
      throw invalid(
        .chunkMisplaced, "chunk \(header.ordinal) of piece \(header.piece) of tensor \(header.tensor) lies here")
    }
    guard Int(header.rawLength) == chunk.rawLength, Int(header.storedLength) == chunk.storedLength,
      header.rawChecksum == chunk.rawChecksum
    else { throw invalid(.indexDisagrees, "header and index differ") }
    guard Int(header.elementSize) == chunk.element.size, header.flags == 0 else {
      throw invalid(
        .invalidChunk, "elements of \(header.elementSize) bytes or flags \(header.flags) do not belong here")
    }
    let payload = bytes.slice(ShardFormat.chunkHeaderBytes..<ShardFormat.chunkHeaderBytes + chunk.storedLength)
    guard Checksum(of: payload).value == header.storedChecksum else {
      throw invalid(.checksumMismatch, "the checksum of the stored bytes does not match")
    }
    guard bytes[(ShardFormat.chunkHeaderBytes + chunk.storedLength)...].allSatisfy({ $0 == 0 }) else {
      throw invalid(.paddingNotZero, "the padding is not zero")
    }
    return header
  }

  private struct Refusal: Error {
    let kind: CheckpointError.Kind
    let text: String
  }

  private func decode(
    _ payload: UnsafeRawBufferPointer, _ header: ChunkHeader, into destination: UnsafeMutableRawPointer
  ) throws {
    let rawLength = Int(header.rawLength)
    switch (ChunkCodec(rawValue: header.codec), ChunkFilter(rawValue: header.filter)) {
    case (.raw, .some(.none)):
      guard payload.count == rawLength else { throw Refusal(kind: .invalidChunk, text: "the lengths differ") }
      if let source = payload.baseAddress { destination.copyMemory(from: source, byteCount: rawLength) }
    case (.fill, .some(.none)):
      guard payload.count == Int(header.elementSize) else {
        throw Refusal(kind: .invalidChunk, text: "a repeated value has \(header.elementSize) bytes")
      }
      if payload.count == 4 {
        Self.fill(destination, rawLength, with: payload.number(at: 0, as: UInt32.self))
      } else {
        Self.fill(destination, rawLength, with: payload.number(at: 0, as: UInt16.self))
      }
    case (.zstd, .some(.none)):
      try decompress(payload, into: UnsafeMutableRawBufferPointer(start: destination, count: rawLength))
    case (.zstd, .rotatedPlanes):
      let split = Self.grow(&planes, to: rawLength)
      try decompress(payload, into: UnsafeMutableRawBufferPointer(start: split, count: rawLength))
      let size = Int(header.elementSize)
      BytePlanes.join(split, into: destination, count: rawLength / size, size: size)
    default:
      throw Refusal(kind: .unknownCodec, text: "codec \(header.codec) with filter \(header.filter) is unknown")
    }
  }

  private static func fill<Element: FixedWidthInteger & BitwiseCopyable>(
    _ destination: UnsafeMutableRawPointer, _ length: Int, with value: Element
  ) {
    let stored = value.littleEndian
    for offset in stride(from: 0, to: length, by: MemoryLayout<Element>.size) {
      destination.storeBytes(of: stored, toByteOffset: offset, as: Element.self)
    }
  }

  /// One frame: a single segment of exactly the promised size, without a dictionary, with nothing after it.
  private func decompress(_ payload: UnsafeRawBufferPointer, into raw: UnsafeMutableRawBufferPointer) throws {
    func invalid(_ text: String) -> Refusal { Refusal(kind: .invalidFrame, text: text) }
    guard payload.count > 5, payload.number(at: 0, as: UInt32.self) == 0xfd2f_b528 else {
      throw invalid("no zstd frame begins here")
    }
    let descriptor = payload[4]
    guard descriptor & 0x20 != 0 else { throw invalid("the zstd frame is not a single segment") }
    guard descriptor & 0x03 == 0 else { throw invalid("the zstd frame needs a dictionary") }
    guard descriptor & 0x08 == 0 else { throw invalid("the zstd frame has a reserved bit set") }
    guard ZSTD_getFrameContentSize(payload.baseAddress, payload.count) == UInt64(raw.count) else {
      throw invalid("the zstd frame does not hold \(raw.count) bytes")
    }
    guard ZSTD_findFrameCompressedSize(payload.baseAddress, payload.count) == payload.count else {
      throw invalid("the zstd frame does not end with the chunk")
    }
    let count = ZSTD_decompressDCtx(context, raw.baseAddress, raw.count, payload.baseAddress, payload.count)
    guard ZSTD_isError(count) == 0 else {
      throw invalid("zstd refuses the frame: \(String(cString: ZSTD_getErrorName(count)))")
    }
    guard count == raw.count else { throw invalid("the zstd frame gave \(count) bytes instead of \(raw.count)") }
  }

  private static func grow(_ buffer: inout UnsafeMutableRawBufferPointer, to count: Int) -> UnsafeMutableRawPointer {
    if let start = buffer.baseAddress, buffer.count >= count { return start }
    buffer.deallocate()
    let start = UnsafeMutableRawPointer.allocate(byteCount: max(count, 1), alignment: 64)
    buffer = UnsafeMutableRawBufferPointer(start: start, count: max(count, 1))
    return start
  }
}
