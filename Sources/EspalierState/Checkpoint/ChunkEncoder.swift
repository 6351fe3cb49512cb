internal import CZstd
internal import Glibc

/// How chunks are stored.
package enum Compression: String, Codable, Sendable, CaseIterable {
  /// Whatever is smallest: one value repeated, filtered zstd, or as it is; chosen for each chunk.
  case auto
  /// Filtered zstd, always.
  case zstd
  /// As it is, always.
  case none
}

/// Turns raw chunks into records of header, payload and padding. One thread at a time.
final class ChunkEncoder {
  private let context: OpaquePointer
  private let planes: UnsafeMutableRawBufferPointer
  private let record: UnsafeMutableRawBufferPointer
  private let compression: Compression
  private let frame: PlaneFrame

  /// - Parameter chunkBytes: the most raw bytes of a chunk.
  init(chunkBytes: Int, compression: Compression) {
    self.compression = compression
    context = Self.makeContext(chunkBytes: chunkBytes)
    frame = PlaneFrame(context: Self.makeContext(chunkBytes: chunkBytes), planeBytes: chunkBytes / 2)
    planes = .allocate(byteCount: chunkBytes, alignment: 64)
    record = .allocate(
      byteCount: ShardFormat.chunkHeaderBytes + ShardFormat.padded(max(ZSTD_compressBound(chunkBytes), 8)),
      alignment: 64)
  }

