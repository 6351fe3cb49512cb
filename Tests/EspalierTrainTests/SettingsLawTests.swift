import EspalierNN
import EspalierTrain
import Testing

/// Every type of settings of this library. A new one is added here.
let allSettings: [any Settings.Type] = [
  RunSettings.self, BatchSettings.self, OptimizerGroup.self, EvaluateSettings.self, SaveSettings.self, LogSettings.self,
  CheckSettings.self, StartSettings.self, NonFiniteSettings.self, TrainPhase.self, RateSettings.self,
  ClusterSettings.self,
  TextSettings.self, SyntheticSettings.self, ImageSettings.self, AugmentationSettings.self, TaskSettings.self,
]

@Suite struct SettingsLawTests {
  @Test(
    "fields list exactly the keys that are encoded, in the order of the declaration", arguments: allSettings.indices)
  func fieldsAreKeys(index: Int) throws {
    let type = allSettings[index]
    guard case .mapping(let entries) = try SettingValue(encoding: type.init()) else {
      Issue.record("\(type) does not encode to a mapping")
      return
    }
    #expect(Set(type.fields.map(\.key)) == Set(entries.keys), "\(type)")
    #expect(type.fields.map(\.key) == Mirror(reflecting: type.init()).children.compactMap(\.label), "\(type)")
  }

  @Test("every field has one sentence", arguments: allSettings.indices)
  func sentences(index: Int) {
    for field in allSettings[index].fields {
      #expect(field.meaning.hasSuffix("."), "\(allSettings[index]).\(field.key)")
    }
  }

  @Test("limits stand at keys that exist, and the defaults obey them", arguments: allSettings.indices)
  func limits(index: Int) throws {
    guard let type = allSettings[index] as? any CheckedSettings.Type else { return }
    let keys = Set(type.fields.map(\.key))
    #expect(keys.isSuperset(of: type.limits.keys), "\(type)")
    func loadEmpty<S: Settings>(_ type: S.Type) throws -> any Settings {
      try SettingsFile(text: "", name: "x").load(S.self)
    }
    _ = try loadEmpty(type)
  }

  @Test("a recipe of defaults with a comment for every key loads to the defaults")
  func commented() throws {
    let settings = try load("")
    let text = try CommentedRecipe.text(settings, heading: "A recipe.\nOf defaults.", choices: sampleChoices)
    #expect(try load(text) == settings, "\(text)")
    #expect(text.hasPrefix("# A recipe.\n# Of defaults.\n"))
    #expect(text.contains("  # Samples of one step, over all ranks together. [samples/step]\n  samples: 32\n"))
    #expect(text.split(separator: "\n").allSatisfy { $0.count <= 110 })
    let cluster = try CommentedRecipe.text(ClusterSettings(), heading: "A cluster.")
    #expect(try SettingsFile(text: cluster, name: "c").load(ClusterSettings.self) == ClusterSettings())
  }

  @Test("resolved settings survive canonical JSON, and equal settings have equal text")
  func canonical() throws {
    let first = try load("seed: 18446744073709551615\nclip: 1\noptimizer: { adamw: { rate: 1 } }")
    let second = try load("optimizer:\n  adamw:\n    rate: 1.0\nclip: 1.0\nseed: 18446744073709551615")
    #expect(first == second)
    let text = try first.canonicalJSON()
    #expect(text == (try second.canonicalJSON()))
    #expect(try RunSettings(canonicalJSON: text, name: "state", choices: sampleChoices) == first)
  }

  @Test("a table describes nested keys with defaults and units")
  func table() throws {
    let rows = try SettingsTable(of: TrainPhase.self).rows
    #expect(
      rows.map(\.key) == [
        "steps", "epochs", "until", "rate", "rate.shape", "rate.warmup", "rate.floor", "rate.decayFraction",
        "rate.decayShape",
      ])
    #expect(rows.map(\.standard) == ["0", "0", "end", "", "cosine", "20", "0.1", "0.2", "linear"])
    #expect(rows[5].unit == "steps")
    let run = try SettingsTable(of: RunSettings.self).rows
    #expect(run.first { $0.key == "schedule" }?.standard == "")
    #expect(run.first { $0.key == "schedule.0.train.rate.warmup" }?.standard == "20")
    #expect(run.first { $0.key == "batch.samples" }?.unit == "samples/step")
    #expect(
      try SettingsTable(of: NonFiniteSettings.self).text
        == "limit  10  steps\n    Such steps are left out on all ranks alike; this many in a row stop the run.\n")
  }
}

@Suite struct SettingsChangeTests {
  private func changes(_ old: String, _ new: String, sameData: Bool = false) throws -> [SettingsChange] {
    try SettingsChange.compare(old: try load(old), new: try load(new), sameData: sameData)
  }

