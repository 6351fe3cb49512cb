import EspalierComm
import EspalierMethods
import EspalierNN
import EspalierState
import EspalierTesting
import EspalierTrain
import Foundation
import Testing

/// Growth of running, sharded state: one result whatever the ranks, the stage, the way and the accidents.
@Suite struct GrowthRunsTests {
  /// Width and depth at one border, then width again.
  static let recipe = """
    model:     { decoder: { width: 16, depth: 2, heads: 4, keyValueHeads: 2, headWidth: 4, hidden: 20, context: 8 } }
    optimizer: { adamw: { rate: 3e-3 } }
    data:      { synthetic: { kind: shift, samples: 96, vocabulary: 11, validation: 16 } }
    batch:     { samples: 16, lanes: 8 }
    schedule:
      - train: { steps: 16, rate: { shape: wsd, warmup: 2 }, until: { fraction: 0.4 } }
      - grow: { operator: duplicate, to: { width: 32, hidden: 40 } }
      - grow: { operator: identity, to: { depth: 3 } }
      - train: { until: { step: 11 } }
      - grow: { operator: zeroPad, to: { width: 40, heads: 6 }, rate: { rewarmAll: { steps: 3 } } }
      - train: {}
    evaluate:  { every: 0, batch: 8, batches: 2 }
    save:      { every: 0, keep: 9 }
    seed:      3
    """

  static func result(_ set: [String] = [], ranks: Int) throws -> String {
    try Runs.inTemporaryDirectory { directory in
      let run = try Runs.train(recipe, set: set, ranks: ranks, in: directory + "/run")
      return "\(run.digests.total) \(run.outcome.evaluation?.loss ?? .nan)"
    }
  }

  @Test("three growths end with one digest and one loss for 1, 2, 4 and 8 ranks at stages 0 to 3")
  func oneDigest() throws {
    let reference = try Self.result(["stage=0"], ranks: 1)
    for (ranks, stage) in [1, 2, 4, 8].flatMap({ ranks in (0...3).map { (ranks, $0) } }).dropFirst() {
      #expect(try Self.result(["stage=\(stage)"], ranks: ranks) == reference, "\(ranks) ranks at stage \(stage)")
    }
  }

