import EspalierMethods
import EspalierState
import EspalierTesting
import EspalierTrain
import Foundation
import Testing

/// What methods keep, on its way through growing heads, resharding, other phases and processes.
@Suite struct ContinualStateTests {
  private static func methods(_ name: String) -> String { "methods=\(ContinualRunsTests.methods(name))" }

  /// Stops after some steps and goes on elsewhere, again and again, until the end.
  private static func stopped(_ set: [String], _ parts: [(ranks: Int, stage: Int, stop: Int)]) throws -> String {
    try Runs.inTemporaryDirectory { directory in
      let run = directory + "/run"
      var last: Runs.Result?
      for part in parts {
        last = try Runs.train(
          ContinualRunsTests.recipe, set: set + ["stage=\(part.stage)"], ranks: part.ranks, in: run,
          resumes: last != nil, stopsAfter: part.stop)
      }
      return try ContinualRunsTests.fingerprint(#require(last), run)
    }
  }

  private static func weights(_ result: Runs.Result) -> Digest {
    result.digests.slots.filter { $0.name.hasSuffix("/value") && !$0.name.hasPrefix("records.") }
      .reduce(.zero) { $0 + $1.digest }
  }

  @Test("every method but finetune changes the run, and its slots and records are part of the state")
  func changes() throws {
    var totals: [String: Digest] = [:]
    for name in ContinualRunsTests.names {
      try Runs.inTemporaryDirectory { directory in
        let result = try ContinualRunsTests.result(name, ranks: 1, in: directory + "/run")
        totals[name] = Self.weights(result)
        let run = try ResolvedRun(
          RunSettings(
            recipe: SettingsFile(text: ContinualRunsTests.recipe, name: "recipe"),
            overrides: ContinualRunsTests.settings(name),
            choices: Catalogue.standard.choices))
        let slots = result.digests.slots.map(\.name)
        for slot in run.methods.flatMap(\.slots) {
          #expect(slots.contains { $0.hasSuffix("/" + slot.name) }, "\(name): \(slot.name)")
        }
        let replay = run.methods.compactMap(\.replay).first
        #expect(slots.contains("records.inputs/value") == (replay != nil), "\(name)")
        #expect(slots.contains("records.logits/value") == (replay?.keepsLogits == true), "\(name)")
      }
    }
    let known = try Runs.inTemporaryDirectory { directory in
      Self.weights(
        try ContinualRunsTests.result("finetune", ["tasks.setting=task"], ranks: 1, in: directory + "/run"))
    }
    for (name, total) in totals {
      let finetune = ContinualRunsTests.settings(name).contains("tasks.setting=task") ? known : totals["finetune"]
      #expect((total == finetune) == (name == "finetune"), "\(name)")
    }
  }

  @Test(
    "a plan says what moments take: a square for each layer and lane of the busiest rank, and for each that it decomposes",
    arguments: [1, 3, 4])
  func momentBytes(ranks: Int) throws {
    func bytes(_ name: String) throws -> Int {
      try RunPlan(
        ResolvedRun(
          RunSettings(
            recipe: SettingsFile(text: ContinualRunsTests.recipe, name: "recipe"),
            overrides: ContinualRunsTests.settings(name), choices: Catalogue.standard.choices)), ranks: ranks
      ).momentBytes
    }
    // The wider layer is the first rank's alone where there are several.
    let squares = [1: 5 * (10 * 10 + 24 * 24), 3: 2 * 10 * 10 + 3 * 24 * 24, 4: 10 * 10 + 2 * 24 * 24][ranks] ?? 0
    for name in ["gpm", "dualgpm", "api"] { #expect(try bytes(name) == 8 * squares, "\(name)") }
    #expect(try bytes("er") == 0)
  }

  @Test(
    "a head grows with the tasks under every method, and measures between them leave out classes that it cannot say yet",
    arguments: ContinualRunsTests.names.filter { $0 != "api" })
  func heads(name: String) throws {
    // One evaluation batch holds samples of all tasks.
    let set = ContinualRunsTests.settings(name) + ["tasks.heads=grow", "evaluate={every: 3, batch: 64}"]
    try Runs.inTemporaryDirectory { directory in
      let run = directory + "/run"
      let result = try Runs.train(ContinualRunsTests.recipe, set: set, ranks: 1, in: run)
      let border = try #require(TaskFile.read(run).tasks[0].steps)
      #expect(
        try Self.stopped(set, [(3, 3, border), (1, 3, border + 2), (3, 0, 0)])
          == ContinualRunsTests.fingerprint(result, run))
      let matrix = try #require(TaskFile.read(run).views[.class]?.accuracy)
      for (learned, task) in (0...3).flatMap({ learned in (0..<3).map { (learned, $0) } }) {
        #expect((matrix[learned: learned, task: task] != nil) == (task < max(learned, 1)), "\(learned), \(task)")
      }
    }
  }

  @Test(
    "tasks in another order, some together, and steps of no task end alike wherever the run stops",
    arguments: ["er", "ewc", "si", "lwf"])
  func phases(name: String) throws {
    let set = [
      Self.methods(name),
      "schedule=[{task: {tasks: [2], steps: 5}},{task: {together: true, steps: 6}},{train: {steps: 3}}]",
    ]
    #expect(
      try Self.stopped(set, [(2, 3, 5), (3, 0, 8), (1, 0, 11), (4, 3, 13), (2, 0, 0)])
        == Self.stopped(set, [(1, 0, 0)]))
  }

