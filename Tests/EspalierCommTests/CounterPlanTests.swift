import EspalierComm
import Testing

@Suite("CounterPlan")
struct CounterPlanTests {
  @Test("two lanes of two ranks are one addition into slot 0")
  func twoLanes() {
    let plan = CounterPlan(retained: [], fed: [0, 0], isLast: true)
    #expect(plan.steps == [CounterStep(.slot(0), .node(0), .node(1))])
    #expect(plan.levels.isEmpty)
  }

  @Test("one lane is copied")
  func oneLane() {
    #expect(CounterPlan(retained: [], fed: [0], isLast: true).steps == [CounterStep(.slot(0), .node(0))])
  }

  @Test("what remains after the last round is added from the last node back to the first")
  func remainder() {
    // Seven lanes: (0+1)+(2+3), 4+5, 6 → 6 joins 4+5 first.
    let plan = CounterPlan(retained: [], fed: [2, 1, 0], isLast: true)
    #expect(plan.steps == [CounterStep(.node(1), .node(1), .node(2)), CounterStep(.slot(0), .node(0), .node(1))])
  }

  @Test("what remains between rounds goes to the slot of its place, the last one first")
  func retained() {
    let plan = CounterPlan(retained: [], fed: [0, 0, 0], isLast: false)
    #expect(
      plan.steps == [
        CounterStep(.node(0), .node(0), .node(1)), CounterStep(.slot(1), .node(2)), CounterStep(.slot(0), .node(0)),
      ])
    #expect(plan.levels == [1, 0])
    #expect(plan.slotsUsed == 2)
  }

  @Test("a retained node is the left side and the place of its sum")
  func carry() {
    let plan = CounterPlan(retained: [1, 0], fed: [0], isLast: false)
    #expect(plan.steps == [CounterStep(.slot(1), .slot(1), .node(0)), CounterStep(.slot(0), .slot(0), .slot(1))])
    #expect(plan.levels == [2])
  }

  @Test("a round without nodes still finishes the sum")
  func emptyLastRound() {
    #expect(
      CounterPlan(retained: [2, 1, 0], fed: [], isLast: true).steps == [
        CounterStep(.slot(1), .slot(1), .slot(2)), CounterStep(.slot(0), .slot(0), .slot(1)),
      ])
  }

  @Test("what a plan leaves is the binary form of the lanes fed", arguments: 1...33)
  func levelsAreBinary(lanes: Int) {
    var levels: [Int] = []
    for _ in 0..<lanes { levels = CounterPlan(retained: levels, fed: [0], isLast: false).levels }
    #expect(levels == (0..<8).reversed().filter { lanes >> $0 & 1 == 1 })
  }
}
