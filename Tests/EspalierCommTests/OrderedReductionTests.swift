import EspalierComm
import EspalierTesting
import Testing

@Suite("OrderedReduction")
struct OrderedReductionTests {
  @Test("the bits are those of a serial counter for every number of ranks", arguments: 1...9)
  func bitsEqualTheSerialCounter(ranks: Int) throws {
    _ = try Ranks.run(ranks) { communicator in
      for lanes in ranks...9 {
        for order in [LaneDealing.Order.contiguous, .roundRobin] {
          for isInPlace in [false, true] {
            let even = (0...ranks).map { $0 * 150 / ranks }
            try ReductionCase(lanes: lanes, order: order, boundaries: even, isInPlace: isInPlace).check(
              on: communicator)
          }
        }
      }
    }
  }

  @Test("the bits do not depend on the chunk size", arguments: [1, 7, 16, 64, 262_144])
  func chunksDoNotMatter(chunkElements: Int) throws {
    var options = Ranks.options
    options.chunkElements = chunkElements
    _ = try Ranks.run(3, options: options) { communicator in
      for order in [LaneDealing.Order.contiguous, .roundRobin] {
        try ReductionCase(lanes: 7, order: order, boundaries: [0, 50, 51, 200], isInPlace: true).check(on: communicator)
      }
    }
  }
}
