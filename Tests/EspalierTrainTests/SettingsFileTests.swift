import EspalierNN
import EspalierTrain
import Testing

/// Options that stand in for a model's and an optimizer's.
struct SampleModel: CheckedSettings {
  enum Norm: String, Codable, CaseIterable { case rms, layer }
  var width = 128
  var norm = Norm.rms
  var dropout: Float = 0
  var names: [String] = []
  init() {}
  static let fields = [
    SettingField("width", "Width."), SettingField("norm", "Norm."), SettingField("dropout", "Dropout."),
    SettingField("names", "Names."),
  ]
  static let limits: [String: SettingLimit] = ["width": .positive, "dropout": .within(0...1)]
}

struct SampleOptimizer: Settings {
  var rate = 1e-3
  var decay = 0.0
  init() {}
  static let fields = [SettingField("rate", "Rate."), SettingField("decay", "Decay.")]
}

let sampleChoices: ChoiceTables = [
  "model": ["decoder": SampleModel.self, "mlp": SampleModel.self],
  "optimizer": ["adamw": SampleOptimizer.self, "sgd": SampleOptimizer.self],
  "data": DataCatalogue.standard, "sets": DataCatalogue.standard,
]

func load(_ yaml: String, _ overrides: [String] = []) throws -> RunSettings {
  try RunSettings(recipe: SettingsFile(text: yaml, name: "recipe.yaml"), overrides: overrides, choices: sampleChoices)
}

/// The sentence that a recipe is refused with.
func refusal(_ yaml: String, _ overrides: [String] = []) -> String {
  do {
    _ = try load(yaml, overrides)
    return "accepted"
  } catch {
    return "\(error)"
  }
}

@Suite struct SettingsFileTests {
  @Test("the recipe of the documentation loads, and what it leaves out has defaults")
  func recipe() throws {
    let run = try load(
      """
      version: 1
      model:     { decoder: { width: 256 } }
      optimizer: { adamw: { rate: 6e-4, decay: 0.1 } }
      data:      { text: { path: some/text.txt, validation: 5% } }
      batch:     { samples: 32, lanes: 8 }
      stage:     1            # ZeRO
      schedule:
        - train: { steps: 400, rate: { shape: cosine, warmup: 20 } }
      evaluate:  { every: 100 }
      save:      { every: 100, keep: 3 }
      seed:      1
      """)
    var model = SampleModel()
    model.width = 256
    #expect(try run.model.settings(as: SampleModel.self) == model)
    #expect(run.optimizer.name == "adamw")
    #expect(try run.optimizer.settings(as: SampleOptimizer.self).rate == 6e-4)
    #expect(try run.data.settings(as: TextSettings.self) == TextSettings(path: "some/text.txt", validation: "5%"))
    #expect(run.schedule == [.train(TrainPhase(steps: 400))])
    #expect(run.clip == 1)
  }

  @Test("an empty recipe is the defaults, with choices filled in and lanes decided")
  func empty() throws {
    for text in ["", "# nothing\n", "{}", "version: 1\nbatch:\nevaluate: ~\n"] {
      let run = try load(text)
      #expect(run.batch.lanes == 8)
      #expect(run.batch.samples == 32)
      #expect(run.model.options["width"] == .integer(128))
    }
  }

