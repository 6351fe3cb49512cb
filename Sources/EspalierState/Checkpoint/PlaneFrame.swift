internal import CZstd
internal import Glibc

/// Builds a zstd frame of planes of which all but one are noise, without letting zstd look for redundancy in noise.
///
/// Mantissas are most of the bytes of a state and cannot be made smaller; zstd needs as long to find that out as for the plane
/// of exponents. Here they become raw blocks at once, and the frame is one that any decoder reads (RFC 8878).
///
/// One thread at a time.
final class PlaneFrame {
  /// A block of zstd has at most so many bytes before compression.
  private static let maximumBlock = 128 << 10
  /// Shorter planes are not worth the sampling.
  static let minimumPlane = 16 << 10

  private let context: OpaquePointer
  private let scratch: UnsafeMutableRawBufferPointer

  /// - Parameters:
  ///   - context: with the parameters of compression; this one's content size is switched off.
  ///   - planeBytes: the longest plane.
  init(context: OpaquePointer, planeBytes: Int) {
    self.context = context
    scratch = .allocate(byteCount: ZSTD_compressBound(planeBytes), alignment: 64)
    _ = ZSTD_CCtx_setParameter(context, ZSTD_c_contentSizeFlag, 0)
  }

  deinit {
    ZSTD_freeCCtx(context)
    scratch.deallocate()
  }

  /// The length of the frame; nil if another way of compression suits these planes.
  ///
  /// With two planes to compress, the second would begin with the repeated offsets that the first left, and zstd does not know
  /// of the first: so there must be exactly one.
  func build(_ split: UnsafeRawPointer, count: Int, planes: Int, into payload: UnsafeMutableRawBufferPointer) -> Int? {
    let plane = count / planes
    guard plane >= Self.minimumPlane else { return nil }
    let redundant = (0..<planes).filter { !Self.isNoise(split + $0 * plane, count: plane) }
    guard redundant.count == 1, let chosen = redundant.first else { return nil }
    let length = ZSTD_compress2(context, scratch.baseAddress, scratch.count, split + chosen * plane, plane)
    guard ZSTD_isError(length) == 0, let header = Self.headerLength(scratch) else { return nil }
    let blocks = UnsafeRawBufferPointer(rebasing: scratch[header..<length])
    let rawBlocks = (planes - 1) * ((plane + Self.maximumBlock - 1) / Self.maximumBlock)
    guard 9 + blocks.count + (planes - 1) * plane + rawBlocks * 3 <= payload.count else { return nil }

    // Magic; content size in 4 bytes, a single segment.
    var writer = Writer(payload: payload)
    writer.append(0xfd2f_b528)
    writer.append(byte: 0xa0)
    writer.append(UInt32(count))
    for number in 0..<planes {
      if number == chosen {
        guard writer.append(blocks: blocks) else { return nil }
      } else {
        for start in stride(from: 0, to: plane, by: Self.maximumBlock) {
          writer.append(raw: split + number * plane + start, count: min(Self.maximumBlock, plane - start))
        }
      }
    }
    writer.closeLastBlock()
    return writer.position
  }

  /// The bytes before the first block of a frame without a dictionary.
  private static func headerLength(_ frame: UnsafeMutableRawBufferPointer) -> Int? {
    let descriptor = frame[4]
    guard descriptor & 3 == 0 else { return nil }
    let isSingle = descriptor & 0x20 != 0
    return 5 + (isSingle ? 0 : 1) + [isSingle ? 1 : 0, 2, 4, 8][Int(descriptor >> 6)]
  }

  /// Whether a sample of the bytes is spread so evenly that zstd would store them as they are.
  ///
  /// χ² of 4,096 bytes against the even distribution: 255 for noise, 420 for the upper bits of mantissas. Zstd wants to save
  /// 1/64 before it compresses, which takes a χ² of 970.
  private static func isNoise(_ plane: UnsafeRawPointer, count: Int) -> Bool {
    let slices = 16, width = 256
    return withUnsafeTemporaryAllocation(of: Int32.self, capacity: 256) { counts in
      counts.initialize(repeating: 0)
      for slice in 0..<slices {
        let start = plane + slice * (count - width) / (slices - 1)
        for i in 0..<width { counts[Int(start.load(fromByteOffset: i, as: UInt8.self))] += 1 }
      }
      let squares = counts.reduce(0) { $0 + Int($1) * Int($1) }
      return squares * 256 / (slices * width) - slices * width < 700
    }
  }

  /// A frame as it grows. Room was checked before.
  private struct Writer {
    let payload: UnsafeMutableRawBufferPointer
    private(set) var position = 0
    private var lastBlock = 0

    init(payload: UnsafeMutableRawBufferPointer) { self.payload = payload }

    mutating func append(byte: UInt8) {
      payload[position] = byte
      position += 1
    }

    mutating func append(_ value: UInt32) {
      payload.storeBytes(of: value.littleEndian, toByteOffset: position, as: UInt32.self)
      position += 4
    }

    /// Three bytes: whether it is the last (not yet), two bits of type, the size.
    private mutating func append(blockHeader header: UInt32) {
      lastBlock = position
      for shift in [UInt32(0), 8, 16] { append(byte: UInt8(truncatingIfNeeded: header >> shift)) }
    }

    private mutating func append(_ start: UnsafeRawPointer, _ count: Int) {
      UnsafeMutableRawBufferPointer(rebasing: payload[position..<position + count])
        .copyMemory(from: UnsafeRawBufferPointer(start: start, count: count))
      position += count
    }

    mutating func append(raw start: UnsafeRawPointer, count: Int) {
      append(blockHeader: UInt32(count) << 3)
      append(start, count)
    }

    /// The blocks of another frame, up to its last.
    mutating func append(blocks: UnsafeRawBufferPointer) -> Bool {
      var at = 0
      while at + 3 <= blocks.count, let start = blocks.baseAddress {
        let header = UInt32(blocks[at]) | UInt32(blocks[at + 1]) << 8 | UInt32(blocks[at + 2]) << 16
        // A repeated byte (type 1) is stored once, whatever the size.
        let size = header >> 1 & 3 == 1 ? 1 : Int(header >> 3)
        guard at + 3 + size <= blocks.count else { return false }
        append(blockHeader: header & ~1)
        append(start + at + 3, size)
        at += 3 + size
        if header & 1 == 1 { return at == blocks.count }
      }
      return false
    }

    mutating func closeLastBlock() { payload[lastBlock] |= 1 }
  }
}
