import EspalierComm
import EspalierTesting
import Testing

@Suite("BackendLaws in process")
struct BackendLawsTests {
  @Test("threads of one process keep every law", arguments: 1...5)
  func inProcess(ranks: Int) throws {
    let names = try Ranks.run(ranks) { try BackendLaws.all($0) }
    #expect(names.count == ranks && names.allSatisfy { $0.count >= 9 })
  }

  @Test("they keep them without checks and with one chunk a run", arguments: [2, 3])
  func plainOptions(ranks: Int) throws {
    _ = try World.inProcess(ranks: ranks) { try BackendLaws.all($0) }
  }

  @Test("the numbers of the laws tell another order of the sum apart")
  func lawsAreSharp() {
    // Left to right, and the tree of another number of lanes at the end, differ from the counter in many elements.
    var naive = 0
    for index in 0..<100 {
      let serial = (0..<8).reduce(Float(0)) { $0 + LaneReference.value(lane: $1, index: index) }
      if serial.bitPattern != LaneReference.sum(lanes: 8, index: index).bitPattern { naive += 1 }
    }
    #expect(naive > 20)
  }

  @Test("the reference counter equals hand-written trees")
  func referenceByHand() {
    func lane(_ lane: Int) -> Float { LaneReference.value(lane: lane, index: 5) }
    #expect(LaneReference.sum(lanes: 3, index: 5) == (lane(0) + lane(1)) + lane(2))
    let six = ((lane(0) + lane(1)) + (lane(2) + lane(3))) + (lane(4) + lane(5))
    #expect(LaneReference.sum(lanes: 6, index: 5) == six)
    let seven = ((lane(0) + lane(1)) + (lane(2) + lane(3))) + ((lane(4) + lane(5)) + lane(6))
    #expect(LaneReference.sum(lanes: 7, index: 5) == seven)
  }
}
