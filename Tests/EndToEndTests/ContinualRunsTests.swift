import EspalierComm
import EspalierMethods
import EspalierNN
import EspalierState
import EspalierTensor
import EspalierTesting
import EspalierTrain
import Foundation
import Testing

/// Tasks learned one after the other: one result whatever the ranks, the stage and the interruptions, for every method of the catalogue.
@Suite struct ContinualRunsTests {
  /// Three tasks of two classes, of 8, 10 and 8 steps; the last batch of a pass has fewer samples than the others.
  static let recipe = """
    model:     { mlp: { width: 24, depth: 2, activation: relu } }
    optimizer: { sgd: { rate: 0.05, momentum: 0.5 } }
    data:      { synthetic: { kind: classes, classes: 6, features: 10, samples: 180, validation: 60, noise: 1.5 } }
    tasks:     { setting: class, perTask: 2 }
    batch:     { samples: 16, lanes: 4, last: keep }
    schedule:
      - task: { epochs: 2 }
    evaluate:  { every: 0, batch: 16 }
    save:      { every: 0, keep: 9 }
    seed:      3
    """

  /// The method with what it needs beside it, so small that everything happens.
  static func methods(_ name: String) -> String {
    switch name {
    case "er": "[ { er: { buffer: 24, samples: 10 } } ]"
    case "derpp": "[ { derpp: { buffer: 24, samples: 10 } } ]"
    case "lode": "[ { er: { buffer: 24, samples: 10, average: halves } }, { lode: {} } ]"
    case "esmer": "[ { esmer: { buffer: 24, samples: 10, frequency: 0.7, decay: 0.9 } } ]"
    case "agem": "[ { agem: { buffer: 24, samples: 10 } } ]"
    case "api": "[ { api: { retention: 0.95, samples: [40], warmup: 1, start: activations } } ]"
    default: "[ { \(name): {} } ]"
    }
  }

  /// The method in a setting that it works in.
  static func settings(_ name: String) -> [String] {
    ["methods=\(methods(name))"] + (["gpm", "dualgpm", "api"].contains(name) ? ["tasks.setting=task"] : [])
  }

  static let names = Catalogue.standard.continual.map { $0.name }

  /// The digest of all slots and records, the matrix and the reservoir.
  static func fingerprint(_ result: Runs.Result, _ run: String) throws -> String {
    let state = try TrainingState(from: CheckpointReader(result.outcome.checkpoint))
    let results = try TaskFile.read(run)
    let matrices = results.views.sorted { $0.key < $1.key }.map { view in
      results.tasks.indices.map { task in
        view.value.accuracy.moments.map { view.value.accuracy[learned: $0, task: task]?.correct ?? -1 }
      }
    }
    let records = state.continual?.reservoir?.entries.map { "\($0.place).\($0.sample).\($0.row)" } ?? []
    let memories = state.continual?.memories.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" } ?? []
    return "\(result.digests.total) \(matrices) \(records) \(memories)"
  }

  static func result(_ method: String, _ set: [String] = [], ranks: Int, in run: String) throws -> Runs.Result {
    try Runs.train(recipe, set: settings(method) + set, ranks: ranks, in: run)
  }

  @Test(
    "every method ends with one digest, one matrix and the same records for 1 to 4 ranks at stages 0 and 3",
    arguments: names)
  func oneResult(method: String) throws {
    try Runs.inTemporaryDirectory { directory in
      var reference = ""
      for (ranks, stage) in [(1, 0), (2, 3), (3, 0), (3, 3), (4, 1), (4, 3)] {
        let run = directory + "/\(ranks)-\(stage)"
        let result = try Self.result(method, ["stage=\(stage)"], ranks: ranks, in: run)
        let found = try Self.fingerprint(result, run)
        if reference.isEmpty { reference = found }
        #expect(found == reference, "\(ranks) ranks at stage \(stage)")
      }
    }
  }

  @Test(
    "a run that stops within tasks and at a border, and goes on elsewhere, ends as if it never had", arguments: names)
  func resumes(method: String) throws {
    try Runs.inTemporaryDirectory { directory in
      let whole = directory + "/whole", cut = directory + "/cut"
      let reference = try Self.fingerprint(try Self.result(method, ranks: 1, in: whole), whole)
      var last: Runs.Result?
      // Among them the last step of a task, behind which its inputs are looked at, and the last before layers are wider.
      for (ranks, stage, stop) in [(2, 3, 3), (3, 0, 6), (4, 1, 8), (2, 0, 10), (1, 0, 13), (3, 2, 0)] {
        last = try Runs.train(
          Self.recipe, set: Self.settings(method) + ["stage=\(stage)"], ranks: ranks, in: cut,
          resumes: last != nil, stopsAfter: stop)
      }
      #expect(try Self.fingerprint(try #require(last), cut) == reference)
    }
  }