  @Test("a run that stops before, between and after its growths, and goes on elsewhere, ends as if it never had")
  func resumes() throws {
    let reference = try Self.result(ranks: 1)
    try Runs.inTemporaryDirectory { directory in
      let run = directory + "/run"
      var last: Runs.Result?
      // The fraction ends after step 6: the stop leaves the first two growths to the resume.
      for (ranks, stage, stop) in [(2, 3, 3), (4, 1, 6), (1, 0, 8), (3, 2, 11), (2, 1, 0)] {
        last = try Runs.train(
          Self.recipe, set: ["stage=\(stage)"], ranks: ranks, in: run, resumes: last != nil, stopsAfter: stop)
      }
      #expect("\(try #require(last).digests.total) \(last?.outcome.evaluation?.loss ?? .nan)" == reference)
      let reader = try CheckpointReader(try #require(last).outcome.checkpoint)
      let state = try TrainingState(from: reader)
      #expect(state.lineage.map(\.event).filter { $0 == .grow }.count == 3)
      #expect(state.cursor.grown.map(\.phase) == [1, 2, 4] && state.cursor.grown.map(\.step) == [6, 6, 11])
      #expect(state.grown?.choice.options["width"] == .integer(40))
    }
  }

  @Test("a growth that is interrupted by a crash is repeated from the checkpoint before it, to the same bits")
  func crash() throws {
    let reference = try Self.result(ranks: 2)
    try Runs.inTemporaryDirectory { directory in
      let run = directory + "/run"
      // Stopped after step 6 there is the checkpoint before the growth, and no other. What a crash leaves of a growth is nothing:
      // it happens in memory.
      _ = try Runs.train(Self.recipe, ranks: 2, in: run, stopsAfter: 6)
      let before = try CheckpointDirectory(run: run).list().map(\.name)
      #expect(before == ["step-0000000006"])
      let reader = try CheckpointReader(run + "/checkpoints/" + before[0])
      #expect(try TrainingState(from: reader).cursor.grown.isEmpty)
      #expect(reader.tensors.first { $0.name == "embed.table" }?.shape == [11, 16])
      let result = try Runs.train(Self.recipe, set: ["stage=2"], ranks: 3, in: run, resumes: true)
      #expect("\(result.digests.total) \(result.outcome.evaluation?.loss ?? .nan)" == reference)
    }
  }

  @Test("a checkpoint grown on disk is the state grown in memory, slot by slot, for any number of shards")
  func disk() throws {
    try Runs.inTemporaryDirectory { directory in
      let run = directory + "/run"
      _ = try Runs.train(Self.recipe, ranks: 2, in: run, stopsAfter: 6)
      let reader = try CheckpointReader(run + "/checkpoints/" + "step-0000000006")
      let settings = try RunSettings(
        recipe: SettingsFile(text: Self.recipe, name: "recipe"), choices: Catalogue.standard.choices)
      let resolved = try ResolvedRun(settings)
      let live = try Ranks.run(3) { communicator in
        let session = try RankSession(resolved, communicator)
        try Relayout(from: reader).read(into: session.store, slots: session.store.slots)
        try session.store.share()
        let grown = try RunningGrowth(session, number: 1, history: 0, isSaving: false, isAtBorder: true).run().session
        return try grown.store.digests().lines
      }[0]
      guard case .grow(let phase) = settings.schedule[1] else { fatalError("the second phase grows") }
      let growth = try DiskGrowth(reader, phase, .standard)
      for ranks in [1, 3, 5] {
        let world = CheckpointWorld(ranks: ranks, hosts: 1, stage: 1, transport: "file")
        let place = try CheckpointPlacement("\(directory)/grown-\(ranks)", step: reader.step)
        let grower = try CheckpointGrower(
          reader, growth.growth, for: growth.optimizer, world: world,
          state: growth.state(of: reader, world), saveID: place.saveID)
        let shards = try grower.write(ranks: Array(0..<ranks), to: place.folder)
        _ = try place.commit(grower.plan, summaries: shards)
        let written = try CheckpointReader(place.path)
        #expect(written.verify(full: true).isEmpty)
        let lines = try written.tensors.flatMap { tensor in
          try written.slots(of: tensor.name).map {
            "\(tensor.name)/\($0) \(try written.digest(of: tensor.name, slot: $0))"
          }
        }
        #expect(lines + ["total \(written.digest)"] == live)
        let state = try TrainingState(from: written)
        #expect(state.cursor.grown.isEmpty && state.births["embed.table"]?.blocks.first?.columns == 16..<32)
        #expect(state.lineage.last?.from?.saveID == "\(reader.saveID)")
      }
    }
  }

  @Test("a run goes on from a checkpoint that was grown on disk, with the recipe that the growth told of")
  func goesOn() throws {
    try Runs.inTemporaryDirectory { directory in
      let small =
        Self.recipe.replacing("schedule:", with: "schedule: [{ train: { steps: 6 } }]\nignored:")
        .split(separator: "\nignored:")[0]
        + "\nevaluate: { every: 0, batch: 8, batches: 2 }\nsave: { every: 0 }\nseed: 3\n"
      _ = try Runs.train(String(small), ranks: 2, in: directory + "/small")
      let reader = try CheckpointReader(directory + "/small/checkpoints/" + "step-0000000006")
      let text = "model: decoder\nschedule: [train: {}, grow: { operator: zeroPad, to: { width: 22 } }, train: {}]"
      let parsed = try RunSettings(recipe: SettingsFile(text: text, name: "x"), choices: Catalogue.standard.choices)
      guard case .grow(let phase) = parsed.schedule[1] else { fatalError("the second phase grows") }
      let growth = try DiskGrowth(reader, phase, .standard)
      let world = CheckpointWorld(ranks: 2, hosts: 1, stage: 1, transport: "file")
      let place = try CheckpointPlacement(directory + "/grown", step: 6)
      let grower = try CheckpointGrower(
        reader, growth.growth, for: growth.optimizer, world: world,
        state: growth.state(of: reader, world), saveID: place.saveID)
      _ = try place.commit(grower.plan, summaries: grower.write(ranks: [0, 1], to: place.folder))

      let constants = try SettingValue(encoding: growth.recipe.constants).recipeText
      #expect(constants.contains("epsilon"))
      let wide = small.replacing("width: 16", with: "width: 22")
      let started = "\nstart: { from: \(place.path) }\n"
      #expect {
        _ = try Runs.train(wide + started, ranks: 1, in: directory + "/plain")
      } throws: {
        "\($0)".contains("constants: \(constants)")
      }
      let before = try Ranks.run(1) { communicator in
        try Self.validationLoss(reader, String(small), communicator)
      }[0]
      let after = try Ranks.run(1) { communicator in
        try Self.validationLoss(CheckpointReader(place.path), wide + "\nconstants: \(constants)\n", communicator)
      }[0]
      #expect(abs(before - after) <= 1e-5)
      let result = try Runs.train(
        wide + started + "\nconstants: \(constants)\n", ranks: 2, in: directory + "/wide")
      #expect(result.outcome.step == 6)
    }
  }

