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
  ///
  /// A run may have its parameters in another order on another number of ranks, so chunks are put back in the blueprint's.
  /// - Parameter byRank: for each rank one double a chunk, in the order of its pieces.
  package static func inOrder(_ byRank: [ArraySlice<Double>], _ pieces: [[LayoutPiece]]) -> [Chunk] {
    var ofParameter: [[Chunk]] = []
    for (values, pieces) in zip(byRank, pieces) {
      var next = values.startIndex
      for piece in pieces {
        while ofParameter.count <= piece.parameter { ofParameter.append([]) }
        for _ in 0..<piece.chunkCount {
          ofParameter[piece.parameter].append(
            Chunk(segment: piece.segment, parameter: piece.parameter, value: values[next]))
          next += 1
        }
      }
    }
    return ofParameter.flatMap { $0 }
  }
}
