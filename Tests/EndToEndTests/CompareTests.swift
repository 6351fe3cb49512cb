import EspalierState
import EspalierTesting
import EspalierTrain
import Foundation
import Testing

/// `espalier compare` and `espalier runs` on runs that were really trained.
@Suite struct CompareTests {
  static let recipe = TinyRuns.decoder.replacing("steps: 20", with: "steps: 12")
  static let journaled = ["log.digestEvery=2", "save.every=4", "save.keep=9", "evaluate.every=4"]

  @Test("runs that differ in ranks and stage alone have the same losses, digests and checkpoints")
  func same() throws {
    try Runs.inTemporaryDirectory { directory in
      _ = try Runs.train(Self.recipe, set: Self.journaled, ranks: 1, in: directory + "/a")
      _ = try Runs.train(Self.recipe, set: Self.journaled + ["stage=3"], ranks: 3, in: directory + "/b")
      let found = try RunComparison(directory + "/a", directory + "/b")
      #expect(found.settings.map(\.key) == ["stage"])
      #expect(found.loss.commonSteps == 12 && found.loss.firstDifference == nil)
      #expect(found.validationLoss.commonSteps == 3 && found.validationLoss.firstDifference == nil)
      #expect(found.digests.commonSteps == 6 && found.digests.firstDifferentStep == nil)
      #expect(found.checkpoints.commonSteps == [4, 8, 12] && found.checkpoints.lastSameStep == 12)
      #expect(found.hasSameDigests)
      // The journal's last digest is the one that a checkpoint of that step has.
      let digests = JournalReader(run: directory + "/a").digests
      let printed = try ProcessRunner.run(
        try ProcessRunner.product("espalier"), ["digest", directory + "/b/checkpoints/step-0000000012"])
      #expect(printed.lines.last == "total \(digests[12]?.total.description ?? "")")
    }
  }

  @Test("a change planted after step 6 is found at the first step that shows it")
  func planted() throws {
    try Runs.inTemporaryDirectory { directory in
      let (a, b) = (directory + "/a", directory + "/b")
      _ = try Runs.train(Self.recipe, set: Self.journaled, ranks: 1, in: a)
      _ = try Runs.train(Self.recipe, set: Self.journaled, ranks: 2, in: b, stopsAfter: 6)
      _ = try Runs.train(
        Self.recipe, set: Self.journaled + ["clip=0.01"], ranks: 2, in: b, resumes: true, allowing: ["clip"])
      let found = try RunComparison(a, b)
      #expect(found.settings.map(\.key) == ["clip"])
      #expect(found.settings.first?.old == "1" && found.settings.first?.new == "0.01")
      // Step 7 computes its loss from weights that are still the same; its update is the first that differs.
      #expect(found.loss.lastSameStep == 7 && found.loss.firstDifference?.step == 8)
      #expect(found.digests.lastSameStep == 6 && found.digests.firstDifferentStep == 8)
      #expect(found.digests.segments == ["embed", "blocks.0", "blocks.1", "blocks.2", "head"])
      #expect(found.checkpoints.lastSameStep == 4 && found.checkpoints.firstDifferentStep == 8)
      #expect(found.checkpoints.firstDifferentSlot?.hasSuffix("/value") == true)
      #expect(!found.hasSameDigests)

      let espalier = try ProcessRunner.product("espalier")
      let text = try ProcessRunner.run(espalier, ["compare", a, b])
      #expect(text.status == 0 && text.output.contains("differ from step 8 in embed, blocks.0"), "\(text)")
      #expect(text.lines.contains { $0.hasPrefix("  clip") && $0.hasSuffix("1 and 0.01") }, "\(text)")
      let json = try ProcessRunner.run(espalier, ["compare", a, b, "--json"])
      let read = try JSONDecoder().decode(RunComparison.self, from: Data(json.output.utf8))
      #expect(read.digests == found.digests && read.loss == found.loss && read.checkpoints == found.checkpoints)
    }
  }

  @Test("runs lists what was trained, with its state")
  func listing() throws {
    try Runs.inTemporaryDirectory { directory in
      let done = try Runs.train(Self.recipe, in: directory + "/x/done")
      _ = try Runs.train(Self.recipe, in: directory + "/stopped", stopsAfter: 5)
      let espalier = try ProcessRunner.product("espalier")
      let json = try ProcessRunner.run(espalier, ["runs", directory, "--json"])
      let runs = try JSONDecoder().decode(RunListing.self, from: Data(json.output.utf8)).runs
      #expect(runs.map(\.path) == [directory + "/stopped", directory + "/x/done"], "the latest first")
      #expect(runs.map(\.state) == [.stopped, .finished] && runs.map(\.step) == [5, 12])
      #expect(runs[1].loss == done.outcome.lastLoss && runs[1].validationLoss == done.outcome.evaluation?.loss)
      #expect(runs.allSatisfy { $0.bytes > 100_000 && $0.checkpoints == 1 && $0.holder == nil })
      let text = try ProcessRunner.run(espalier, ["runs", directory])
      #expect(text.lines.count == 3 && text.output.contains("finished") && text.output.contains("ago"), "\(text)")
      let none = try ProcessRunner.run(espalier, ["runs", directory + "/none"])
      #expect(none.status == 1 && none.errors.contains("there is no such folder"), "\(none)")
    }
  }

  @Test("bench overlap reports its three times and a share between them")
  func overlap() throws {
    let outcome = try ProcessRunner.run(
      try ProcessRunner.product("espalier"), ["bench", "overlap", "--mebibytes", "1", "--rounds", "3", "--json"])
    try #require(outcome.status == 0, "\(outcome)")
    let report = try JSONDecoder().decode([String: Double].self, from: Data(outcome.output.utf8))
    let reduction = try #require(report["reductionSeconds"]), compute = try #require(report["computeSeconds"])
    let together = try #require(report["togetherSeconds"]), share = try #require(report["hiddenShare"])
    #expect(report["ranks"] == 2 && report["bytes"] == 1_048_576)
    #expect(reduction > 0 && compute > 0 && together > 0)
    // The share is a median of rounds and the times are medians of their own, on a machine with other work.
    #expect(share.isFinite)
  }
}
