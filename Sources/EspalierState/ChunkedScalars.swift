import CKernels

/// Sums over all weights whose bits do not depend on who owns what: one double for each chunk, gathered, added in (segment,
/// parameter, chunk) order by everyone.
///
/// Summing per rank first would give another value for every number of ranks.
package enum ChunkedScalars {
  /// The sum of squares of each chunk of `pieces`, in order; `elements` finds the memory of a piece.
  package static func squares(
    of pieces: [LayoutPiece], _ elements: (LayoutPiece) -> UnsafePointer<Float>
  ) -> [Double] {
    pieces.flatMap { piece in
      let start = elements(piece)
      return stride(from: 0, to: piece.range.count, by: Layout.chunk).map { chunk in
        ck_sum_of_squares(start + chunk, min(Layout.chunk, piece.range.count - chunk))
      }
    }
  }

  /// A chunk on its way into a sum.
  package struct Chunk: Hashable, Sendable {
    package let segment: Int
    package let parameter: Int
    package let value: Double
  }

  /// All chunks of a model in summing order, from what each rank gathered for its own pieces.
  /// - Parameter byRank: for each rank one double a chunk, in the order of its pieces.
  package static func inOrder(_ byRank: [ArraySlice<Double>], _ pieces: [[LayoutPiece]], segmentCount: Int) -> [Chunk] {
    var chunks: [Chunk] = []
    var nextPiece = Array(repeating: 0, count: byRank.count)
    var nextChunk = byRank.map(\.startIndex)
    for segment in 0..<segmentCount {
      for rank in byRank.indices {
        while nextPiece[rank] < pieces[rank].count, pieces[rank][nextPiece[rank]].segment == segment {
          let piece = pieces[rank][nextPiece[rank]]
          for _ in 0..<piece.chunkCount {
            chunks.append(Chunk(segment: segment, parameter: piece.parameter, value: byRank[rank][nextChunk[rank]]))
            nextChunk[rank] += 1
          }
          nextPiece[rank] += 1
        }
      }
    }
    return chunks
  }
}
