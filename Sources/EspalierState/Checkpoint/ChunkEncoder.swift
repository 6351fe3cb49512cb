internal import CZstd

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

  /// - Parameter chunkBytes: the most raw bytes of a chunk.
  init(chunkBytes: Int, compression: Compression) {
    self.compression = compression
    guard let context = ZSTD_createCCtx() else { preconditionFailure("no memory for a zstd context") }
    self.context = context
    planes = .allocate(byteCount: chunkBytes, alignment: 64)
    record = .allocate(
      byteCount: ShardFormat.chunkHeaderBytes + ShardFormat.padded(max(ZSTD_compressBound(chunkBytes), 8)),
      alignment: 64)
    // Level 1: behind the planes, 3 and 9 are slower and no smaller (checkpoint.md §2).
    _ = ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, 1)
    _ = ZSTD_CCtx_setParameter(context, ZSTD_c_contentSizeFlag, 1)
    _ = ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1)
    // A window as long as the chunk makes the frame a single segment.
    let windowLog = max(10, Int.bitWidth - max(chunkBytes - 1, 1).leadingZeroBitCount)
    _ = ZSTD_CCtx_setParameter(context, ZSTD_c_windowLog, Int32(windowLog))
  }

  deinit {
    ZSTD_freeCCtx(context)
    planes.deallocate()
    record.deallocate()
  }

  /// The record of a chunk, valid until the next call, and the length of its payload.
  func encode(
    _ raw: UnsafeRawBufferPointer, checksum: UInt64, tensor: Int, piece: Int, ordinal: Int
  ) throws -> (record: UnsafeRawBufferPointer, storedLength: Int) {
    let payload = UnsafeMutableRawBufferPointer(rebasing: record[ShardFormat.chunkHeaderBytes...])
    let (codec, stored) = try encodePayload(raw, into: payload)
    let end = ShardFormat.padded(stored)
    for i in stored..<end { payload[i] = 0 }
    let header = ChunkHeader(
      codec: codec, filter: codec == .zstd ? .rotatedPlanes : .none, rawLength: raw.count, storedLength: stored,
      tensor: tensor, piece: piece, ordinal: ordinal, rawChecksum: checksum,
      storedChecksum: Checksum(of: UnsafeRawBufferPointer(rebasing: payload[..<stored])).value)
    header.encode(into: record)
    return (UnsafeRawBufferPointer(rebasing: record[..<(ShardFormat.chunkHeaderBytes + end)]), stored)
  }

  private func encodePayload(
    _ raw: UnsafeRawBufferPointer, into payload: UnsafeMutableRawBufferPointer
  ) throws -> (ChunkCodec, Int) {
    if compression == .auto, Self.isConstant(raw) {
      payload.copyMemory(from: raw.slice(0..<4))
      return (.fill, 4)
    }
    if compression != .none, let source = raw.baseAddress, let split = planes.baseAddress {
      BytePlanes.split(source, into: split, count: raw.count / 4)
      let stored = compress(split, count: raw.count, into: payload)
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

  /// One frame of the four planes, `count` bytes in all; its length or an error code of zstd's.
  ///
  /// A block of zstd (128 KiB) has one table of symbol frequencies, which must not mix the exponents' plane with the others.
  /// Planes that do not end with a block are therefore flushed one by one: chunks of 16 to 256 KiB shrink by 1.19 instead
  /// of 1.08. Whole chunks need none of this, and so save the copy that zstd makes of streamed input.
  private func compress(_ planes: UnsafeRawPointer, count: Int, into payload: UnsafeMutableRawBufferPointer) -> Int {
    let plane = count / 4
    if plane % (128 << 10) == 0 || plane < 256 {
      return ZSTD_compress2(context, payload.baseAddress, payload.count, planes, count)
    }
    ZSTD_CCtx_reset(context, ZSTD_reset_session_only)
    ZSTD_CCtx_setPledgedSrcSize(context, UInt64(count))
    var input = ZSTD_inBuffer(src: planes, size: 0, pos: 0)
    var output = ZSTD_outBuffer(dst: payload.baseAddress, size: payload.count, pos: 0)
    for end in [plane, 2 * plane, 3 * plane, count] {
      input.size = end
      // The payload has room for any frame (ZSTD_compressBound), so one call takes all and writes all.
      let left = ZSTD_compressStream2(context, &output, &input, end == count ? ZSTD_e_end : ZSTD_e_flush)
      if ZSTD_isError(left) != 0 { return left }
      guard left == 0, input.pos == end else {
        ZSTD_CCtx_reset(context, ZSTD_reset_session_only)
        return ZSTD_compress2(context, payload.baseAddress, payload.count, planes, count)
      }
    }
    return output.pos
  }

  /// Whether all 32-bit elements have the same bits.
  private static func isConstant(_ raw: UnsafeRawBufferPointer) -> Bool {
    let first = raw.loadUnaligned(fromByteOffset: 0, as: UInt32.self)
    for offset in stride(from: 4, to: raw.count, by: 4)
    where raw.loadUnaligned(fromByteOffset: offset, as: UInt32.self) != first {
      return false
    }
    return true
  }
}
