import EspalierState
import EspalierTesting
import EspalierTrain
import Foundation
import Testing

/// A run that stops anywhere and goes on elsewhere ends where the uninterrupted one does.
@Suite struct ResumeIsExactTests {
  static let steps = 12
  static let recipe = TinyRuns.decoder.replacing("steps: 20", with: "steps: \(steps)")

  static let uninterrupted = Result {
    try Runs.inTemporaryDirectory { try Runs.train(recipe, in: $0 + "/run").digests.total.description }
  }

  @Test("a run stopped at any step and resumed on other ranks and another stage ends alike", arguments: 1..<steps)
  func stopAnywhere(step: Int) throws {
    let (first, second) = (1 + step % 4, 1 + (step * 3 + 1) % 4)
    try Runs.inTemporaryDirectory { directory in
      let stopped = try Runs.train(
        Self.recipe, set: ["stage=\(step % 4)"], ranks: first, in: directory + "/run", stopsAfter: step)
      #expect(stopped.outcome.end == .stopped && stopped.outcome.step == step && stopped.outcome.exitCode == 75)
      let resumed = try Runs.train(
        Self.recipe, set: ["stage=\((step + 2) % 4)"], ranks: second, in: directory + "/run", resumes: true)
      #expect(resumed.outcome.end == .finished && resumed.outcome.step == Self.steps)
      #expect(try resumed.digests.total.description == Self.uninterrupted.get())
    }
  }

  @Test("batches of a short last pass are dealt alike and survive a resume")
  func partialBatches() throws {
    // 61 samples a pass in batches of 16: the last one has 13 for 8 lanes.
    let recipe = Self.recipe.replacing("steps: \(Self.steps)", with: "epochs: 3")
      .replacing(
        "text: { path: \"\(TinyRuns.text)\", validation: 1% }", with: "synthetic: { kind: shift, samples: 61 }"
      )
      .replacing("lanes: 8", with: "lanes: 8, last: keep")
    try Runs.inTemporaryDirectory { directory in
      let whole = try Runs.train(recipe, ranks: 3, in: directory + "/whole")
      #expect(whole.outcome.step == 12)
      #expect(whole.ranks.reduce(0) { $0 + $1.samples } == 3 * 61)
      _ = try Runs.train(recipe, ranks: 2, in: directory + "/cut", stopsAfter: 5)
      let cut = try Runs.train(recipe, set: ["stage=3"], ranks: 4, in: directory + "/cut", resumes: true)
      #expect(cut.digests.total == whole.digests.total)
    }
  }

  /// A run of 12 steps with checkpoints at 4, 8 and 12, the newest removed, and `harm` done to that of step 8.
  private func resumeAfter(_ harm: (String) throws -> Void) throws -> String {
    try Runs.inTemporaryDirectory { directory in
      let run = directory + "/run"
      _ = try Runs.train(Self.recipe, set: ["save.every=4"], ranks: 2, in: run, stopsAfter: 9)
      try FileManager.default.removeItem(atPath: run + "/checkpoints/step-0000000009")
      try harm(run + "/checkpoints/step-0000000008")
      let resumed = try Runs.train(Self.recipe, set: ["save.every=4"], ranks: 1, in: run, resumes: true)
      #expect(try resumed.digests.total.description == Self.uninterrupted.get())
      return try String(contentsOfFile: run + "/metrics.jsonl", encoding: .utf8)
    }
  }

  @Test("a flipped byte in a shard is named and the checkpoint before it is used")
  func flippedByte() throws {
    let journal = try resumeAfter { checkpoint in
      let path = checkpoint + "/shards/w00001.esp"
      var bytes = try Data(contentsOf: URL(filePath: path))
      bytes[bytes.count / 3] ^= 4
      try bytes.write(to: URL(filePath: path))
    }
    #expect(journal.contains("step-0000000008 is not used") && journal.contains("w00001.esp"))
    #expect(journal.contains("checkpoints/step-0000000004"))
  }

  @Test("a truncated shard is named and the checkpoint before it is used")
  func truncated() throws {
    let journal = try resumeAfter { checkpoint in
      let path = checkpoint + "/shards/w00000.esp"
      let bytes = try Data(contentsOf: URL(filePath: path))
      try bytes.prefix(bytes.count - 1).write(to: URL(filePath: path))
    }
    #expect(journal.contains("step-0000000008 is not used") && journal.contains("w00000.esp"))
  }

  @Test("a missing shard is named and the checkpoint before it is used")
  func missing() throws {
    let journal = try resumeAfter { try FileManager.default.removeItem(atPath: $0 + "/shards/w00001.esp") }
    #expect(journal.contains("step-0000000008 is not used") && journal.contains("w00001.esp"))
  }

  @Test("the journal of a resumed run tells one story")
  func oneStory() throws {
    try Runs.inTemporaryDirectory { directory in
      let run = directory + "/run"
      _ = try Runs.train(Self.recipe, set: ["save.every=4"], in: run, stopsAfter: 6)
      try FileManager.default.removeItem(atPath: run + "/checkpoints/step-0000000006")
      _ = try Runs.train(Self.recipe, in: run, resumes: true)
      let lines = try String(contentsOfFile: run + "/metrics.jsonl", encoding: .utf8).split(separator: "\n")
      let steps = lines.filter { $0.contains("\"kind\":\"step\"") }.compactMap { line in
        line.firstMatch(of: /"step":(\d+)/).map { Int($0.1) }
      }
      #expect(steps == Array(1...Self.steps))
    }
  }
}
