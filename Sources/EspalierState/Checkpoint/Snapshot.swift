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

/// A run of elements of one slot of one tensor, borrowed until a `Snapshot` has copied it.
package struct StatePiece {
  /// Its place in the list of tensors.
  package let tensor: Int
  package let slot: String
  /// In elements of the whole tensor, row-major.
  package let range: Range<Int>
  /// `range.count` floats.
  package let source: UnsafePointer<Float>

  package init(tensor: Int, slot: String, range: Range<Int>, source: UnsafePointer<Float>) {
    self.tensor = tensor
    self.slot = slot
    self.range = range
    self.source = source
  }
}

/// One rank's part of the state at one moment: a private copy with a checksum of every chunk, taken before `init` returns.
///
/// What training does to the sources afterwards cannot reach the file (PyTorch #144657 shows what happens otherwise), and
/// since the checksums are of the copy, so is any damage to it before or while it is encoded found by a reader.
///
/// Unchecked: the arena is written in `init` only, before anyone else has the object, and freed at `deinit`.
package final class Snapshot: @unchecked Sendable {
  struct Piece: Sendable {
    let tensor: Int
    let slot: String
    let range: Range<Int>
    /// Into the arena, in bytes.
    let offset: Int
    /// Into `checksums`.
    let firstChunk: Int
  }

  package static let defaultChunkBytes = 1 << 20

  package let tensors: [TensorRecord]
  let pieces: [Piece]
  let chunkElements: Int
  let checksums: [UInt64]
  /// Without padding.
  package let byteCount: Int
  private let arena: UnsafeMutableRawPointer

  /// Copies and hashes; empty pieces are left out.
  /// - Parameter chunkBytes: raw bytes of a chunk, a multiple of 4 up to 16 MiB.
  /// - Precondition: every piece lies inside its tensor.
  package init(tensors: [TensorRecord], pieces: [StatePiece], chunkBytes: Int = Snapshot.defaultChunkBytes) {
    precondition(
      chunkBytes % 4 == 0 && (4...CheckpointFormat.maximumChunkBytes).contains(chunkBytes),
      "a chunk has 4 to 16 Mi bytes in whole elements, not \(chunkBytes)")
    self.tensors = tensors
    chunkElements = chunkBytes / 4
    let held = pieces.filter { !$0.range.isEmpty }
    byteCount = held.reduce(0) { $0 + $1.range.count * 4 }
    let hugePage = 2 << 20
    arena = UnsafeMutableRawPointer.allocate(
      byteCount: max(byteCount, 1), alignment: byteCount >= hugePage ? hugePage : 64)
    // The first touch of fresh memory costs more than the copy into it; huge pages make that rarer. Only advice: no error.
    if byteCount >= hugePage { _ = madvise(arena, byteCount, MADV_HUGEPAGE) }

    var offset = 0
    var copies: [Piece] = []
    var checksums: [UInt64] = []
    for piece in held {
      precondition(
        tensors.indices.contains(piece.tensor), "piece of tensor \(piece.tensor), of which there are \(tensors.count)")
      let record = tensors[piece.tensor]
      precondition(
        piece.range.lowerBound >= 0 && piece.range.upperBound <= record.elementCount,
        "piece \(piece.range) of '\(record.name)/\(piece.slot)', which has \(record.elementCount) elements")
      copies.append(
        Piece(
          tensor: piece.tensor, slot: piece.slot, range: piece.range, offset: offset, firstChunk: checksums.count))
      for start in stride(from: 0, to: piece.range.count, by: chunkElements) {
        // Copied and hashed chunk by chunk, so that the hash reads what is still in cache.
        let bytes = min(chunkElements, piece.range.count - start) * 4
        let copy = arena + offset
        copy.copyMemory(from: piece.source + start, byteCount: bytes)
        checksums.append(XXH3_64bits(copy, bytes))
        ProgressCounter.tick()
        offset += bytes
      }
    }
    self.pieces = copies
    self.checksums = checksums
  }

  deinit { arena.deallocate() }

  func elements(_ piece: Piece) -> UnsafeBufferPointer<Float> {
    UnsafeBufferPointer(start: (arena + piece.offset).assumingMemoryBound(to: Float.self), count: piece.range.count)
  }
}
