import EspalierState
import EspalierTesting
import EspalierTrain
import Foundation
import Testing

/// What a run may begin from, and what a resume accepts.
@Suite struct StartAndResumeRulesTests {
  let recipe = TinyRuns.decoder.replacing("steps: 20", with: "steps: 4")

  private func refusal(_ body: () throws -> Void) -> String {
    do {
      try body()
      return ""
    } catch { return "\(error)" }
  }

  @Test("a run directory with checkpoints is refused without --resume, and nothing is changed")
  func existingRun() throws {
    try Runs.inTemporaryDirectory { directory in
      let run = directory + "/run"
      let before = try Runs.train(recipe, in: run).digests.total
      let text = refusal { _ = try Runs.train(recipe, set: ["seed=8"], ranks: 2, in: run) }
      #expect(text.contains("--resume") && text.contains("step-0000000004"))
      let reader = try CheckpointReader(run + "/checkpoints/step-0000000004")
      #expect(reader.digest == before)
    }
  }

  @Test("a resume without checkpoints is refused")
  func nothingToResume() throws {
    try Runs.inTemporaryDirectory { directory in
      let text = refusal { _ = try Runs.train(recipe, in: directory + "/run", resumes: true) }
      #expect(text.contains("no checkpoint to resume from"))
    }
  }

  @Test("more ranks than lanes are refused with the number of lanes")
  func tooManyRanks() throws {
    try Runs.inTemporaryDirectory { directory in
      let text = refusal { _ = try Runs.train(recipe, set: ["batch.lanes=2"], ranks: 3, in: directory + "/run") }
      #expect(text.contains("3 ranks cannot share 2 lanes"))
    }
  }

  @Test(
    "model, data order, seed and lanes do not change at a resume unless allowed",
    arguments: ["model.decoder.width=64", "seed=8", "batch.lanes=4", "batch.samples=32", "optimizer.adamw.beta1=0.8"])
  func refusedChanges(change: String) throws {
    try Runs.inTemporaryDirectory { directory in
      let run = directory + "/run"
      _ = try Runs.train(recipe, in: run, stopsAfter: 2)
      let text = refusal { _ = try Runs.train(recipe, set: [change], in: run, resumes: true) }
      let key = change.prefix { $0 != "=" }
      #expect(text.contains(key) && text.contains("--allow"))
    }
  }

  @Test("lanes change knowingly with --allow, and the lineage says from which step")
  func allowedChange() throws {
    try Runs.inTemporaryDirectory { directory in
      let run = directory + "/run"
      _ = try Runs.train(recipe, in: run, stopsAfter: 2)
      let resumed = try Runs.train(
        recipe, set: ["batch.lanes=4"], ranks: 4, in: run, resumes: true, allowing: ["batch.lanes"])
      let state = try TrainingState(from: CheckpointReader(resumed.outcome.checkpoint))
      let last = try #require(state.lineage.last)
      #expect(last.step == 2 && last.ranks == 4 && last.changes.contains { $0.contains("batch.lanes") })
    }
  }

  @Test("schedule, rates, saving, evaluation, ranks and stage change freely and are listed")
  func freeChanges() throws {
    try Runs.inTemporaryDirectory { directory in
      let run = directory + "/run"
      _ = try Runs.train(recipe, in: run, stopsAfter: 2)
      let resumed = try Runs.train(
        recipe,
        set: ["schedule.0.train.steps=6", "optimizer.adamw.rate=1e-3", "save.every=1", "evaluate.every=3", "stage=2"],
        ranks: 2, in: run, resumes: true)
      #expect(resumed.outcome.step == 6)
      let state = try TrainingState(from: CheckpointReader(resumed.outcome.checkpoint))
      let changes = try #require(state.lineage.last?.changes.joined(separator: "\n"))
      for key in ["schedule.0.train.steps", "optimizer.adamw.rate", "save.every", "evaluate.every", "stage"] {
        #expect(changes.contains(key))
      }
    }
  }

  @Test("start.from begins a new run from weights alone")
  func startFrom() throws {
    try Runs.inTemporaryDirectory { directory in
      let first = try Runs.train(recipe, in: directory + "/first")
      let source = first.outcome.checkpoint
      let second = try Runs.train(
        recipe, set: ["start.from=\(source)", "schedule.0.train.steps=1", "optimizer.adamw.rate=0", "seed=99"],
        ranks: 2,
        in: directory + "/second")
      let (a, b) = (first.digests.slots.filter { $0.name.hasSuffix("/value") }, second.digests.slots)
      for (name, digest) in a { #expect(b.first { $0.name == name }?.digest == digest) }
      #expect(second.outcome.step == 1)
    }
  }

  @Test("a start from a checkpoint of another model lists what does not fit")
  func startFromOther() throws {
    try Runs.inTemporaryDirectory { directory in
      let first = try Runs.train(recipe, in: directory + "/first")
      let text = refusal {
        _ = try Runs.train(
          recipe, set: ["start.from=\(first.outcome.checkpoint)", "model.decoder.hidden=128"], in: directory + "/second"
        )
      }
      #expect(text.contains("blocks.0.feedForward.gateUp.weight") && text.contains("shape"))
    }
  }

  @Test("a live run is not shared: the second trainer is told host and pid")
  func locked() throws {
    try Runs.inTemporaryDirectory { directory in
      let run = directory + "/run"
      let lock = try CheckpointDirectory(run: run).lock()
      let text = refusal { _ = try Runs.train(recipe, in: run) }
      #expect(text.contains("\(ProcessInfo.processInfo.processIdentifier)") && text.contains("in use"))
      try lock.release()
    }
  }
}