  @Test(
    "a network with running statistics ends with one digest and one matrix as well, resumed or not",
    arguments: ["esmer", "lwf"])
  func runningStatistics(method: String) throws {
    let set = [
      "methods=\(Self.methods(method))",
      "model={ residualNetwork: { width: 4, depth: 1, image: { channels: 1, height: 2, width: 5 } } }",
    ]
    try Runs.inTemporaryDirectory { directory in
      func train(_ name: String, _ stage: Int, ranks: Int, resumes: Bool = false, stopsAfter stop: Int = 0) throws
        -> String
      {
        let run = directory + "/" + name
        return try Self.fingerprint(
          try Runs.train(
            Self.recipe, set: set + ["stage=\(stage)"], ranks: ranks, in: run, resumes: resumes, stopsAfter: stop), run)
      }
      let reference = try train("1", 0, ranks: 1)
      #expect(try train("2", 1, ranks: 2) == reference)
      #expect(try train("3", 3, ranks: 3) == reference)
      _ = try train("cut", 3, ranks: 2, stopsAfter: 8)
      #expect(try train("cut", 0, ranks: 1, resumes: true) == reference)
    }
  }

  @Test(
    "a residual network ends with one digest, resumed or not; without norms of the batch its old outputs stay",
    arguments: ["gpm", "dualgpm", "api"], ["batch", "none"])
  func residualNetwork(method: String, normalization: String) throws {
    let options = "threshold: 0.999999999999, rise: 0, samples: [0], convention: paper"
    let set = [
      "tasks.setting=task", "data.synthetic.features=40", "data.synthetic.samples=60", "optimizer.sgd.momentum=0",
      "batch={ samples: 16, lanes: 4, last: drop }",
      "methods=[{\(method): {\(options)\(method == "api" ? ", retention: 0.99" : "")}}]",
      "model={ residualNetwork: { width: 4, depth: 1, normalization: \(normalization), image: { channels: 1, height: 5, width: 8 } } }",
      "schedule=[{task: {tasks: [0], epochs: 3}},{task: {tasks: [1], epochs: 3}}]",
    ]
    try Runs.inTemporaryDirectory { directory in
      let whole = directory + "/whole", cut = directory + "/cut"
      let result = try Runs.train(Self.recipe, set: set, ranks: 1, in: whole)
      let border = try #require(TaskFile.read(whole).tasks[0].steps)
      let first = try Runs.train(Self.recipe, set: set + ["stage=3"], ranks: 3, in: cut, stopsAfter: border)
      let before = try outputs(of: first.outcome.checkpoint, set)
      let last = try Runs.train(Self.recipe, set: set + ["stage=2"], ranks: 2, in: cut, resumes: true)
      #expect(try Self.fingerprint(last, cut) == Self.fingerprint(result, whole))
      let after = try outputs(of: last.outcome.checkpoint, set)
      let moved = zip(before, after).map { abs($0 - $1) }.max() ?? .infinity
      // Behind a norm of the batch, inputs are those of the memory only in the very batches that it saw.
      #expect(normalization == "batch" ? moved > 0 : moved <= 1e-5, "\(moved)")
    }
  }

  @Test(
    "every shipped recipe over tasks is one that can be run",
    arguments: ["launch/recipes/continual", "launch/recipes/continual/kanji"])
  func recipes(folder: String) throws {
    let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent().path
    let names = try FileManager.default.contentsOfDirectory(atPath: "\(root)/\(folder)").filter {
      $0.hasSuffix(".yaml")
    }
    // The kanji are not shipped; any images in their place do to read the recipe.
    let path = "data.images.path=\(root)/launch/data/fashion-mini"
    var used: Set<String> = []
    for name in names {
      let overrides = folder.hasSuffix("kanji") ? [path, "tasks.perTask=2", "data.images.pad=32"] : [path]
      let run = try ResolvedRun(
        RunSettings(
          recipe: SettingsFile(path: "\(root)/\(folder)/\(name)"), overrides: overrides,
          choices: Catalogue.standard.choices))
      used.formUnion(run.methods.map(\.name))
      #expect(run.schedule.stepCount > 0, "\(name)")
    }
    #expect(used.isSuperset(of: Set(Self.names).subtracting(["joint"])))
  }