  private static func validationLoss(_ reader: CheckpointReader, _ recipe: String, _ communicator: Communicator) throws
    -> Double
  {
    let run = try ResolvedRun(
      RunSettings(recipe: SettingsFile(text: recipe, name: "recipe"), choices: Catalogue.standard.choices))
    let session = try RankSession(run, communicator)
    try Relayout(from: reader).read(into: session.store, slots: [.value])
    try session.store.share()
    return try Evaluation(session, try #require(run.data.validation), batch: 8, limit: 0).run().loss
  }

  @Test("growing while a save is under way, within a step, or under other slots is refused and leaves the state alone")
  func refusals() throws {
    let run = try OneStep.open(Self.recipe)
    let sgd = try OneStep.open(Self.recipe, set: ["optimizer={ sgd: { momentum: 0.9 } }"])
    let kinds = try Ranks.run(2) { communicator in
      let session = try RankSession(run, communicator)
      try session.store.initialize(seed: 3)
      let before = try session.store.digests().total
      func kind(_ body: () throws -> Void) -> GrowthError.Kind? {
        do { try body() } catch { return (error as? GrowthError)?.kind }
        return nil
      }
      let found = [
        kind { _ = try RunningGrowth(session, number: 1, history: 0, isSaving: true, isAtBorder: true) },
        kind { _ = try RunningGrowth(session, number: 1, history: 0, isSaving: false, isAtBorder: false) },
        // The second growth begins where the first has ended.
        kind { _ = try RunningGrowth(session, number: 2, history: 0, isSaving: false, isAtBorder: true) },
        kind {
          let other = try RankSession(sgd, communicator, growths: 1)
          let plan = try #require(run.stages[1].growth?.plan)
          try StateGrowth(plan, mode: .asymmetric, seed: 1, number: 1).fill(
            other.store, from: GatheredSlots(session.store))
        },
      ]
      #expect(try session.store.digests().total == before)
      return found
    }
    for found in kinds { #expect(found == [.notAtBorder, .notAtBorder, .shapeDisagrees, .slotMissing]) }
  }

  @Test("an option that the checkpoint's build did not know stands at its default, and hinders no resume")
  func unknownOption() throws {
    func choice(_ text: String) throws -> Choice {
      try RunSettings(
        recipe: SettingsFile(text: "model: \(text)", name: "recipe"), choices: Catalogue.standard.choices
      ).model
    }
    let whole = try choice("{ decoder: { width: 32 } }")
    guard case .mapping(var options) = whole.options else { fatalError("options are a mapping") }
    options["dropout"] = nil
    let older = Choice(whole.name, options: .mapping(options))
    #expect(older != whole && Catalogue.standard.isSame(older, whole) && Catalogue.standard.isSame(whole, older))
    #expect(!Catalogue.standard.isSame(older, try choice("{ decoder: { width: 32, dropout: 0.1 } }")))
    #expect(!Catalogue.standard.isSame(whole, try choice("{ mlp: { width: 32 } }")))
  }

  @Test("a resume with a recipe that no longer grows as the run did is refused")
  func changedSchedule() throws {
    try Runs.inTemporaryDirectory { directory in
      let run = directory + "/run"
      _ = try Runs.train(Self.recipe, ranks: 1, in: run, stopsAfter: 9)
      for recipe in [
        Self.recipe.replacing("width: 32, hidden: 40", with: "width: 32, hidden: 36"),
        Self.recipe.replacing("- grow: { operator: identity, to: { depth: 3 } }\n  ", with: ""),
      ] {
        #expect {
          _ = try Runs.train(recipe, ranks: 1, in: run, resumes: true)
        } throws: {
          ($0 as? RunError)?.kind == .resumeRefused
        }
      }
    }
  }

  @Test("while it grows a rank holds its shards of both models and one weight, and afterwards those of the larger one")
  func memory() throws {
    for stage in 0...3 {
      let run = try OneStep.open(
        Self.recipe.replacing("width: 16,", with: "width: 64,").replacing("hidden: 20", with: "hidden: 160")
          .replacing("to: { width: 32, hidden: 40 }", with: "to: { width: 128, hidden: 320 }")
          .replacing("width: 40, heads", with: "width: 136, heads"), set: ["stage=\(stage)"])
      let trial = try GrowthTrial(run, ranks: 4, warmUp: 2, steps: 0)
      let plan = try #require(run.stages[1].growth?.plan)
      let largest = 4 * (plan.old.parameters.map(\.count).max() ?? 0)
      // Slabs begin on cache lines, and windows have a few of their own.
      let rounding = 64 * 4 * (plan.old.parameters.count + plan.new.parameters.count)
      #expect(
        trial.slabBytes.peak <= trial.slabBytes.before + trial.slabBytes.after + largest + rounding,
        "stage \(stage): \(trial.slabBytes) and a weight of \(largest) bytes")
    }
  }
}
