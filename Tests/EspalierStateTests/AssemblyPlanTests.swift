import EspalierMethods
import EspalierNN
import EspalierState
import EspalierTesting
import EspalierTrain
import Testing

/// Which cut matrices are brought together where, and what travels for it.
@Suite struct AssemblyPlanTests {
  private func blueprint(depth: Int = 3) throws -> Blueprint {
    try OneStep.open(
      """
      model:     { decoder: { width: 64, depth: \(depth), heads: 2, context: 8, hidden: 160 } }
      optimizer: { muon: {} }
      data:      { synthetic: { kind: shift, samples: 64, vocabulary: 13 } }
      batch:     { samples: 16, lanes: 16 }
      """
    ).blueprint
  }

  private func plan(_ blueprint: Blueprint, ranks: Int) throws -> (plan: AssemblyPlan, layout: Layout, muon: Muon) {
    let muon = try Muon(Muon.Options())
    let layout = LayoutPlanner.plan(
      blueprint, ranks: ranks, costs: LayoutPlanner.costs(blueprint, for: muon, stage: .values))
    return (AssemblyPlan(blueprint, layout, muon), layout, muon)
  }

  /// Whether places lie behind each other from 0 to a count.
  private func fill(_ places: [Range<Int>]?, _ count: Int) -> Bool {
    let places = (places ?? []).sorted { $0.lowerBound < $1.lowerBound }
    return zip(places, places.dropFirst()).allSatisfy { $0.upperBound == $1.lowerBound }
      && (places.first?.lowerBound ?? 0) == 0 && (places.last?.upperBound ?? 0) == count
  }

  @Test("every matrix of a segment that cuts one has one owner, and its parts tile it and lie apart", arguments: 1...16)
  func parts(ranks: Int) throws {
    let blueprint = try blueprint(), (plan, layout, muon) = try plan(blueprint, ranks: ranks)
    var met: Set<Int> = []
    for (number, segment) in plan.segments.enumerated() {
      var sent: [Int: [Range<Int>]] = [:], received: [Int: [Range<Int>]] = [:]
      for (parameter, parts) in Dictionary(grouping: segment.parts, by: \.parameter) {
        met.insert(parameter)
        #expect(Set(parts.map(\.owner)).count == 1 && Set(parts.map(\.rank)).count == parts.count)
        #expect(parts.first?.range.lowerBound == 0)
        #expect(parts.last?.range.upperBound == blueprint.parameters[parameter].count)
        #expect(zip(parts, parts.dropFirst()).allSatisfy { $0.range.upperBound == $1.range.lowerBound })
      }
      for part in segment.parts {
        sent[part.rank, default: []].append(part.sent..<part.sent + part.room)
        received[part.owner, default: []].append(part.received..<part.received + part.room)
      }
      for rank in 0..<ranks {
        #expect(fill(sent[rank], segment.sentCount(of: rank)), "what rank \(rank) sends of segment \(number)")
        #expect(fill(received[rank], segment.receivedCount(of: rank)), "what rank \(rank) receives of it")
      }
    }
    // All matrices of the segments that cut one.
    let shared = blueprint.segments.flatMap { segment -> [Int] in
      let matrices = segment.parameters.filter { muon.granularity(of: blueprint.parameters[$0]) == .matrix }
      let holders = matrices.map { matrix in
        (0..<ranks).count { layout.pieces(of: $0, blueprint).contains { $0.parameter == matrix } }
      }
      return holders.contains { $0 > 1 } ? matrices : []
    }
    #expect(met == Set(shared) && met.allSatisfy(plan.isAssembled) && plan.isEmpty == shared.isEmpty)
    if ranks > 1 { #expect(!plan.isEmpty) }
  }

  @Test("no work is lost, and no rank does more than the mean and the costliest matrix", arguments: 1...16)
  func balance(ranks: Int) throws {
    let blueprint = try blueprint(), (plan, _, muon) = try plan(blueprint, ranks: ranks)
    let costs = blueprint.parameters.map(muon.cost(of:)), total = costs.reduce(0, +)
    #expect(abs(plan.costByRank.reduce(0, +) - total) <= 1e-9 * total)
    #expect((plan.costByRank.max() ?? 0) <= total / Double(ranks) + (costs.max() ?? 0))
  }

  @Test("where parameters have owners nothing is brought together", arguments: 2...4)
  func owners(ranks: Int) throws {
    let blueprint = try blueprint(), muon = try Muon(Muon.Options())
    let layout = LayoutPlanner.plan(
      blueprint, ranks: ranks, costs: LayoutPlanner.costs(blueprint, for: muon, stage: .gradients))
    let plan = AssemblyPlan(blueprint, layout, muon)
    #expect(plan.isEmpty && (0..<ranks).allSatisfy { plan.bytesSent(by: $0) == 0 })
  }
}