  @Test("finetune is the same, bit for bit, as no method")
  func noMethod() throws {
    try Runs.inTemporaryDirectory { directory in
      let with = try Self.result("finetune", ranks: 1, in: directory + "/with")
      let without = try Runs.train(Self.recipe, set: ["methods=[]"], ranks: 2, in: directory + "/without")
      #expect(
        with.digests.slots.first { $0.name == "head.weight/value" }?.digest
          == without.digests.slots.first { $0.name == "head.weight/value" }?.digest)
    }
  }

  @Test(
    "where tasks are known each sample competes within its own task, also where several are learned at once",
    arguments: ["methods=[joint]", "schedule=[{task: {together: true, epochs: 12}}]"])
  func together(_ set: String) throws {
    try Runs.inTemporaryDirectory { directory in
      let run = directory + "/run"
      let outcome = try Runs.train(
        Self.recipe, set: ["tasks.setting=task", "data.synthetic.noise=0.5", "schedule=[{task: {epochs: 12}}]", set],
        ranks: 2, in: run
      ).outcome
      // Among rows that do not have a sample's class, the logarithm of its odds would fall below 0.
      #expect((0..<0.3).contains(outcome.lastLoss), "\(outcome.lastLoss)")
      let results = try TaskFile.read(run), accuracy = try #require(results.views[.task]?.accuracy)
      for task in results.tasks.indices {
        #expect(try #require(accuracy[learned: 3, task: task]).fraction > 0.9, "task \(task)")
      }
    }
  }

  @Test("importances are measured on what a task was learned from, also where all tasks share their classes")
  func importances() throws {
    func importance(_ set: [String]) throws -> Digest? {
      try Runs.inTemporaryDirectory { directory in
        let result = try Runs.train(
          Self.recipe, set: ["tasks.setting=domain", "methods=[ewc]"] + set, ranks: 1, in: directory + "/run")
        return result.digests.slots.first { $0.name == "head.weight/ewc.importance" }?.digest
      }
    }
    // The same weights, since no step is taken, and other samples: other importances.
    let still = "optimizer={ sgd: { rate: 0, momentum: 0 } }"
    let first = try importance([still, "schedule=[{task: {tasks: [0], steps: 1}}]"])
    let second = try importance([still, "schedule=[{task: {tasks: [1], steps: 1}}]"])
    #expect(first != nil && first != second)
  }

  @Test("records are samples and no weights: an export leaves them behind")
  func exportedWithoutRecords() throws {
    try Runs.inTemporaryDirectory { directory in
      let result = try Self.result("derpp", ranks: 2, in: directory + "/run")
      let reader = try CheckpointReader(result.outcome.checkpoint)
      #expect(reader.tensors.contains { $0.name == "records.inputs" })
      let export = try CheckpointExport(reader, slots: ["value"], element: .float32, table: nil, model: "mlp")
      #expect(
        export.entries.map(\.name).sorted() == reader.tensors.map(\.name).filter { !$0.hasPrefix("records.") }.sorted())
    }
  }

  /// What a checkpoint's model says of the first task's samples, on its classes.
  private func outputs(of checkpoint: String, _ set: [String]) throws -> [Float] {
    let recipe = Self.recipe
    return try Ranks.run(1) { communicator in
      let reader = try CheckpointReader(checkpoint), state = try TrainingState(from: reader)
      let run = try ResolvedRun(
        RunSettings(
          recipe: SettingsFile(text: recipe, name: "recipe"), overrides: set, choices: Catalogue.standard.choices))
      let session = try RankSession(run, communicator, at: state)
      try Relayout(from: reader).read(into: session.store, slots: [.value])
      try session.store.share()
      let task = try #require(run.sequence).tasks[0]
      let batch = try task.training.batch(of: (0..<UInt64(task.training.sampleCount)).map { $0 })
      let tape = Tape(pool: session.pool, mode: .inference, samples: batch.samples)
      tape.task = 0
      let logits = session.model.logits(batch, on: tape)
      let (values, columns) = (logits.values, logits.shape.columns)
      try session.store.endPass(recording: false)
      return (0..<batch.samples.count).flatMap { row in task.rows.map { values[row * columns + Int($0)] } }
    }[0]
  }

  @Test(
    "what the network says of an old task does not move while another is learned, also when it grows between them",
    arguments: ["gpm", "dualgpm"], [false, true])
  func oldOutputsStay(method: String, grows: Bool) throws {
    // Fewer samples than dimensions, so that their span leaves room, and all of it remembered.
    let set = [
      "tasks.setting=task", "data.synthetic.features=40", "data.synthetic.samples=60",
      "methods=[{\(method): {threshold: 0.999999999999, rise: 0, samples: [0], convention: paper}}]",
      "model.mlp.width=48",
      "optimizer.sgd.momentum=0",
      grows
        ? "schedule=[{task: {tasks: [0], epochs: 3}},{grow: {operator: duplicate, to: {width: 96}}},{task: {tasks: [1], epochs: 3}}]"
        : "schedule=[{task: {tasks: [0], epochs: 3}},{task: {tasks: [1], epochs: 3}}]",
    ]
    try Runs.inTemporaryDirectory { directory in
      let first = try Runs.train(Self.recipe, set: set, ranks: 2, in: directory + "/run", stopsAfter: 6)
      let before = try outputs(of: first.outcome.checkpoint, set)
      let last = try Runs.train(Self.recipe, set: set + ["stage=3"], ranks: 3, in: directory + "/run", resumes: true)
      #expect(last.outcome.step == 12)
      let after = try outputs(of: last.outcome.checkpoint, set)
      let moved = zip(before, after).map { abs($0 - $1) }.max() ?? .infinity
      #expect(moved <= 1e-5, "\(moved)")
      let results = try TaskFile.read(directory + "/run"), accuracy = try #require(results.views[.task]?.accuracy)
      #expect(try #require(accuracy[learned: 2, task: 1]).fraction > 0.6)
    }
  }

  @Test(
    "API widens layers where little of a gradient survives, keeps what it learned, and starts as it was where asked to")
  func widening() throws {
    // Few samples in many dimensions, so that inputs of old tasks leave room.
    let set = [
      "tasks.setting=task", "data.synthetic.features=40", "data.synthetic.samples=60", "optimizer.sgd.momentum=0",
      "methods=[{api: {threshold: 0.999999999999, rise: 0, samples: [0], convention: paper, retention: 0.99}}]",
      "schedule=[{task: {tasks: [0], epochs: 3}},{task: {tasks: [1], epochs: 3}}]",
    ]
    try Runs.inTemporaryDirectory { directory in
      let first = try Runs.train(Self.recipe, set: set, ranks: 2, in: directory + "/run", stopsAfter: 6)
      let before = try outputs(of: first.outcome.checkpoint, set)
      let last = try Runs.train(Self.recipe, set: set + ["stage=3"], ranks: 3, in: directory + "/run", resumes: true)
      let state = try TrainingState(from: CheckpointReader(last.outcome.checkpoint))
      let added = try #require(state.continual?.added)
      #expect(added.values.allSatisfy { $0.count == 2 && $0[0] == 0 && $0[1] > 0 } && !added.isEmpty)
      #expect(state.grown?.choice.name == "mlp" && state.lineage.contains { $0.event == .widen })
      // With the inputs of its own time the first task says what it said.
      let after = try outputs(of: last.outcome.checkpoint, set)
      let moved = zip(before, after).map { abs($0 - $1) }.max() ?? .infinity
      #expect(moved <= 1e-5, "\(moved)")
      #expect(throws: SettingsError.self) {
        _ = try ResolvedRun(
          RunSettings(
            recipe: SettingsFile(text: Self.recipe, name: "recipe"),
            overrides: set + [
              "model={ visionTransformer: { width: 8, depth: 1, heads: 2, patch: 1, image: { channels: 1, height: 5, width: 8 } } }"
            ], choices: Catalogue.standard.choices))
      }
    }
  }

  @Test("every rank computes its lanes' samples and its share of the records, and no more", arguments: [1, 2, 3, 4])
  func shares(ranks: Int) throws {
    try Runs.inTemporaryDirectory { directory in
      let result = try Self.result(
        "er", ["schedule=[{task: {tasks: [0], steps: 3}}]"], ranks: ranks, in: directory + "/run")
      // Steps of 16 samples in 4 lanes; records are drawn from the second step on: 10, as 3 3 2 2 by lane.
      let lanes = [3 * 4 + 2 * 3, 3 * 4 + 2 * 3, 3 * 4 + 2 * 2, 3 * 4 + 2 * 2]
      let dealt =
        [1: [[0, 1, 2, 3]], 2: [[0, 1], [2, 3]], 3: [[0, 1], [2], [3]], 4: [[0], [1], [2], [3]]][ranks] ?? []
      #expect(result.ranks.map(\.samples) == dealt.map { $0.reduce(0) { $0 + lanes[$1] } })
    }
  }

  @Test(
    "settings of tasks give one result on any ranks: known tasks, shared classes, growing heads, early stopping",
    arguments: [
      ["tasks.setting=task"], ["tasks.setting=domain"], ["tasks.heads=grow"], ["tasks.order=keyed"],
      ["tasks.heldOut=20%", "schedule=[{task: {epochs: 6, stop: {patience: 1, factor: 4, floor: 0.1}}}]"],
      ["schedule=[{task: {tasks: [0]}},{grow: {operator: duplicate, to: {width: 48}}},{task: {}}]"],
      ["schedule=[{task: {together: true, epochs: 2}}]"],
    ])
  func settings(set: [String]) throws {
    try Runs.inTemporaryDirectory { directory in
      var reference = ""
      for (ranks, stage) in [(1, 0), (3, 3), (4, 2)] {
        let run = directory + "/\(ranks)-\(stage)"
        let found = try Self.fingerprint(try Self.result("derpp", set + ["stage=\(stage)"], ranks: ranks, in: run), run)
        if reference.isEmpty { reference = found }
        #expect(found == reference, "\(ranks) ranks at stage \(stage)")
      }
      let cut = directory + "/cut"
      _ = try Runs.train(
        Self.recipe, set: ["methods=\(Self.methods("derpp"))"] + set, ranks: 2, in: cut, stopsAfter: 9)
      let resumed = try Runs.train(
        Self.recipe, set: ["methods=\(Self.methods("derpp"))", "stage=3"] + set, ranks: 4, in: cut, resumes: true)
      #expect(try Self.fingerprint(resumed, cut) == reference)
    }
  }

  @Test("a checkpoint of a run over tasks is not grown as a file: its records would be lost")
  func notGrownAsFile() throws {
    try Runs.inTemporaryDirectory { directory in
      let run = try Self.result("er", ["schedule=[{task: {tasks: [0], steps: 2}}]"], ranks: 1, in: directory + "/run")
      let error = #expect(throws: GrowthError.self) {
        _ = try DiskGrowth(
          CheckpointReader(run.outcome.checkpoint),
          GrowPhase(Choice("duplicate"), to: ModelChange(["width": .integer(48)])), .standard)
      }
      #expect(error?.remedy.contains("grow phase between two task phases") == true)
    }
  }

  @Test(
    "what cannot be is refused when the recipe is read, with its key",
    arguments: [
      (["tasks={setting: none}", "methods=[er]"], "methods"), (["methods=[er, derpp]"], "methods"),
      (["methods=[lode]"], "methods.0.lode"),
      (["methods=[er, er]"], "methods.1"), (["tasks.setting=task", "methods=[er, lode]"], "methods.1.lode"),
      (["tasks.setting=domain", "methods=[lwf]"], "methods.0.lwf"),
      (["methods=[gpm]"], "methods.0.gpm"),
      (
        [
          "tasks.setting=task", "methods=[dualgpm]",
          "model={ residualNetwork: { width: 4, depth: 1, image: { channels: 1, height: 2, width: 5 } } }",
        ], "methods.dualgpm"
      ),
      (
        [
          "tasks.setting=task", "methods=[gpm]",
          "schedule=[{task: {tasks: [0]}},{grow: {operator: zeroPad, to: {width: 48}}},{task: {}}]",
        ], "methods.gpm"
      ),
      (["methods=[{er: {buffer: 999}}]"], "methods.er.buffer"),
      (["schedule=[{task: {tasks: [0, 0]}}]"], "schedule.0.task.tasks"),
      (["schedule=[{task: {tasks: [3]}}]"], "schedule.0.task.tasks"),
      (["schedule=[{task: {tasks: [1]}},{task: {tasks: [1]}}]"], "schedule.1.task.tasks"),
      (["schedule=[{train: {steps: 3}}]"], "schedule"),
      (["tasks.heads=grow", "schedule=[{task: {tasks: [1]}}]"], "tasks.heads"),
      (["schedule=[{task: {stop: {patience: 2}}}]"], "tasks.heldOut"), (["tasks.perTask=4"], "tasks.perTask"),
      (["tasks={setting: class, classes: [[0, 1], [5, 9]]}"], "tasks.classes"),
    ] as [([String], String)])
  func refused(set: [String], subject: String) throws {
    let error = #expect(throws: SettingsError.self) {
      _ = try ResolvedRun(
        RunSettings(
          recipe: SettingsFile(text: Self.recipe, name: "recipe"), overrides: set, choices: Catalogue.standard.choices))
    }
    #expect(error?.subject.hasPrefix(subject) == true, "\(error.map { "\($0)" } ?? "")")
  }
}
