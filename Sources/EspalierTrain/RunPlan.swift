import EspalierComm
import EspalierMethods
import EspalierNN
package import EspalierState
import Foundation

/// Memory, traffic and work of a run, from the blueprint alone: what `espalier plan` prints.
package struct RunPlan: Sendable {
  package let run: ResolvedRun
  package let ranks: Int
  package let layout: Layout
  package let memory: MemoryPlan
  package let traffic: TrafficPlan

  /// - Throws: `RunError` where there are more ranks than lanes.
  package init(_ run: ResolvedRun, ranks: Int) throws {
    guard ranks >= 1, ranks <= run.lanes else {
      throw RunError(
        .moreRanksThanLanes, subject: "batch.lanes",
        reason: "\(ranks) ranks cannot share \(run.lanes) lanes: a lane is computed by one rank",
        remedy: "plan 1 to \(run.lanes) ranks, or write more lanes in the recipe")
    }
    self.run = run
    self.ranks = ranks
    let layout = LayoutPlanner.plan(
      run.blueprint, ranks: ranks, costs: run.ownerCosts(run.blueprint))
    self.layout = layout
    let slots = SlotTable(run.blueprint, run.optimizer, methods: run.methodSlots)
    let assembly = AssemblyPlan(run.blueprint, layout, run.optimizer)
    memory = MemoryPlan(
      run.blueprint, layout, stage: run.stage, lanes: run.lanes, slots: slots, assembly: assembly)
    checkpointBytes = run.blueprint.parameters.indices.reduce(0) {
      $0 + 4 * run.blueprint.parameters[$1].count * slots.count(of: $1)
    }
    update = UpdatePlan(run.blueprint, ranks: ranks, run.optimizer, stage: run.stage, assembly: assembly)
    traffic = TrafficPlan(
      run.blueprint, layout, stage: run.stage, lanes: run.lanes, clippedHeads: run.clippedHeads,
      assembly: assembly)
  }

  /// Bytes of second moments that the busiest rank holds while methods look at what layers read: a matrix in double precision for every layer
  /// and lane, and of the layers that it decomposes their sums. 0 without such methods.
  package var momentBytes: Int {
    let protected = run.blueprint.parameters.filter { spec in
      run.methods.contains { $0.granularity(of: spec) == .matrix }
    }
    let widths = Dictionary(uniqueKeysWithValues: protected.map { ($0.name, $0.axes[1].count) })
    let owners = ContinualEngine.owners(of: protected.map(\.name), widths, ranks: ranks)
    let squares = widths.mapValues { 8 * $0 * $0 }
    let owned = (0..<ranks).map { rank in squares.reduce(0) { $0 + (owners[$1.key] == rank ? $1.value : 0) } }
    return squares.values.reduce(0, +) * ((run.lanes + ranks - 1) / ranks) + (owned.max() ?? 0)
  }

  /// Bytes of all slots that a checkpoint holds, before compression.
  package let checkpointBytes: Int
  package let update: UpdatePlan

  /// Ranks that deal the lanes evenly.
  package var evenRanks: [Int] { (1...run.lanes).filter { run.lanes % $0 == 0 } }

  /// Floating-point operations of the products of one step before the first growth, over all ranks.
  package var operationsPerStep: Int {
    run.stages[0].operationsPerSample(recompute: run.settings.recompute) * run.settings.batch.samples
  }
}

/// `RunPlan` for a program.
package struct RunPlanReport: Codable, Sendable {
  package struct Rank: Codable, Sendable {
    package let rank: Int
    package let bytesBySlot: [String: Int]
    package let liveBytes: Int
    package let totalBytes: Int
    package let bytesSentPerStep: Int
    package let bytesReceivedPerStep: Int
  }

  package let model: String
  package let parameters: Int
  package let trainedParameters: Int
  package let segments: Int
  package let ranks: Int
  package let stage: Int
  /// "1", or "0, updates shared out as at 1".
  package let stageText: String
  package let lanes: Int
  package let samplesPerStep: Int
  package let steps: Int
  package let operationsPerStep: Int
  /// Work of every train phase; the figures above and below are those of the first.
  package let phases: [PhaseWork]
  package let growths: [GrowthForecast]
  package let checkpointBytes: Int
  /// The part of a checkpoint that later ones link instead of writing it.
  package let frozenBytes: Int
  /// Of the busiest rank, while methods look at what layers read.
  package let momentBytes: Int
  package let update: UpdatePlan
  package let byRank: [Rank]

  package init(_ plan: RunPlan) {
    model = plan.run.settings.model.name
    parameters = plan.run.blueprint.count
    trainedParameters = plan.run.blueprint.trainedCount
    segments = plan.run.blueprint.segments.count
    ranks = plan.ranks
    stage = plan.run.settings.stage
    stageText = plan.run.stageText
    lanes = plan.run.lanes
    samplesPerStep = plan.run.settings.batch.samples
    steps = plan.run.schedule.stepCount
    operationsPerStep = plan.operationsPerStep
    phases = plan.phases
    growths = plan.growths
    checkpointBytes = plan.checkpointBytes
    frozenBytes = 4 * (plan.run.blueprint.count - plan.run.blueprint.trainedCount)
    momentBytes = plan.momentBytes
    update = plan.update
    byRank = (0..<plan.ranks).map { rank in
      let bytes = plan.memory.byRank[rank]
      return Rank(
        rank: rank, bytesBySlot: bytes.bySlot, liveBytes: bytes.live, totalBytes: bytes.total,
        bytesSentPerStep: plan.traffic.bytesSent[rank], bytesReceivedPerStep: plan.traffic.bytesReceived[rank])
    }
  }
}
