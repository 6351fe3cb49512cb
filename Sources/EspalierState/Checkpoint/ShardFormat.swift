/// The fixed parts of a shard file; field tables in docs/checkpoint-format.md.
///
/// All numbers are little-endian. Every byte of a shard is under a checksum or must be zero.
enum ShardFormat {
  static let headerBytes = 64
  static let footerBytes = 56
  static let chunkHeaderBytes = 64
  static let indexHeaderBytes = 24
  static let indexPieceBytes = 48
  static let indexChunkBytes = 24
  static let headerMagic: UInt64 = 0x3144_5248_5350_5345  // "ESPSHRD1"
  static let footerMagic: UInt64 = 0x3130_444e_4550_5345  // "ESPEND01"
  static let indexMagic: UInt64 = 0x3158_444e_4950_5345  // "ESPINDX1"
  static let chunkMagic: UInt32 = 0x4b48_4345  // "ECHK"
  static let alignment = 8

  static func padded(_ count: Int) -> Int { (count + alignment - 1) & ~(alignment - 1) }

  /// The most bytes that `raw` bytes may be stored in: ZSTD_compressBound, computed here to stay in checked Int.
  static func storedBound(_ raw: Int) -> Int {
    raw + raw >> 8 + (raw < 128 << 10 ? (128 << 10 - raw) >> 11 : 0)
  }
}

/// How the payload of a chunk is written. 2 is kept for frames per plane.
enum ChunkCodec: UInt8 { case raw = 0, zstd = 1, fill = 3 }

/// What was done to the elements before compression. 1 is kept for planes without rotation.
enum ChunkFilter: UInt8 { case none = 0, rotatedPlanes = 2 }

/// Builds little-endian records.
struct ByteRecord {
  private(set) var bytes: [UInt8] = []

  mutating func append(_ value: some FixedWidthInteger) {
    withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) }
  }

  mutating func append(bytes more: [UInt8]) { bytes.append(contentsOf: more) }

  mutating func appendChecksum() { append(Checksum(of: bytes).value) }

  mutating func pad() { while bytes.count % ShardFormat.alignment != 0 { bytes.append(0) } }
}

extension UnsafeRawBufferPointer {
  /// The little-endian integer at a byte offset, whatever its alignment; traps outside.
  func number<T: FixedWidthInteger & BitwiseCopyable>(at offset: Int, as: T.Type = T.self) -> T {
    T(littleEndian: loadUnaligned(fromByteOffset: offset, as: T.self))
  }

  func slice(_ range: Range<Int>) -> UnsafeRawBufferPointer { UnsafeRawBufferPointer(rebasing: self[range]) }
}

/// The first 64 bytes of a shard.
struct ShardHeader: Equatable {
  var major = UInt16(CheckpointFormat.major)
  var minor = UInt16(CheckpointFormat.minor)
  /// A reader that does not know a set bit must refuse the file. None are defined in 1.0.
  var criticalFlags: UInt32 = 0
  let saveID: SaveID
  let rank: UInt32
  let ranks: UInt32

  var encoded: [UInt8] {
    var record = ByteRecord()
    record.append(ShardFormat.headerMagic)
    record.append(major)
    record.append(minor)
    record.append(criticalFlags)
    record.append(bytes: saveID.bytes)
    record.append(rank)
    record.append(ranks)
    record.append(UInt64(0))
    record.append(UInt64(0))
    record.appendChecksum()
    return record.bytes
  }
}

extension ShardHeader {
  init(decoding bytes: UnsafeRawBufferPointer, file: String) throws {
    guard bytes.number(at: 0) == ShardFormat.headerMagic else {
      throw CheckpointError.damaged(.badMagic, file: file, "it does not begin as a shard does")
    }
    guard bytes.number(at: 56) == Checksum(of: bytes.slice(0..<56)).value else {
      throw CheckpointError.damaged(.checksumMismatch, file: file, "the checksum of its header does not match")
    }
    major = bytes.number(at: 8)
    minor = bytes.number(at: 10)
    criticalFlags = bytes.number(at: 12)
    saveID = SaveID(bytes: Array(bytes[16..<32]))
    rank = bytes.number(at: 32)
    ranks = bytes.number(at: 36)
    guard Int(major) == CheckpointFormat.major else {
      throw CheckpointError.newer(file: file, major: Int(major), minor: Int(minor))
    }
    guard criticalFlags == 0 else {
      throw CheckpointError(
        .criticalFlag, file: file,
        reason: "made by a newer Espalier: it needs features \(criticalFlags) that this build lacks",
        remedy: "read it with that version or a later one")
    }
    guard bytes[40..<56].allSatisfy({ $0 == 0 }) else {
      throw CheckpointError.damaged(.invalidHeader, file: file, "reserved bytes of its header are not zero")
    }
  }
}