  private static func makeContext(chunkBytes: Int) -> OpaquePointer {
    guard let context = ZSTD_createCCtx() else { preconditionFailure("no memory for a zstd context") }
    // Level 1: behind the planes, 3 and 9 are slower and no smaller.
    _ = ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, 1)
    preferFrequencies(context)
    _ = ZSTD_CCtx_setParameter(context, ZSTD_c_contentSizeFlag, 1)
    // A window as long as the chunk makes the frame a single segment.
    let windowLog = max(10, Int.bitWidth - max(chunkBytes - 1, 1).leadingZeroBitCount)
    _ = ZSTD_CCtx_setParameter(context, ZSTD_c_windowLog, Int32(windowLog))
    return context
  }

  deinit {
    ZSTD_freeCCtx(context)
    planes.deallocate()
    record.deallocate()
  }

  /// Has zstd search for long repetitions alone and lay its effort on the frequencies of bytes.
  ///
  /// What is redundant in a plane of exponents is how often each occurs. The short repetitions that zstd finds among them
  /// by chance cost more than they save: a normal distribution's plane takes 0.38 of its size with them at 0.23 GB/s, and
  /// 0.325 without them at 1.0 GB/s. Repetitions longer than about 100 bytes are still found. Frames stay ordinary.
  private static func preferFrequencies(_ context: OpaquePointer) {
    // ZSTD_c_literalCompressionMode, which zstd.h keeps among parameters that may go; 1 switches it on. Without it a
    // long step would switch literals' compression off.
    let literals = ZSTD_cParameter(rawValue: 1002)
    guard ZSTD_isError(ZSTD_CCtx_setParameter(context, literals, 1)) == 0 else { return }
    _ = ZSTD_CCtx_setParameter(context, ZSTD_c_strategy, Int32(ZSTD_fast.rawValue))
    _ = ZSTD_CCtx_setParameter(context, ZSTD_c_minMatch, 7)
    _ = ZSTD_CCtx_setParameter(context, ZSTD_c_targetLength, 128)
  }

  /// The record of a chunk, valid until the next call, and the length of its payload.
  func encode(
    _ raw: UnsafeRawBufferPointer, of element: ElementType, checksum: UInt64, tensor: Int, piece: Int, ordinal: Int
  ) throws -> (record: UnsafeRawBufferPointer, storedLength: Int) {
    let payload = UnsafeMutableRawBufferPointer(rebasing: record[ShardFormat.chunkHeaderBytes...])
    let (codec, stored) = try encodePayload(raw, of: element, into: payload)
    let end = ShardFormat.padded(stored)
    for i in stored..<end { payload[i] = 0 }
    let header = ChunkHeader(
      codec: codec, filter: codec == .zstd ? .rotatedPlanes : .none, element: element,
      rawLength: raw.count, storedLength: stored, tensor: tensor, piece: piece, ordinal: ordinal, rawChecksum: checksum,
      storedChecksum: codec == .raw
        ? checksum : Checksum(of: UnsafeRawBufferPointer(rebasing: payload[..<stored])).value)
    header.encode(into: record)
    return (UnsafeRawBufferPointer(rebasing: record[..<(ShardFormat.chunkHeaderBytes + end)]), stored)
  }

  private func encodePayload(
    _ raw: UnsafeRawBufferPointer, of element: ElementType, into payload: UnsafeMutableRawBufferPointer
  ) throws -> (ChunkCodec, Int) {
    if compression == .auto, Self.isConstant(raw, of: element) {
      payload.copyMemory(from: raw.slice(0..<element.size))
      return (.fill, element.size)
    }
    if compression != .none, let source = raw.baseAddress, let split = planes.baseAddress {
      BytePlanes.split(source, into: split, count: raw.count / element.size, size: element.size)
      let stored = compress(split, count: raw.count, planes: element.size, into: payload)
      guard ZSTD_isError(stored) == 0 else {
        throw CheckpointError(
          .encodingFailed, file: "the snapshot", reason: "zstd failed: \(String(cString: ZSTD_getErrorName(stored)))",
          remedy: "save with `compression: none`")
      }
      if compression == .zstd || stored < raw.count { return (.zstd, stored) }
    }
    payload.copyMemory(from: raw)
    return (.raw, raw.count)
  }

  /// One frame of all planes, `count` bytes together; its length or an error code of zstd's.
  ///
  /// A block of zstd (128 KiB) has one table of symbol frequencies, which must not mix the exponents' plane with the others.
  /// Planes that do not end with a block are therefore flushed one by one: chunks of 16 to 256 KiB shrink by 1.19 instead
  /// of 1.08. Whole chunks need none of this, and so save the copy that zstd makes of streamed input.
  private func compress(
    _ split: UnsafeRawPointer, count: Int, planes: Int, into payload: UnsafeMutableRawBufferPointer
  ) -> Int {
    if let length = frame.build(split, count: count, planes: planes, into: payload) { return length }
    let plane = count / planes
    if plane % (128 << 10) == 0 || plane < 256 {
      return ZSTD_compress2(context, payload.baseAddress, payload.count, split, count)
    }
    ZSTD_CCtx_reset(context, ZSTD_reset_session_only)
    ZSTD_CCtx_setPledgedSrcSize(context, UInt64(count))
    var input = ZSTD_inBuffer(src: split, size: 0, pos: 0)
    var output = ZSTD_outBuffer(dst: payload.baseAddress, size: payload.count, pos: 0)
    for number in 1...planes {
      let end = number * plane
      input.size = end
      // The payload has room for any frame (ZSTD_compressBound), so one call takes all and writes all.
      let left = ZSTD_compressStream2(context, &output, &input, end == count ? ZSTD_e_end : ZSTD_e_flush)
      if ZSTD_isError(left) != 0 { return left }
      guard left == 0, input.pos == end else {
        ZSTD_CCtx_reset(context, ZSTD_reset_session_only)
        return ZSTD_compress2(context, payload.baseAddress, payload.count, split, count)
      }
    }
    return output.pos
  }

  /// Whether all elements have the same bits: whether each equals the next.
  private static func isConstant(_ raw: UnsafeRawBufferPointer, of element: ElementType) -> Bool {
    guard let start = raw.baseAddress else { return false }
    return memcmp(start, start + element.size, raw.count - element.size) == 0
  }
}
