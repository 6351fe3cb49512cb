internal import CXXHash
import EspalierTensor
internal import Glibc

/// What a checkpoint says of a tensor apart from its bytes. Elements are Float, row-major.
package struct TensorRecord: Codable, Sendable, Equatable {
  package let name: String
  package let shape: [Int]
  package let trainable: Bool

  package init(name: String, shape: [Int], trainable: Bool) {
    self.name = name
    self.shape = shape
    self.trainable = trainable
  }

  /// The product of the shape; 1 for a scalar. Traps on overflow: shapes from files are checked before.
  package var elementCount: Int { shape.reduce(1, *) }
}

/// A run of elements of one slot of one tensor, borrowed by a `Snapshot`.
package struct StatePiece {
  /// Its place in the list of tensors.
  package let tensor: Int
  package let slot: String
  /// In elements of the whole tensor, row-major.
  package let range: Range<Int>
  /// `range.count` floats.
  package let source: UnsafePointer<Float>
  /// How they are stored: the same for all pieces of a slot.
  package let element: ElementType

  package init(
    tensor: Int, slot: String, range: Range<Int>, source: UnsafePointer<Float>, element: ElementType = .f32
  ) {
    self.tensor = tensor
    self.slot = slot
    self.range = range
    self.source = source
    self.element = element
  }
}

