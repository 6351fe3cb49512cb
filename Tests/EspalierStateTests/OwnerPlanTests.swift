import EspalierNN
import EspalierState
import EspalierTesting
import Testing

/// Who gets which of the parameters that must stay whole.
@Suite struct OwnerPlanTests {
  private func plan(_ costs: [Double], ranks: Int) -> OwnerPlan {
    OwnerPlan(
      costs.enumerated().map { OwnerPlan.Item(parameter: $0, cost: $1, memory: Int($1)) }, ranks: ranks)
  }

  /// The least that the busiest rank can have to do, by trying everything.
  private func best(_ costs: [Double], ranks: Int) -> Double {
    var best = Double.infinity
    func place(_ index: Int, _ loads: [Double]) {
      if loads.max() ?? 0 >= best { return }
      if index == costs.count {
        best = loads.max() ?? 0
        return
      }
      for rank in 0..<ranks {
        var next = loads
        next[rank] += costs[index]
        place(index + 1, next)
      }
    }
    place(0, Array(repeating: 0, count: ranks))
    return best
  }

  static let costs: [[Double]] = [
    [7, 7, 6, 6, 5, 5, 4, 4, 4], [10, 1, 1, 1], [3, 3, 2, 2, 2], [5], [], [9, 8, 7, 6, 5, 4, 3, 2, 1], [1, 1, 1, 1, 1],
  ]

  @Test("everything has one owner, and the busiest rank at most 4/3 of the best sharing", arguments: costs, 1...4)
  func bound(costs: [Double], ranks: Int) {
    let plan = plan(costs, ranks: ranks)
    #expect(plan.owners.keys.sorted() == Array(costs.indices))
    #expect(plan.owners.values.allSatisfy { (0..<ranks).contains($0) })
    #expect((plan.costs.max() ?? 0) <= 4 / 3 * best(costs, ranks: ranks) + 1e-9)
    for rank in 0..<ranks {
      #expect(plan.costs[rank] == costs.indices.filter { plan.owners[$0] == rank }.reduce(0) { $0 + costs[$1] })
    }
  }

  @Test("the same items in any order go to the same owners")
  func deterministic() {
    let items = [5.0, 5, 5, 3, 3, 1, 1, 1, 1].enumerated().map {
      OwnerPlan.Item(parameter: $0, cost: $1, memory: 10)
    }
    let owners = OwnerPlan(items, ranks: 3).owners
    #expect(OwnerPlan(items.reversed(), ranks: 3).owners == owners)
    #expect(owners == [0: 0, 1: 1, 2: 2, 3: 0, 4: 1, 5: 2, 6: 2, 7: 2, 8: 0])
  }

  @Test("where costs and sizes part, no rank holds more than 4/3 of an even share or the largest item")
  func memory() {
    // One item that is all the work, and many that are all the memory: by cost alone one rank would hold all of them.
    let items =
      [OwnerPlan.Item(parameter: 0, cost: 1e9, memory: 10)]
      + (1...12).map { OwnerPlan.Item(parameter: $0, cost: 1, memory: 100) }
    let plan = OwnerPlan(items, ranks: 2)
    #expect((plan.elements.max() ?? 0) <= 4 * (10 + 1200) / (3 * 2) + 1)
    #expect(plan.elements.reduce(0, +) == 1210)
  }

  @Test("costs decide who owns what, over all segments", arguments: [2, 3])
  func acrossSegments(ranks: Int) {
    let blueprint = LooseModel.build(Array(repeating: [4096, 8192, 64], count: ranks)).blueprint
    let layout = LayoutPlanner.plan(
      blueprint, ranks: ranks, granularity: { _ in .matrix }, cost: { Double($0.count) })
    // Equal segments: every rank gets one matrix of each size, though each segment alone cannot be shared so.
    for size in [4096, 8192, 64] {
      let owners = (0..<ranks).map { rank in
        layout.pieces(of: rank, blueprint).filter { blueprint.parameters[$0.parameter].count == size }.count
      }
      #expect(owners == Array(repeating: 1, count: ranks))
    }
  }

  @Test("segments in which nothing must stay whole are cut as ever")
  func mixed() {
    let blueprint = LooseModel.build([[100_000], [5000, 6000]]).blueprint
    let layout = LayoutPlanner.plan(
      blueprint, ranks: 3, granularity: { $0.count == 6000 ? .matrix : .element })
    #expect(layout.runs[0] == LayoutPlanner.plan(blueprint, ranks: 3).runs[0])
    for parameter in 1...2 {
      #expect((0..<3).flatMap { layout.pieces(of: $0, blueprint) }.filter { $0.parameter == parameter }.count == 1)
    }
  }
}
