import EspalierComm
package import EspalierMethods
package import EspalierNN
import EspalierState
import EspalierTensor
import EspalierTrain

/// What every model of a catalogue must do, on a small task of its own.
package struct ModelLaws: Sendable, CustomStringConvertible {
  package let name: String
  /// The line of a recipe that names the model.
  package let model: String
  package let data: String
  package let catalogue: Catalogue

  package init(_ name: String, model: String, data: String, catalogue: Catalogue = .standard) {
    self.name = name
    self.model = model
    self.data = data
    self.catalogue = catalogue
  }

  package var description: String { name }

  /// Eight lanes, rates that move every weight in a few steps.
  package var recipe: String {
    """
    model:     \(model)
    optimizer: { adamw: { rate: 3e-3 } }
    data:      { synthetic: \(data) }
    batch:     { samples: 16, lanes: 8 }
    schedule:  [{ train: { steps: 5 } }]
    evaluate:  { every: 0, batch: 8, batches: 2 }
    save:      { every: 0 }
    seed:      3
    """
  }

  private func resolved(_ overrides: [String] = []) throws -> ResolvedRun {
    try ResolvedRun(
      RunSettings(
        recipe: SettingsFile(text: recipe, name: "recipe"), overrides: overrides, choices: catalogue.choices),
      catalogue: catalogue)
  }

  package func blueprint() throws -> Blueprint { try resolved().blueprint }

  /// Names differ, every parameter lies in exactly one segment, and what is called alike has one size throughout.
  package func blueprintIsSound() throws {
    let blueprint = try blueprint()
    let names = blueprint.parameters.map(\.name)
    try expect(Set(names).count == names.count, "two parameters have one name among \(names)")
    try expect(blueprint == (try self.blueprint()), "it is another one the second time")
    let covered = blueprint.segments.flatMap(\.parameters)
    try expect(covered == Array(names.indices), "segments cover the parameters \(covered) of \(names.count)")
    var sizes: [String: Axis.Part] = [:]
    for spec in blueprint.parameters {
      for part in spec.axes.flatMap(\.parts) {
        let first = sizes[part.label, default: part]
        try expect(
          first.size == part.size, "'\(part.label)' is \(part.size) in '\(spec.name)' and \(first.size) before")
        try expect(part.size % part.block == 0, "blocks of \(part.block) do not fill '\(part.label)'")
        sizes[part.label] = part
      }
    }
  }

  /// What a run leaves behind, in one line.
  package func trained(ranks: Int, _ overrides: [String] = []) throws -> String {
    try Runs.inTemporaryDirectory { directory in
      let result = try Runs.train(recipe, set: overrides, ranks: ranks, in: directory + "/run", catalogue: catalogue)
      return "\(result.digests.total) \(result.outcome.lastLoss) \(result.outcome.evaluation?.loss ?? .nan)"
    }
  }

  /// The loss falls to less than `share` of the first.
  package func lossFalls(below share: Double, steps: Int) throws {
    func loss(_ steps: Int) throws -> Double {
      try Runs.inTemporaryDirectory {
        try Runs.train(
          recipe, set: ["schedule.0.train.steps=\(steps)", "batch.lanes=1"], in: $0 + "/run", catalogue: catalogue
        ).outcome.lastLoss
      }
    }
    let (first, last) = try (loss(1), loss(steps))
    try expect(last < share * first, "the loss is \(last) after \(steps) steps, having begun at \(first)")
  }

  /// A step of no samples has loss 0 and gradient 0, and changes nothing.
  package func emptyBatchChangesNothing() throws {
    for stage in 0...3 {
      let run = try resolved(["stage=\(stage)", "optimizer.adamw.decay=0", "checks.memory=true"])
      let same = try Ranks.run(2) { communicator in
        let session = try RankSession(run, communicator)
        try session.store.initialize(seed: 4)
        let before = try session.store.digests().total
        let report = try TrainingStep(session, clip: 1, seed: 4).run(
          TrainingStep.Input(
            step: 0, updates: 0, rate: 0.1, batches: session.turns.map { _ in try run.emptyBatch() }, note: RankNote()))
        try session.store.settle()
        return try report.loss == 0 && report.gradientNorm == 0 && before == session.store.digests().total
      }
      try expect(same == [true, true], "an empty step changes something at stage \(stage)")
    }
  }

  /// The products that a step runs take what the model says from its shapes, to the operation.
  package func productsAreCounted(_ overrides: [String] = []) throws {
    let run = try resolved(["batch.lanes=2"] + overrides)
    let measured = try Ranks.run(1) { communicator in
      let session = try RankSession(run, communicator)
      try session.store.initialize(seed: 4)
      let before = ProductCounter.operations
      _ = try TrainingStep(session, clip: 1, seed: 4).run(
        TrainingStep.Input(
          step: 0, updates: 0, rate: 0.1, batches: try (0..<run.lanes).map { try OneStep.samples(of: run, lane: $0) }))
      return ProductCounter.operations - before
    }[0]
    let told = run.stages[0].operationsPerSample(recompute: run.settings.recompute) * run.settings.batch.samples
    try expect(measured == told, "a step with \(overrides) takes \(measured) operations and \(told) are told")
  }

  private func expect(_ holds: Bool, _ failure: @autoclosure () -> String) throws {
    if !holds { throw BrokenLaw("\(name): \(failure())") }
  }
}