/// One rank's part of the state at one moment: a private copy with a checksum of every chunk, taken before `init` returns; or
/// the state itself, where nothing changes it until it is written.
///
/// What training does to the sources afterwards cannot reach the file (PyTorch #144657 shows what happens otherwise), and
/// since the checksums are of the copy, so is any damage to it before or while it is encoded found by a reader.
///
/// Unchecked: the arena is written in `init` only, before anyone else has the object, and freed at `deinit`; what is borrowed
/// its owner leaves alone.
package final class Snapshot: @unchecked Sendable {
  struct Piece {
    let tensor: Int
    let slot: String
    let range: Range<Int>
    let element: ElementType
    /// Its elements as they are stored, in the arena or where they are borrowed.
    let start: UnsafeRawPointer
    /// Into `checksums`.
    let firstChunk: Int
  }

  package static let defaultChunkBytes = 1 << 20

  package let tensors: [TensorRecord]
  let pieces: [Piece]
  let chunkBytes: Int
  /// Of the chunks of a copy; none where nothing was copied.
  private let checksums: [UInt64]
  /// Without padding.
  package let byteCount: Int
  private let arena: UnsafeMutableRawPointer?

  /// Copies nothing, for a save that its caller waits for: half the memory, and no pause before the writing.
  ///
  /// - Precondition: nothing changes or frees the elements as long as the snapshot lives; they are stored as f32.
  package init(borrowing pieces: [StatePiece], tensors: [TensorRecord], chunkBytes: Int = Snapshot.defaultChunkBytes) {
    self.tensors = tensors
    self.chunkBytes = chunkBytes
    self.pieces = Self.held(pieces, of: tensors, chunkBytes).map { piece in
      precondition(piece.element == .f32, "what is stored as \(piece.element) has to be converted first")
      return Piece(
        tensor: piece.tensor, slot: piece.slot, range: piece.range, element: .f32, start: piece.source, firstChunk: 0)
    }
    byteCount = self.pieces.reduce(0) { $0 + $1.range.count * 4 }
    arena = nil
    checksums = []
  }

  /// Copies and hashes; empty pieces are left out.
  /// - Parameter chunkBytes: stored elements of a chunk before compression, a multiple of 4 bytes up to 16 MiB.
  /// - Precondition: every piece lies inside its tensor.
  package init(tensors: [TensorRecord], pieces: [StatePiece], chunkBytes: Int = Snapshot.defaultChunkBytes) {
    self.tensors = tensors
    self.chunkBytes = chunkBytes
    let held = Self.held(pieces, of: tensors, chunkBytes)
    byteCount = held.reduce(0) { $0 + $1.range.count * $1.element.size }
    let room = held.reduce(0) { $0 + ShardFormat.padded($1.range.count * $1.element.size) }
    let hugePage = 2 << 20
    let arena = UnsafeMutableRawPointer.allocate(
      byteCount: max(room, 1), alignment: room >= hugePage ? hugePage : 64)
    // The first touch of fresh memory costs more than the copy into it; huge pages make that rarer. Only advice: no error.
    if room >= hugePage { _ = madvise(arena, room, MADV_HUGEPAGE) }

    var offset = 0
    var copies: [Piece] = []
    var checksums: [UInt64] = []
    for piece in held {
      copies.append(
        Piece(
          tensor: piece.tensor, slot: piece.slot, range: piece.range, element: piece.element, start: arena + offset,
          firstChunk: checksums.count))
      let chunkElements = chunkBytes / piece.element.size
      for start in stride(from: 0, to: piece.range.count, by: chunkElements) {
        // Copied and hashed chunk by chunk, so that the hash reads what is still in cache.
        let count = min(chunkElements, piece.range.count - start)
        let bytes = count * piece.element.size
        let copy = arena + offset
        piece.element.narrow(piece.source + start, into: copy, count: count)
        checksums.append(XXH3_64bits(copy, bytes))
        ProgressCounter.tick()
        offset += bytes
      }
      offset = ShardFormat.padded(offset)
    }
    self.pieces = copies
    self.checksums = checksums
    self.arena = arena
  }

  deinit { arena?.deallocate() }

  /// The pieces that have elements, each of which must lie inside its tensor.
  private static func held(_ pieces: [StatePiece], of tensors: [TensorRecord], _ chunkBytes: Int) -> [StatePiece] {
    precondition(
      chunkBytes % 4 == 0 && (4...CheckpointFormat.maximumChunkBytes).contains(chunkBytes),
      "a chunk has 4 to 16 Mi bytes in whole elements, not \(chunkBytes)")
    return pieces.filter { piece in
      precondition(
        tensors.indices.contains(piece.tensor), "piece of tensor \(piece.tensor), of which there are \(tensors.count)")
      let record = tensors[piece.tensor]
      precondition(
        piece.range.lowerBound >= 0 && piece.range.upperBound <= record.elementCount,
        "piece \(piece.range) of '\(record.name)/\(piece.slot)', which has \(record.elementCount) elements")
      return !piece.range.isEmpty
    }
  }

  /// The chunks of a piece, in bytes of it.
  func chunks(of piece: Piece) -> some Sequence<Range<Int>> {
    let count = piece.range.count * piece.element.size
    return stride(from: 0, to: count, by: chunkBytes).lazy.map { [chunkBytes] in $0..<min($0 + chunkBytes, count) }
  }

  /// Elements of a piece as they are stored.
  func bytes(_ piece: Piece, _ range: Range<Int>) -> UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(start: piece.start + range.lowerBound, count: range.count)
  }

  /// Of a chunk: of the copy as it was taken, or of `bytes` now.
  func checksum(_ piece: Piece, _ ordinal: Int, _ bytes: UnsafeRawBufferPointer) -> UInt64 {
    arena == nil ? Checksum(of: bytes).value : checksums[piece.firstChunk + ordinal]
  }

  /// Encodes all chunks and keeps none of them: what a save computes, without what it writes.
  /// - Returns: the bytes that a shard would store.
  package func encodedByteCount(compression: Compression) throws -> Int {
    let encoder = ChunkEncoder(chunkBytes: chunkBytes, compression: compression)
    var stored = 0
    for (number, piece) in pieces.enumerated() {
      for (ordinal, range) in chunks(of: piece).enumerated() {
        let bytes = bytes(piece, range)
        stored += try encoder.encode(
          bytes, of: piece.element, checksum: checksum(piece, ordinal, bytes), tensor: piece.tensor, piece: number,
          ordinal: ordinal
        ).storedLength
      }
    }
    return stored
  }
}