  @Test(
    "a mistake is refused in one sentence with its line",
    arguments: [
      (
        "version: 1\n\noptimizer: { adamw: { rte: 1 } }",
        "recipe.yaml line 3: unknown key 'optimizer.adamw.rte'; did you mean 'rate'?"
      ),
      ("batch:\n  samples: many", "recipe.yaml line 2: batch.samples must be a positive whole number, got 'many'"),
      ("batch: { samples: 0 }", "recipe.yaml line 1: batch.samples must be a positive whole number, got '0'"),
      ("batch: { samples: 2.5 }", "recipe.yaml line 1: batch.samples must be a positive whole number, got '2.5'"),
      (
        "batch: { samples: \"32\" }",
        "recipe.yaml line 1: batch.samples must be a positive whole number, got the quoted text '32'"
      ),
      ("batch: [32]", "recipe.yaml line 1: batch must be a mapping of options, got a list"),
      (
        "model: { decodr: {} }",
        "recipe.yaml line 1: unknown model 'decodr'; did you mean 'decoder'? known: decoder, mlp"
      ),
      (
        "model: { decoder: {}, mlp: {} }",
        "recipe.yaml line 1: model names 2 things, 'decoder', 'mlp'; name exactly one, as { decoder: { … } }"
      ),
      (
        "model: { decoder: { norm: rmsnorm } }",
        "recipe.yaml line 1: model.decoder.norm must be one of rms, layer, got 'rmsnorm'"
      ),
      (
        "model: { decoder: { dropout: 2 } }",
        "recipe.yaml line 1: model.decoder.dropout must be a number from 0 to 1, got '2'"
      ),
      ("stage: 4", "recipe.yaml line 1: stage must be a whole number from 0 to 3, got '4'"),
      ("clip: .nan", "recipe.yaml line 1: clip must be a number of 0 or more, got '.nan'"),
      ("recompute: maybe", "recipe.yaml line 1: recompute must be true or false, got 'maybe'"),
      ("seed: -1", "recipe.yaml line 1: seed must be a whole number of 0 or more, got '-1'"),
      (
        "schedule: { train: {} }",
        "recipe.yaml line 1: schedule must be a list: [ … ], or lines that begin with '-', got a mapping"
      ),
      (
        "schedule:\n- train: { steps: 1 }\n- trian: {}",
        "recipe.yaml line 3: unknown phase 'trian'; did you mean 'train'? known: grow, task, train"
      ),
      ("schedule: []", "recipe.yaml line 1: schedule has no phases; add one, as - train: { steps: 100 }"),
      (
        "schedule:\n- train: { steps: 1, rate: { shape: cosin } }",
        "recipe.yaml line 2: schedule.0.train.rate.shape must be one of constant, linear, cosine, wsd, got 'cosin'; did you mean 'cosine'?"
      ),
      (
        "schedule:\n- train:\n    steps: 1\n    epochs: 1",
        "recipe.yaml line 4: a train phase states both steps (1) and epochs (1); keep one of them, or set the other to 0"
      ),
      (
        "batch: { samples: 4, lanes: 8 }",
        "recipe.yaml line 1: batch.lanes (8) is more than batch.samples (4), so some lanes would always be empty; set batch.lanes to 4 or less"
      ),
      (
        "batch: { samples: 10, lanes: 4 }",
        "recipe.yaml line 1: batch.samples (10) does not divide among batch.lanes (4), and with batch.last: drop every lane of a run has one size; choose lanes that divide the samples (as 1, 2), or batch.last: keep, which deals unequal lanes"
      ),
      (
        "seed: 1\nseed: 2",
        "recipe.yaml line 1: the key 'seed' is written twice in the mapping that begins here; keep one of them"
      ),
      (
        "version: 2\nnew: thing",
        "recipe.yaml line 1: version 2 is newer than version 1, the newest that this espalier reads; update espalier"
      ),
      (
        "start: { from: a, slots: [m] }",
        "recipe.yaml line 1: start.from names a checkpoint, but start.slots leaves out 'value', its weights; write start.slots: [value]"
      ),
      (
        "data: { text: { validation: 100% } }",
        "recipe.yaml line 1: data.text.validation must be a part from 0% to below 100%, a path or none, got '100%'; write it as 5%"
      ),
    ])
  func mistakes(yaml: String, sentence: String) { #expect(refusal(yaml) == sentence) }
}

@Suite struct SettingOverrideTests {
  @Test("overrides reach lists by index, in the file and in the defaults")
  func lists() throws {
    let file = "schedule:\n- train: { steps: 400, rate: { shape: linear } }\n- train: { steps: 100 }"
    let run = try load(file, ["schedule.0.train.steps=20", "schedule.1.train.rate.floor=0.5"])
    #expect(
      run.schedule == [
        .train(TrainPhase(steps: 20, rate: RateSettings(shape: .linear))),
        .train(TrainPhase(steps: 100, rate: RateSettings(shape: .cosine, floor: 0.5))),
      ])
    #expect(try load("", ["schedule.0.train.steps=20"]).schedule == [.train(TrainPhase(steps: 20))])
  }

  @Test("a later override wins, and flow values replace what stands there")
  func order() throws {
    #expect(try load("stage: 0", ["stage=1", "stage=3"]).stage == 3)
    let run = try load(
      "optimizer: { adamw: { rate: 1 } }", ["optimizer={ sgd: { rate: 0.5 } }", "start.slots=[value, m]"])
    #expect(run.optimizer.name == "sgd")
    #expect(run.optimizer.options["rate"]?.recipeText == "0.5")
    #expect(run.start.slots == ["value", "m"])
    #expect(try load("model: mlp", ["model.mlp.width=7"]).model.options["width"] == .integer(7))
    #expect(try load("start: { from: x }", ["start.from="]).start.from == "")
  }