  @Test("two methods that share nothing act together, and end alike")
  func composed() throws {
    let set = ["methods=[{derpp: {buffer: 9, samples: 5}},{ewc: {decay: 0.5, batches: 2}}]"]
    #expect(try Self.stopped(set, [(3, 3, 7), (4, 0, 0)]) == Self.stopped(set, [(1, 0, 0)]))
  }

  @Test("a checkpoint with records and logits that is resharded goes on to the same end")
  func resharded() throws {
    try Runs.inTemporaryDirectory { directory in
      let run = directory + "/run", set = [Self.methods("derpp")]
      _ = try Runs.train(ContinualRunsTests.recipe, set: set, ranks: 2, in: run, stopsAfter: 10)
      let old = run + "/checkpoints/step-0000000010", new = directory + "/new"
      let outcome = try Command.run(["reshard", old, new, "--ranks", "3"], in: directory)
      try #require(outcome.status == 0, "\(outcome)")
      #expect(try CheckpointReader(new).digest == CheckpointReader(old).digest)
      try FileManager.default.removeItem(atPath: old)
      try FileManager.default.moveItem(atPath: new, toPath: old)
      let result = try Runs.train(
        ContinualRunsTests.recipe, set: set + ["stage=3"], ranks: 3, in: run, resumes: true)
      #expect(try ContinualRunsTests.fingerprint(result, run) == Self.stopped(set, [(1, 0, 0)]))
    }
  }

  @Test("the command refuses to grow a checkpoint of a run over tasks in one sentence, and writes nothing")
  func grow() throws {
    try Runs.inTemporaryDirectory { directory in
      _ = try Runs.train(
        ContinualRunsTests.recipe, set: [Self.methods("ewc")], ranks: 2, in: directory + "/run", stopsAfter: 10)
      let outcome = try Command.run(
        ["grow", "run", "grown", "--operator", "duplicate", "--to", "width=48"], in: directory)
      #expect(outcome.status == 1 && outcome.output.isEmpty && outcome.errorLines.count == 1, "\(outcome)")
      #expect(outcome.errorLines.first?.contains("slots and records") == true)
      #expect(try FileManager.default.contentsOfDirectory(atPath: directory) == ["run"])
    }
  }
}

/// The same under mpirun, through the command itself.
@Suite(.enabled(if: MPIRun.runs, Comment(rawValue: MPIRun.skipReason)), .serialized) struct ContinualRunsUnderMPITests {
  @Test(
    "ranks that are processes change no bit of weights, slots, records, bases and accuracies",
    arguments: [
      (2, 3, ["methods=[{derpp: {buffer: 9, samples: 5}},{ewc: {batches: 2}}]"]),
      (3, 0, ["methods=[{derpp: {buffer: 9, samples: 5}},{ewc: {batches: 2}}]"]),
      (2, 0, ContinualRunsTests.settings("dualgpm")), (3, 3, ContinualRunsTests.settings("api")),
    ])
  func oneResult(ranks: Int, stage: Int, set: [String]) throws {
    try Runs.inTemporaryDirectory { directory in
      let recipe = directory + "/recipe.yaml", run = directory + "/run"
      try ContinualRunsTests.recipe.write(toFile: recipe, atomically: true, encoding: .utf8)
      let reference = try Runs.train(ContinualRunsTests.recipe, set: set, ranks: 1, in: directory + "/one")
      let trained = try MPIRun.run(
        ranks: ranks, product: "espalier",
        [
          "train", recipe, "--run", run, "--set", "checks.collectives=true", "--set", "stage=\(stage)",
        ] + set.flatMap { ["--set", $0] })
      try #require(trained.status == 0, "\(trained)")
      let reader = try CheckpointReader(try #require(CheckpointDirectory(run: run).list().first).path)
      #expect(reader.digest == reference.digests.total)
      #expect(try TaskFile.read(run).views == TaskFile.read(directory + "/one").views)
      let (state, wanted) = (
        try TrainingState(from: reader).continual,
        try TrainingState(from: CheckpointReader(reference.outcome.checkpoint)).continual
      )
      #expect(
        state?.reservoir == wanted?.reservoir && state?.memories == wanted?.memories && state?.added == wanted?.added)
    }
  }
}
