import EspalierComm
import EspalierMethods
import EspalierState
import EspalierTesting
import EspalierTrain
import Testing

/// What ranks counted while they ran, held against what `plan` says: counters, not formulas.
@Suite struct CountersTests {
  private func plan(_ recipe: String, _ overrides: [String], ranks: Int) throws -> RunPlan {
    let settings = try RunSettings(
      recipe: SettingsFile(text: recipe, name: "recipe"), overrides: overrides,
      choices: Catalogue.standard.choices)
    return try RunPlan(ResolvedRun(settings), ranks: ranks)
  }

  @Test("each rank computes the samples of its lanes, and sends and holds what plan says", arguments: 1...4, 0...3)
  func counters(ranks: Int, stage: Int) throws {
    try counters(TinyRuns.decoder, ranks: ranks, stage: stage)
  }

  @Test("where matrices have owners and slots belong to some parameters alone, likewise", arguments: [2, 3], 0...3)
  func owners(ranks: Int, stage: Int) throws { try counters(MuonRunsTests.recipe, ranks: ranks, stage: stage) }

  @Test("a step more sends what plan says of a step within 1 %", arguments: [2, 3], 0...3)
  func steps(ranks: Int, stage: Int) throws {
    try Runs.inTemporaryDirectory { directory in
      let overrides = ["stage=\(stage)", "evaluate.every=0", "data.text.validation=0%"]
      func sent(_ steps: Int) throws -> [Int] {
        try Runs.train(
          MuonRunsTests.recipe, set: overrides + ["schedule.0.train.steps=\(steps)"], ranks: ranks,
          in: directory + "/\(steps)"
        ).ranks.map(\.bytesSent)
      }
      let plan = try plan(MuonRunsTests.recipe, overrides, ranks: ranks)
      for (rank, (few, many)) in try zip(sent(2), sent(6)).enumerated() {
        let planned = 4 * plan.traffic.bytesSent[rank]
        #expect(abs(many - few - planned) <= planned / 100, "rank \(rank): \(many - few) and \(planned)")
      }
    }
  }

  private func counters(_ recipe: String, ranks: Int, stage: Int) throws {
    let steps = 5
    let overrides = ["stage=\(stage)", "schedule.0.train.steps=\(steps)", "evaluate.batches=1", "evaluate.every=0"]
    try Runs.inTemporaryDirectory { directory in
      let result = try Runs.train(
        recipe, set: overrides + ["data.text.validation=0%"], ranks: ranks, in: directory + "/run")
      let plan = try plan(recipe, overrides, ranks: ranks)
      let dealing = LaneDealing(lanes: 8, ranks: ranks, order: stage >= 2 ? .roundRobin : .contiguous)
      for rank in 0..<ranks {
        let figures = result.ranks[rank]
        #expect(figures.samples == steps * dealing.lanes(of: rank).count * 2, "samples of rank \(rank)")
        let traffic = plan.traffic, (sent, received) = (traffic.bytesSent[rank], traffic.bytesReceived[rank])
        // The last update has gathered for a step that never came.
        let (atEnd, toEnd) = (traffic.bytesSentAhead[rank], traffic.bytesReceivedAhead[rank])
        // Ranks also agree on saves and on the end; that is not part of a step.
        let besides = 60_000
        #expect(abs(figures.bytesSent - steps * sent - atEnd) <= steps * sent / 100 + besides, "sent by rank \(rank)")
        #expect(
          abs(figures.bytesReceived - steps * received - toEnd) <= steps * received / 100 + besides,
          "received by \(rank)")
        #expect(figures.state == plan.memory.byRank[rank], "state of rank \(rank)")
        // Slabs are all that a store holds: every byte is in an account.
        #expect(abs(figures.slabBytes - figures.state.total) <= 64 * 200, "slabs of rank \(rank)")
      }
    }
  }
}