  @Test(
    "errors name the override",
    arguments: [
      ("batch.samples=many", "--set batch.samples=many: batch.samples must be a positive whole number, got 'many'"),
      ("bacth.samples=1", "--set bacth.samples=1: unknown key 'bacth'; did you mean 'batch'?"),
      (
        "schedule.1.train.steps=2",
        "--set schedule.1.train.steps=2: schedule is a list of 1, which has no item '1'; its items are 0 to 0"
      ),
      ("stage", "--set stage: an override is key=value; write it as schedule.0.train.steps=20"),
      ("batch..lanes=1", "--set batch..lanes=1: an override is key=value; write it as schedule.0.train.steps=20"),
      ("seed.x=1", "--set seed.x=1: seed is '3', which has nothing under it"),
      ("seed=[1", "--set seed=[1: this is not YAML: did not find expected ',' or ']'"),
      (
        "optimizer.sgd.rate=1",
        "--set optimizer.sgd.rate=1: optimizer names 2 things, 'adamw', 'sgd'; name exactly one, as { adamw: { … } }"
      ),
    ])
  func errors(override: String, sentence: String) {
    #expect(refusal("seed: 3\noptimizer: { adamw: {} }", [override]) == sentence)
  }
}

/// Files that nobody writes by hand.
@Suite struct HostileSettingsTests {
  private func kind(_ yaml: String) -> SettingsError.Kind? {
    do {
      _ = try load(yaml)
      return nil
    } catch { return (error as? SettingsError)?.kind }
  }

  @Test("aliases that stand for billions of values are refused")
  func aliasBomb() {
    var yaml = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
    for level in 1...9 {
      yaml += "a\(level): &a\(level) [" + Array(repeating: "*a\(level - 1)", count: 10).joined(separator: ", ") + "]\n"
    }
    #expect(kind(yaml) == .tooLarge)
  }

  @Test("deep nesting is refused")
  func deep() {
    #expect(kind("seed: " + String(repeating: "[", count: 65) + String(repeating: "]", count: 65)) == .tooLarge)
    #expect(kind(String(repeating: "[", count: 100_000)) == .notYAML)
    #expect(kind("seed:\n" + String(repeating: "- ", count: 100_000)) == .notYAML)
  }

  @Test("a file over a mebibyte is refused")
  func large() { #expect(kind("# " + String(repeating: "x", count: 1 << 20)) == .tooLarge) }

  @Test(
    "what is no YAML, or YAML of another kind, is refused",
    arguments: [
      ("\tseed: 1", SettingsError.Kind.notYAML), ("seed: *nobody", .notYAML), ("{seed: 1", .notYAML),
      ("seed: 1\n---\nseed: 2", .notYAML), ("? [a, b]\n: 1", .notYAML), ("- seed: 1", .wrongType), ("seed", .wrongType),
      ("seed: !!binary aGk=", .wrongType), ("seed: 18446744073709551616", .wrongType),
      ("batch: { samples: 1e30 }", .wrongType),
      ("clip: inf", .badValue), ("<<: { seed: 1 }", .unknownKey), ("seed: 1\n\"seed\": 2", .duplicateKey),
      ("model:", .wrongType), ("schedule: ~", .wrongType), ("version: new", .wrongType), ("\u{0}", .notYAML),
    ])
  func others(yaml: String, expected: SettingsError.Kind) {
    #expect(kind(yaml) == expected, "\(refusal(yaml))")
  }

  @Test("a missing file offers its neighbour")
  func missing() throws {
    let folder = try TemporaryFolder()
    try folder.write("first.yaml", "seed: 1")
    let path = folder.path + "/frist.yaml"
    let error = #expect(throws: SettingsError.self) { try SettingsFile(path: path) }
    #expect(
      "\(error ?? SettingsError(.badValue, reason: ""))" == "\(path): there is no such file; did you mean 'first.yaml'?"
    )
    #expect(throws: SettingsError.self) { try SettingsFile(path: folder.path) }
    try folder.write("bytes.yaml", [0xff, 0xfe, 0x00])
    let bytes = #expect(throws: SettingsError.self) { try SettingsFile(path: folder.path + "/bytes.yaml") }
    #expect(bytes?.kind == .notYAML)
  }
}