  @Test("schedule, rates, saving, evaluation, stage and threads may change")
  func free() throws {
    let found = try changes(
      "stage: 1",
      "stage: 3\nthreads: 2\nsave: { every: 7 }\nevaluate: { every: 9 }\noptimizer: { adamw: { rate: 1 } }\nschedule: [train: { steps: 5 }]"
    )
    #expect(
      found.map(\.key) == [
        "evaluate.every", "optimizer.adamw.rate", "save.every", "schedule.0.train.steps", "stage", "threads",
      ])
    #expect(found.allSatisfy { $0.isFree })
    #expect(found[4].description == "stage from 1 to 3")
    try SettingsChange.check(found, allowing: [])
  }

  @Test(
    "model, data, seed and batch may not, but knowingly",
    arguments: [
      ("model: { decoder: { width: 64 } }", "model.decoder.width"), ("seed: 2", "seed"),
      ("batch: { lanes: 4 }", "batch.lanes"),
      ("batch: { samples: 64 }", "batch.samples"), ("data: { text: { splitSeed: 2 } }", "data.text.splitSeed"),
      ("data: { text: { path: b } }", "data.text.path"),
      ("optimizer: { adamw: { decay: 1 } }", "optimizer.adamw.decay"),
    ])
  func refused(new: String, key: String) throws {
    let found = try changes("", new)
    #expect(found.map(\.key) == [key])
    let error = #expect(throws: SettingsError.self) { try SettingsChange.check(found, allowing: []) }
    #expect(error?.kind == .refusedChange)
    #expect(error?.reason.contains(found[0].description) == true)
    try SettingsChange.check(found, allowing: [key])
    try SettingsChange.check(found, allowing: [String(key.prefix { $0 != "." })])
  }

  @Test("another optimizer is another run")
  func optimizer() throws {
    let found = try changes("", "optimizer: sgd")
    #expect(SettingsChange.refused(found, allowing: []).map(\.key) == ["optimizer.adamw.decay", "optimizer.sgd.decay"])
  }

  @Test("a text may move while it is the same text")
  func moved() throws {
    #expect(
      try changes("data: { text: { path: a } }", "data: { text: { path: b } }", sameData: true).allSatisfy { $0.isFree }
    )
  }
}

@Suite struct ClusterSettingsTests {
  @Test(
    "impossible clusters name both keys",
    arguments: [
      ("nodes: 2\nhosts: [a]", "hosts names 1 machines, but nodes is 2"),
      ("nodes: 2\ntransport: shared", "transport: shared reaches one machine only, but nodes is 2"),
      ("nodes: 2\nlauncher: inProcess", "launcher: inProcess runs on one machine only, but nodes is 2"),
      ("network: 10.0.0.0/40", "network must be a CIDR or an interface, got '10.0.0.0/40'"),
    ])
  func impossible(yaml: String, reason: String) {
    let error = #expect(throws: SettingsError.self) {
      try SettingsFile(text: yaml, name: "c.yaml").load(ClusterSettings.self)
    }
    #expect(error?.reason == reason)
  }
}

@Suite struct OptimizerGroupTests {
  @Test("patterns match names as a shell would, across dots")
  func patterns() {
    for (pattern, name, expected) in [
      ("*.norm.*", "blocks.2.norm.gain", true), ("*.norm.*", "norm.gain", false), ("*", "", true), ("", "a", false),
      ("blocks.?.up", "blocks.1.up", true), ("blocks.?.up", "blocks.11.up", false), ("*a*b", "xaybab", true),
      ("*a*b", "xaybac", false),
    ] {
      #expect(NamePattern(pattern).matches(name) == expected, "\(pattern) \(name)")
    }
    var group = OptimizerGroup()
    group.tag = "norm"
    #expect(group.matches(name: "x", tags: ["norm"]))
    #expect(!group.matches(name: "x", tags: []))
  }
}

@Suite struct ChoiceTests {
  @Test("options that a choice leaves out have their defaults, and wrong ones are refused by name")
  func settings() throws {
    let choice = Choice("decoder", options: .mapping(["width": .integer(7)]))
    #expect(try choice.settings(as: SampleModel.self).width == 7)
    #expect(try choice.settings(as: SampleModel.self).norm == .rms)
    let error = #expect(throws: SettingsError.self) {
      try Choice("decoder", options: .mapping(["wdth": .integer(7)])).settings(as: SampleModel.self)
    }
    #expect(error?.reason == "unknown key 'decoder.wdth'")
    #expect(error?.remedy == "did you mean 'width'?")
    #expect(throws: SettingsError.self) {
      try Choice("decoder", options: .mapping(["width": .text("7x")])).settings(as: SampleModel.self)
    }
  }

  @Test("a choice is coded as a mapping of one key")
  func coding() throws {
    var model = SampleModel()
    model.dropout = 0.1
    let choice = try Choice("decoder", settings: model)
    let value = try SettingValue(encoding: choice)
    #expect(value["decoder"]?["dropout"] == .number(0.1))
    #expect(try value.decode(as: Choice.self) == choice)
    #expect(try choice.settings(as: SampleModel.self) == model)
    #expect(throws: DecodingError.self) {
      try SettingValue.mapping(["a": .mapping([:]), "b": .mapping([:])]).decode(as: Choice.self)
    }
  }

  @Test("a data set is opened by its name")
  func data() throws {
    let run = try load("data: { synthetic: { kind: classes, samples: 5 } }")
    #expect(try DataCatalogue.open(run.data, context: 0).training.sampleCount == 5)
    let error = #expect(throws: SettingsError.self) { try DataCatalogue.open(Choice("txt"), context: 1) }
    #expect(error?.description == "unknown data 'txt'; did you mean 'text'?")
  }

  @Test(
    "the nearest name is offered only when it is near",
    arguments: [
      ("rte", "rate"), ("LAMSE", "lanes"), ("bacth", "batch"), ("tate", "rate"), ("zebra", nil), ("x", nil), ("", nil),
    ] as [(String, String?)])
  func nearest(word: String, expected: String?) {
    #expect(NearestName.find(word, in: ["batch", "lanes", "rate", "samples"]) == expected)
  }
}
