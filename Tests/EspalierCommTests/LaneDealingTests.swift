import EspalierComm
import Testing

@Suite("LaneDealing")
struct LaneDealingTests {
  @Test("8 lanes on 3 ranks are blocks of 3, 3, 2 in maximal aligned subtrees")
  func eightOnThree() {
    let dealing = LaneDealing(lanes: 8, ranks: 3, order: .contiguous)
    #expect((0..<3).map { dealing.lanes(of: $0) } == [[0, 1, 2], [3, 4, 5], [6, 7]])
    #expect(
      dealing.rounds == [
        .init(
          nodes: [
            LaneNode(rank: 0, firstLane: 0, level: 1), LaneNode(rank: 0, firstLane: 2, level: 0),
            LaneNode(rank: 1, firstLane: 3, level: 0), LaneNode(rank: 1, firstLane: 4, level: 1),
            LaneNode(rank: 2, firstLane: 6, level: 1),
          ], isLast: true)
      ])
    #expect((0..<3).map { dealing.localSlabs(of: $0) } == [2, 3, 2])
    #expect(dealing.retainedNodes == 1)
  }

  @Test("8 lanes on 3 ranks round-robin are three rounds, the last of two lanes")
  func eightOnThreeInTurn() {
    let dealing = LaneDealing(lanes: 8, ranks: 3, order: .roundRobin)
    #expect((0..<3).map { dealing.lanes(of: $0) } == [[0, 3, 6], [1, 4, 7], [2, 5]])
    #expect(dealing.rounds.map { $0.nodes.map(\.firstLane) } == [[0, 1, 2], [3, 4, 5], [6, 7]])
    #expect(dealing.rounds.map { $0.nodes.map(\.rank) } == [[0, 1, 2], [0, 1, 2], [0, 1]])
    #expect(dealing.rounds.map(\.isLast) == [false, false, true])
    // After three lanes: 2 + 1; after six: 4 + 2.
    #expect(dealing.retainedNodes == 2)
  }

  @Test("an aligned power of two of lanes needs 1 + log₂ slabs", arguments: [(1, 1), (2, 2), (4, 3), (8, 4), (16, 5)])
  func alignedSlabs(lanes: Int, slabs: Int) {
    #expect(LaneDealing(lanes: lanes, ranks: 1, order: .contiguous).localSlabs(of: 0) == slabs)
    #expect(LaneDealing(lanes: 2 * lanes, ranks: 2, order: .contiguous).localSlabs(of: 1) == slabs)
  }

  @Test("one rank with 8 lanes in turn keeps at most 3 nodes between rounds")
  func retainedOnOneRank() {
    #expect(LaneDealing(lanes: 8, ranks: 1, order: .roundRobin).retainedNodes == 3)
    #expect(LaneDealing(lanes: 8, ranks: 4, order: .roundRobin).retainedNodes == 1)
    #expect(LaneDealing(lanes: 8, ranks: 8, order: .roundRobin).retainedNodes == 1)
  }

  @Test(
    "every lane is computed once and handed over once, in lane order, in aligned nodes of its rank", arguments: 1...17)
  func lanesAreTiled(lanes: Int) {
    for ranks in 1...lanes {
      for order in [LaneDealing.Order.contiguous, .roundRobin] {
        let dealing = LaneDealing(lanes: lanes, ranks: ranks, order: order)
        #expect((0..<ranks).flatMap { dealing.lanes(of: $0) }.sorted() == Array(0..<lanes))
        let counts = (0..<ranks).map { dealing.lanes(of: $0).count }
        #expect(counts == (0..<ranks).map { lanes / ranks + ($0 < lanes % ranks ? 1 : 0) })
        let nodes = dealing.rounds.flatMap(\.nodes)
        #expect(nodes.flatMap { Array($0.firstLane..<$0.firstLane + $0.laneCount) } == Array(0..<lanes))
        for node in nodes {
          #expect(node.firstLane % node.laneCount == 0)
          let computed = dealing.lanes(of: node.rank)
          #expect((node.firstLane..<node.firstLane + node.laneCount).allSatisfy(computed.contains))
        }
        #expect(dealing.rounds.dropLast().allSatisfy { !$0.isLast } && dealing.rounds.last?.isLast == true)
        #expect(dealing.rounds.count == (order == .contiguous ? 1 : (lanes + ranks - 1) / ranks))
      }
    }
  }

  @Test("no two neighbouring nodes of a rank could have been merged", arguments: 1...17)
  func subtreesAreMaximal(lanes: Int) {
    for ranks in 1...lanes {
      let nodes = LaneDealing(lanes: lanes, ranks: ranks, order: .contiguous).rounds[0].nodes
      for (left, right) in zip(nodes, nodes.dropFirst()) where left.rank == right.rank && left.level == right.level {
        #expect(
          left.firstLane % (2 * left.laneCount) != 0, "lanes \(left.firstLane) and \(right.firstLane) of \(lanes)")
      }
    }
  }
}