/// The last 56 bytes of a shard.
struct ShardFooter: Equatable {
  let indexOffset: UInt64
  let indexLength: UInt64
  let indexChecksum: Checksum
  let chunkCount: UInt64
  let fileLength: UInt64

  var encoded: [UInt8] {
    var record = ByteRecord()
    record.append(indexOffset)
    record.append(indexLength)
    record.append(indexChecksum.value)
    record.append(chunkCount)
    record.append(fileLength)
    record.appendChecksum()
    record.append(ShardFormat.footerMagic)
    return record.bytes
  }
}

extension ShardFooter {
  init(decoding bytes: UnsafeRawBufferPointer, file: String) throws {
    guard bytes.number(at: 48) == ShardFormat.footerMagic else {
      throw CheckpointError.damaged(.badMagic, file: file, "it does not end as a shard does")
    }
    guard bytes.number(at: 40) == Checksum(of: bytes.slice(0..<40)).value else {
      throw CheckpointError.damaged(.checksumMismatch, file: file, "the checksum of its footer does not match")
    }
    indexOffset = bytes.number(at: 0)
    indexLength = bytes.number(at: 8)
    indexChecksum = Checksum(value: bytes.number(at: 16))
    chunkCount = bytes.number(at: 24)
    fileLength = bytes.number(at: 32)
  }
}

/// The 64 bytes before the payload of a chunk.
struct ChunkHeader: Equatable {
  let codec: UInt8
  let filter: UInt8
  let elementSize: UInt8
  let flags: UInt8
  let rawLength: UInt32
  let storedLength: UInt32
  var tensor: UInt32
  var piece: UInt32
  var ordinal: UInt32
  let rawChecksum: UInt64
  let storedChecksum: UInt64

  /// The header of the same chunk in another place.
  func moved(tensor: Int, piece: Int, ordinal: Int) -> ChunkHeader {
    var moved = self
    (moved.tensor, moved.piece, moved.ordinal) = (UInt32(tensor), UInt32(piece), UInt32(ordinal))
    return moved
  }

  /// Writes the 64 bytes to the front of `bytes`.
  func encode(into bytes: UnsafeMutableRawBufferPointer) {
    func put(_ value: some FixedWidthInteger & BitwiseCopyable, at offset: Int) {
      bytes.storeBytes(of: value.littleEndian, toByteOffset: offset, as: type(of: value))
    }
    put(ShardFormat.chunkMagic, at: 0)
    put(codec, at: 4)
    put(filter, at: 5)
    put(elementSize, at: 6)
    put(flags, at: 7)
    put(rawLength, at: 8)
    put(storedLength, at: 12)
    put(tensor, at: 16)
    put(piece, at: 20)
    put(ordinal, at: 24)
    put(UInt32(0), at: 28)
    put(rawChecksum, at: 32)
    put(storedChecksum, at: 40)
    put(UInt64(0), at: 48)
    put(Checksum(of: UnsafeRawBufferPointer(rebasing: bytes[0..<56])).value, at: 56)
  }

  /// Nil if magic, checksum or zero fields are wrong.
  init?(decoding bytes: UnsafeRawBufferPointer) {
    guard bytes.number(at: 0) == ShardFormat.chunkMagic, bytes.number(at: 28, as: UInt32.self) == 0,
      bytes.number(at: 48, as: UInt64.self) == 0, bytes.number(at: 56) == Checksum(of: bytes.slice(0..<56)).value
    else { return nil }
    codec = bytes[4]
    filter = bytes[5]
    elementSize = bytes[6]
    flags = bytes[7]
    rawLength = bytes.number(at: 8)
    storedLength = bytes.number(at: 12)
    tensor = bytes.number(at: 16)
    piece = bytes.number(at: 20)
    ordinal = bytes.number(at: 24)
    rawChecksum = bytes.number(at: 32)
    storedChecksum = bytes.number(at: 40)
  }
}

extension ChunkHeader {
  init(
    codec: ChunkCodec, filter: ChunkFilter, element: ElementType, rawLength: Int, storedLength: Int, tensor: Int,
    piece: Int, ordinal: Int, rawChecksum: UInt64, storedChecksum: UInt64
  ) {
    self.codec = codec.rawValue
    self.filter = filter.rawValue
    elementSize = UInt8(element.size)
    flags = 0
    self.rawLength = UInt32(rawLength)
    self.storedLength = UInt32(storedLength)
    self.tensor = UInt32(tensor)
    self.piece = UInt32(piece)
    self.ordinal = UInt32(ordinal)
    self.rawChecksum = rawChecksum
    self.storedChecksum = storedChecksum
  }
}
