import EspalierNN
import EspalierState
import EspalierTesting
import Testing

/// What holds for the cuts of every blueprint among every number of ranks.
@Suite struct LayoutTests {
  /// Sizes around the edges that matter: 16 elements of alignment, 4,096 of a chunk; many small and one large; a frozen layout of
  /// one element.
  static let blueprints = [
    [[1]], [[16], [17]], [[4096]], [[4097, 5, 8192, 4095]], [[7, 7, 7, 7, 7, 7]],
    [[100_000], [3, 60_001], [12_288, 1]],
    [[20_000, 16, 16, 20_000]],
  ].map { LooseModel.build($0).blueprint }

  static let cases = blueprints.flatMap { blueprint in [1, 2, 3, 4, 7, 16].map { (blueprint, $0) } }

  /// Where a segment's run may be cut, from the definition: its ends, parameter starts, chunk edges inside parameters.
  private func allowedCuts(_ blueprint: Blueprint, _ segment: Int, _ layout: Layout) -> [Int] {
    let run = layout.runs[segment]
    var cuts: Set<Int> = [0, run.length]
    for (parameter, offset) in zip(blueprint.segments[segment].parameters, run.offsets) {
      cuts.insert(offset)
      let edges = stride(from: 0, to: blueprint.parameters[parameter].count, by: 4096).map { offset + $0 }
      cuts.formUnion(edges)
    }
    return cuts.sorted()
  }

  @Test("runs hold their parameters behind each other on 64-byte edges", arguments: blueprints)
  func runs(_ blueprint: Blueprint) {
    let layout = LayoutPlanner.plan(blueprint, ranks: 3)
    for (segment, run) in zip(blueprint.segments, layout.runs) {
      var end = 0
      for (parameter, offset) in zip(segment.parameters, run.offsets) {
        #expect(offset % 16 == 0 && offset >= end && offset - end < 16)
        end = offset + blueprint.parameters[parameter].count
      }
      #expect(run.length >= end && run.length - end < 16)
    }
  }

  @Test(
    "boundaries ascend, cover the run, and are the allowed cuts nearest to an even share", arguments: cases)
  func boundaries(_ example: (blueprint: Blueprint, ranks: Int)) {
    let (blueprint, ranks) = example
    let layout = LayoutPlanner.plan(blueprint, ranks: ranks)
    #expect(layout == LayoutPlanner.plan(blueprint, ranks: ranks))
    for (segment, run) in layout.runs.enumerated() {
      #expect(run.boundaries.count == ranks + 1 && run.boundaries == run.boundaries.sorted())
      #expect(run.boundaries.first == 0 && run.boundaries.last == run.length)
      let cuts = allowedCuts(blueprint, segment, layout)
      for (rank, boundary) in run.boundaries.enumerated() {
        #expect(cuts.contains(boundary), "boundary \(boundary) of segment \(segment)")
        let ideal = Double(run.length * rank) / Double(ranks)
        let nearest = cuts.map { abs(Double($0) - ideal) }.min() ?? 0
        #expect(abs(Double(boundary) - ideal) == nearest, "boundary \(boundary) of segment \(segment), ideal \(ideal)")
      }
    }
  }

  @Test("the pieces of all ranks tile every parameter, cut on chunk edges alone", arguments: cases)
  func tiles(_ example: (blueprint: Blueprint, ranks: Int)) {
    let (blueprint, ranks) = example
    let layout = LayoutPlanner.plan(blueprint, ranks: ranks)
    var next = Array(repeating: 0, count: blueprint.parameters.count)
    for segment in blueprint.segments.indices {
      for rank in 0..<ranks {
        for piece in layout.pieces(of: rank, segment: segment, blueprint) {
          #expect(piece.range.lowerBound == next[piece.parameter] && piece.range.lowerBound % 4096 == 0)
          #expect(piece.chunkCount == (piece.range.count + 4095) / 4096)
          next[piece.parameter] = piece.range.upperBound
        }
      }
    }
    #expect(next == blueprint.parameters.map(\.count))
  }

  @Test("a matrix is never cut where an optimizer asks for whole ones", arguments: cases)
  func matrices(_ example: (blueprint: Blueprint, ranks: Int)) {
    let (blueprint, ranks) = example
    let layout = LayoutPlanner.plan(blueprint, ranks: ranks, granularity: { _ in .matrix })
    let pieces = (0..<ranks).flatMap { layout.pieces(of: $0, blueprint) }
    #expect(pieces.map(\.parameter).sorted() == Array(blueprint.parameters.indices))
    #expect(pieces.allSatisfy { $0.range == 0..<blueprint.parameters[$0.parameter].count })
  }

  /// Every second parameter, one segment as a whole, and all but one parameter.
  static let frozen = [
    [[100_000, 50_000, 7, 9]], [[20_000, 30_000], [40_000], [5, 6]], [[4096, 12_288, 60_001, 1], [8192]],
  ].enumerated().map { number, sizes in
    LooseModel.build(sizes) { name in
      [{ $0.hasSuffix("1") || $0.hasSuffix("3") }, { $0.hasPrefix("1.") }, { $0 != "0.1" }][number](name)
    }.blueprint
  }

  @Test(
    "of a run what is trained lies in front; it and the frozen part are each tiled by ranks, on 64-byte and chunk edges",
    arguments: frozen, [1, 2, 3, 4, 7])
  func frozenParts(_ blueprint: Blueprint, ranks: Int) {
    let layout = LayoutPlanner.plan(blueprint, ranks: ranks)
    for (index, (segment, run)) in zip(blueprint.segments, layout.runs).enumerated() {
      for (isTrained, part) in [(true, 0..<run.trained), (false, run.trained..<run.length)] {
        let inside = zip(segment.parameters, run.offsets).filter { blueprint.parameters[$0.0].isTrainable == isTrained }
        #expect(part.isEmpty == inside.isEmpty)
        var end = part.lowerBound
        for (parameter, offset) in inside {
          #expect(offset % 16 == 0 && offset >= end && offset - end < 16 && part.contains(offset))
          end = offset + blueprint.parameters[parameter].count
        }
        #expect(part.upperBound >= end && part.upperBound - end < 16)
        let slices = (0..<ranks).map { isTrained ? run.slice(of: $0) : run.frozenSlice(of: $0) }
        #expect(slices.first?.lowerBound == part.lowerBound && slices.last?.upperBound == part.upperBound)
        #expect(zip(slices, slices.dropFirst()).allSatisfy { $0.upperBound == $1.lowerBound })
        let next = slices.flatMap { layout.pieces(in: $0, segment: index, blueprint) }
        #expect(next.allSatisfy { $0.range.lowerBound % 4096 == 0 })
        #expect(next.reduce(0) { $0 + $1.range.count } == inside.reduce(0) { $0 + blueprint.parameters[$1.0].count })
      }
    }
    // Neither the norm nor the slots know of frozen weights, and as to all others their layout is that of the others alone.
    let trained = (0..<ranks).flatMap { layout.trainedPieces(of: $0, blueprint) }
    #expect(trained.allSatisfy { blueprint.parameters[$0.parameter].isTrainable })
    #expect(trained.reduce(0) { $0 + $1.range.count } == blueprint.trainedCount)
  }

  @Test("shares of a large segment differ by no more than a chunk")
  func even() {
    let layout = LayoutPlanner.plan(LooseModel.build([[1_000_000]]).blueprint, ranks: 4)
    let shares = (0..<4).map { layout.runs[0].slice(of: $0).count }
    #expect((shares.max() ?? 0) - (shares.min() ?? 0) <= Layout.chunk)
  }
}
