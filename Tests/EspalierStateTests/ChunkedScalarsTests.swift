import EspalierNN
import EspalierState
import EspalierTesting
import Testing

/// A sum over all weights has the same bits for every number of ranks.
@Suite struct ChunkedScalarsTests {
  static let blueprint = LooseModel.build([[50_000, 3, 9000], [1], [4096, 4097]]).blueprint

  private func value(_ parameter: Int, _ element: Int) -> Float {
    LaneReference.value(lane: parameter, index: element)
  }

  /// What `rank` would send: the sums of the squares of its chunks.
  private func squares(_ layout: Layout, rank: Int) -> [Double] {
    layout.pieces(of: rank, Self.blueprint).flatMap { piece in
      let values = piece.range.map { value(piece.parameter, $0) }
      return values.withUnsafeBufferPointer { buffer in
        ChunkedScalars.squares(of: [piece]) { _ in buffer.baseAddress ?? UnsafePointer(bitPattern: 64)! }
      }
    }
  }

  private func chunks(ranks: Int, _ granularity: Granularity) -> [ChunkedScalars.Chunk] {
    let layout = LayoutPlanner.plan(Self.blueprint, ranks: ranks, granularity: { _ in granularity })
    return ChunkedScalars.inOrder(
      (0..<ranks).map { squares(layout, rank: $0)[...] }, (0..<ranks).map { layout.pieces(of: $0, Self.blueprint) })
  }

  @Test("chunks and their sum are the same for 1 to 9 ranks", arguments: 1...9, [Granularity.element, .matrix])
  func anyRanks(ranks: Int, granularity: Granularity) {
    let alone = chunks(ranks: 1, .element)
    #expect(chunks(ranks: ranks, granularity) == alone)
  }

  @Test("there is one chunk for every 4,096 elements of each parameter, in order, each near the sum in double")
  func values() {
    let found = chunks(ranks: 3, .element)
    #expect(found.map(\.parameter) == Array(repeating: 0, count: 13) + [1, 2, 2, 2, 3, 4, 5, 5])
    var next = Array(repeating: 0, count: Self.blueprint.parameters.count)
    for chunk in found {
      let end = min(next[chunk.parameter] + 4096, Self.blueprint.parameters[chunk.parameter].count)
      let expected = (next[chunk.parameter]..<end).reduce(0.0) {
        let element = Double(value(chunk.parameter, $1))
        return $0 + element * element
      }
      #expect(abs(chunk.value - expected) <= 1e-12 * expected)
      next[chunk.parameter] = end
    }
  }

  @Test("summing by rank first would give other bits")
  func whyChunks() {
    func byRank(_ ranks: Int) -> Double {
      let layout = LayoutPlanner.plan(Self.blueprint, ranks: ranks)
      return (0..<ranks).reduce(0) { $0 + squares(layout, rank: $1).reduce(0, +) }
    }
    #expect(Set((1...9).map(byRank)).count > 1)
  }
}
