import EspalierComm
import EspalierMethods
import EspalierNN
import EspalierState
import EspalierTesting
import EspalierTrain
import Foundation
import Testing

/// What slabs hold at each ZeRO stage, counted while a decoder of 50 million weights takes a step on 4 ranks, against the formula
/// of Rajbhandari et al. 2020, arXiv:1910.02054, with the lanes' counter added.
@Suite(.serialized) struct MemoryFormulaTests {
  struct Counted: Sendable {
    let slabs: Int
    let state: StateBytes
    let loss: Double
  }

  static let ranks = 4

  private func recipe(stage: Int, lanes: Int) -> String {
    """
    model:     { decoder: { width: 640, depth: 10, heads: 10, context: 16, vocabulary: 256 } }
    data:      { synthetic: { kind: shift, samples: 64, vocabulary: 256, validation: 0 } }
    batch:     { samples: \(lanes), lanes: \(lanes) }
    stage:     \(stage)
    """
  }

  private func step(_ run: ResolvedRun) throws -> [Counted] {
    try World.inProcess(ranks: Self.ranks) { communicator in
      let session = try RankSession(run, communicator)
      // Zero weights will do: what is counted does not depend on them, and 50 million normal numbers take a second.
      let report = try TrainingStep(session, clip: 1, seed: 1).run(
        TrainingStep.Input(
          step: 0, updates: 0, rate: 1e-3,
          batches: session.turns.map { try $0.lane.map { try OneStep.samples(of: run, lane: $0) } ?? run.emptyBatch() },
          note: RankNote()))
      try session.store.settle()
      let counted = Counted(
        slabs: communicator.statistics.highWaterSlabBytes, state: session.store.bytes, loss: report.loss)
      try communicator.barrier(label: "all have counted").wait()
      return counted
    }
  }

  @Test(
    "slabs of a rank hold 16, 8 + 8/N, 4 + 12/N or 16/N bytes a weight, the counter and live segments, within 5 %",
    arguments: 0...3, [4, 8])
  func formula(stage: Int, lanes: Int) throws {
    let run = try ResolvedRun(
      RunSettings(
        recipe: SettingsFile(text: recipe(stage: stage, lanes: lanes), name: "recipe"), overrides: [],
        choices: Catalogue.standard.choices))
    let weights = Double(run.blueprint.count), n = Double(Self.ranks)
    #expect((49_000_000...51_000_000).contains(run.blueprint.count))
    let counted = try step(run)
    let residentMiB = Self.residentBytes() >> 20

    let longest = LayoutPlanner.plan(run.blueprint, ranks: Self.ranks).runs.map(\.length).max() ?? 0
    let lanesPerRank = Double(lanes / Self.ranks)
    // With rounds of 4 lanes an owner's counter ends every round with one node: what it keeps besides costs nothing.
    let retained = LaneDealing(lanes: lanes, ranks: Self.ranks, order: .roundRobin).retainedNodes
    let counter = stage < 2 ? 4 * log2(lanesPerRank) : 4 * Double(retained - 1) / n
    let bytesPerWeight = [16, 8 + 8 / n, 4 + 12 / n, 16 / n][stage] + counter
    let live = [0, 0, 1, 3][stage] * 4 * longest
    let expected = bytesPerWeight * weights + Double(live)
    for (rank, figures) in counted.enumerated() {
      #expect(figures.loss.isFinite)
      #expect(
        abs(Double(figures.slabs) - expected) <= 0.05 * expected,
        "rank \(rank) holds \(figures.slabs) bytes of slabs, the formula says \(Int(expected))")
      // No more than one segment's gradient at stages 2–3 and two segments' values at stage 3, to the byte.
      #expect(
        figures.state.live <= live, "rank \(rank) holds \(figures.state.live) bytes of live segments, not \(live)")
      #expect(abs(figures.slabs - figures.state.total) <= 64 * 200, "an account of rank \(rank) misses slabs")
    }
    let slabs = counted.reduce(0) { $0 + $1.slabs } >> 20
    print(
      "# stage \(stage), \(lanes) lanes: \(slabs) MiB of slabs on \(Self.ranks) ranks; "
        + "the process has had \(residentMiB) MiB resident at most")
  }

  /// The most that this process has had in memory since the last look; 0 where the system does not say.
  private static func residentBytes() -> Int {
    guard let status = try? String(contentsOfFile: "/proc/self/status", encoding: .utf8),
      let line = status.split(separator: "\n").first(where: { $0.hasPrefix("VmHWM:") }),
      let kibibytes = line.split(whereSeparator: { !$0.isNumber }).first.flatMap({ Int($0) })
    else { return 0 }
    return kibibytes << 10
  }
}
