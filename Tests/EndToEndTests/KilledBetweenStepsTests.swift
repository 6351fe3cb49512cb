import EspalierTesting
import EspalierTrain
import Foundation
import Testing

/// A run that is killed while a method looks at inputs, decomposes or widens layers goes on elsewhere as if nothing had been.
@Suite(.serialized) struct KilledBetweenStepsTests {
  /// Tasks of 8, 10 and 8 steps; after a pass over the second and the third, layers are widened.
  private static let set = ContinualRunsTests.settings("api") + ["save={ every: 2, keep: 9 }"]
  private static let reference = Result {
    try Runs.inTemporaryDirectory { directory in
      let run = directory + "/whole"
      return try ContinualRunsTests.fingerprint(
        try Runs.train(ContinualRunsTests.recipe, set: set, ranks: 1, in: run), run)
    }
  }

  static let places = [
    ("moments", 8), ("decompositions", 8), ("gradients", 13), ("moments", 13), ("decompositions", 13),
    ("widening", 13), ("decompositions", 18),
  ]

  @Test("threads of one process, killed", arguments: places)
  func inProcess(work: String, step: Int) throws {
    try killed(work, step) { run, recipe, environment in
      try ProcessRunner.run(
        try ProcessRunner.product("espalier"), ["train", recipe, "--run", run, "--ranks", "2"] + Self.overrides,
        environment: environment, timeoutSeconds: 60)
    }
  }

  @Test(
    "one of three processes, killed", .enabled(if: MPIRun.runs, Comment(rawValue: MPIRun.skipReason)),
    arguments: places)
  func underMPI(work: String, step: Int) throws {
    try killed(work, step) { run, recipe, environment in
      try MPIRun.run(
        ranks: 3, product: "espalier", ["train", recipe, "--run", run] + Self.overrides, environment: environment)
    }
  }

  private static let overrides = set.flatMap { ["--set", $0] }

  private func killed(
    _ work: String, _ step: Int,
    _ train: (_ run: String, _ recipe: String, _ environment: [String: String]) throws
      -> ProcessOutcome
  ) throws {
    try Runs.inTemporaryDirectory { directory in
      let recipe = directory + "/recipe.yaml", run = directory + "/run"
      try ContinualRunsTests.recipe.write(toFile: recipe, atomically: true, encoding: .utf8)
      let outcome = try train(run, recipe, ["ESPALIER_TEST_HANG": "rank=0 step=\(step) work=\(work) kind=kill"])
      #expect(outcome.status != 0 && !outcome.output.contains("done after step"), "\(outcome)")
      // Killed where it was to be, not before and not after.
      #expect(!outcome.output.contains("step \(step + 1)/"), "\(outcome)")
      let learned = try? TaskFile.read(run).views[.task]?.accuracy.moments.count
      #expect(learned == (step == 8 ? 1 : 2), "\(learned ?? -1)")
      let resumed = try Runs.train(
        ContinualRunsTests.recipe, set: Self.set + ["stage=3"], ranks: 4, in: run, resumes: true)
      #expect(try ContinualRunsTests.fingerprint(resumed, run) == Self.reference.get())
    }
  }
}
