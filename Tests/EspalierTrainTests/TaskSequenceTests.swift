import EspalierMethods
import EspalierNN
import EspalierTensor
import EspalierTrain
import Foundation
import Testing

@Suite struct TaskSequenceTests {
  private static let classes = 6

  private static func data(seed: UInt64 = 1, samples: Int = 240, classes: Int = classes, features: Int = 3) throws
    -> DataSplits
  {
    var settings = SyntheticSettings()
    settings.kind = .classes
    settings.classes = classes
    settings.features = features
    settings.samples = samples
    settings.validation = 120
    settings.seed = seed
    return try settings.open(context: 0)
  }

  private static func labelled(_ set: (any Dataset)?) throws -> any LabelledDataset {
    try #require(set as? any LabelledDataset)
  }

  private static func settings(
    _ setting: TaskSettings.Setting, _ change: (inout TaskSettings) -> Void = { $0.perTask = 2 }
  ) -> TaskSettings {
    var settings = TaskSettings()
    settings.setting = setting
    change(&settings)
    return settings
  }

  /// One for each way to cut a set.
  static let cuts: [TaskSettings] = [
    settings(.class), settings(.task), settings(.domain),
    settings(.class) { $0.perTask = 6 },
    settings(.class) { $0.classes = [[5], [0, 3, 1], [2]] },
    settings(.domain) { $0.classes = [[4, 1], [0, 5]] },
    settings(.task) {
      $0.perTask = 3
      $0.order = .keyed
    },
    settings(.class) {
      $0.classes = [[5], [0, 3, 1], [2]]
      $0.order = .keyed
      $0.orderSeed = 4
    },
    settings(.class) {
      $0.perTask = 2
      $0.heldOut = "10%"
    },
  ]

  @Test(
    "every training sample of the listed classes is in one task, once, and so is every test sample", arguments: cuts)
  func partition(_ settings: TaskSettings) throws {
    let splits = try Self.data()
    let sequence = try TaskSequence(settings, splits)
    let listed = Set(sequence.tasks.flatMap(\.classes))
    #expect(listed == (settings.classes.isEmpty ? Set(0..<6) : Set(settings.classes.joined().map { Int32($0) })))
    #expect(sequence.tasks.reduce(0) { $0 + $1.classes.count } == listed.count, "a class is in one task")
    let sets: [(base: any LabelledDataset, parts: [[SubsetDataset]])] = [
      (try Self.labelled(splits.training), sequence.tasks.map { [$0.training] + ($0.heldOut.map { [$0] } ?? []) }),
      (try Self.labelled(splits.validation), sequence.tasks.map { [$0.test] }),
    ]
    for (base, parts) in sets {
      let expected = base.labels.indices.filter { listed.contains(base.labels[$0]) }.map { UInt64($0) }
      let samples = try parts.joined().flatMap { try $0.batch(of: Array(0..<UInt64($0.sampleCount))).samples }
      #expect(samples.sorted() == expected)
    }
  }

  @Test("a view has its base's inputs, and the row of its base's class as target", arguments: cuts)
  func views(_ settings: TaskSettings) throws {
    let splits = try Self.data()
    let sequence = try TaskSequence(settings, splits)
    for task in sequence.tasks {
      let rowOfClass = Dictionary(uniqueKeysWithValues: zip(task.classes, task.rows))
      for (view, base) in [(task.training, splits.training), (task.heldOut ?? task.training, splits.training)]
        + [(task.test, try #require(splits.validation))]
      {
        let labels = try Self.labelled(base).labels
        let places = Array((0..<UInt64(view.sampleCount)).reversed())
        let batch = try view.batch(of: places)
        let plain = try base.batch(of: batch.samples)
        #expect(batch.inputs == plain.inputs)
        #expect(batch.targets.values == batch.samples.map { rowOfClass[labels[Int($0)]] })
        #expect(view.labels == batch.targets.values.reversed())
        #expect(view.classCount == sequence.classCount)
      }
    }
  }

  @Test("rows are counted in the order of the sequence, and a domain's tasks share theirs", arguments: cuts)
  func rows(_ settings: TaskSettings) throws {
    let sequence = try TaskSequence(settings, try Self.data())
    var next: Int32 = 0
    for (index, task) in sequence.tasks.enumerated() {
      let count = Int32(task.classes.count)
      #expect(task.rows == (settings.setting == .domain ? Array(0..<count) : Array(next..<next + count)))
      next += count
      if settings.setting != .domain {
        for row in task.rows { #expect(sequence.rows(competingWith: row) == task.rows) }
      }
      #expect(sequence.seenRows(after: index) == (settings.setting == .domain ? task.rows : Array(0..<next)))
    }
    #expect(sequence.classCount == (settings.setting == .domain ? sequence.tasks[0].classes.count : Int(next)))
  }

  @Test("without a keyed order classes and lists stand as they are written")
  func given() throws {
    let splits = try Self.data()
    #expect(try TaskSequence(Self.cuts[0], splits).tasks.map(\.classes) == [[0, 1], [2, 3], [4, 5]])
    let lists = try TaskSequence(Self.cuts[4], splits)
    #expect(lists.tasks.map(\.classes) == [[5], [0, 3, 1], [2]])
    #expect(lists.tasks.map(\.name) == ["5", "0 3 1", "2"])
  }

  @Test("a keyed order is a permutation of the classes, or of the lists, that follows its seed")
  func keyed() throws {
    let splits = try Self.data()
    var orders: Set<[Int32]> = []
    for seed in UInt64(0)..<20 {
      var settings = Self.cuts[6]
      settings.orderSeed = seed
      let classes = try TaskSequence(settings, splits).tasks.flatMap(\.classes)
      #expect(classes.sorted() == Array(0..<6))
      #expect(try TaskSequence(settings, splits).tasks.flatMap(\.classes) == classes)
      orders.insert(classes)
      settings = Self.cuts[7]
      settings.orderSeed = seed
      #expect(Set(try TaskSequence(settings, splits).tasks.map(\.classes)) == [[5], [0, 3, 1], [2]])
    }
    #expect(orders.count > 15)
  }

  @Test("what is held out is a part of every class, of a seed of its own, and the same in every order of tasks")
  func heldOut() throws {
    let splits = try Self.data()
    let labels = try Self.labelled(splits.training).labels
    func heldOut(_ change: (inout TaskSettings) -> Void = { _ in }) throws -> Set<UInt32> {
      var settings = Self.cuts[8]
      change(&settings)
      let tasks = try TaskSequence(settings, splits).tasks
      for task in tasks { #expect(Set(task.training.indices).isDisjoint(with: task.heldOut?.indices ?? [])) }
      return Set(tasks.flatMap { $0.heldOut?.indices ?? [] })
    }
    let drawn = try heldOut()
    for label in Int32(0)..<6 {
      let count = labels.count { $0 == label }
      #expect(
        drawn.count { labels[Int($0)] == label } == max(1, Int((0.1 * Double(count)).rounded())), "class \(label)")
    }
    #expect(try heldOut { $0.order = .keyed } == drawn)
    #expect(try heldOut { ($0.perTask, $0.classes) = (0, [[3, 1, 5], [0, 2, 4]]) } == drawn)
    #expect(try heldOut { $0.heldOutSeed = 2 } != drawn)
    #expect(try TaskSequence(Self.cuts[0], splits).tasks.allSatisfy { $0.heldOut == nil })
  }

  @Test("the joint sets are all tasks in their order, whatever is asked of them together")
  func joint() throws {
    let sequence = try TaskSequence(Self.cuts[7], try Self.data())
    let joint = sequence.joint.training
    #expect(joint.sampleCount == sequence.tasks.reduce(0) { $0 + $1.training.sampleCount })
    let whole = try sequence.tasks.map { try $0.training.batch(of: Array(0..<UInt64($0.training.sampleCount))) }
    let values = whole.flatMap { imageValues($0).0 }, targets = whole.flatMap(\.targets.values)
    let samples = whole.flatMap(\.samples)
    let asked = (0..<UInt64(joint.sampleCount)).map { $0 * 37 % UInt64(joint.sampleCount) }
    let batch = try joint.batch(of: asked)
    #expect(batch.targets.values == asked.map { targets[Int($0)] } && batch.samples == asked.map { samples[Int($0)] })
    #expect(imageValues(batch).0 == asked.flatMap { values[Int($0) * 3..<Int($0) * 3 + 3] })
    #expect(imageValues(batch).1 == [asked.count, 3])
    #expect(try joint.batch(of: []).samples.isEmpty)
    #expect(joint.classCount == sequence.classCount && sequence.joint.validation?.classCount == sequence.classCount)
  }

  @Test("sets are a task each, and their samples are numbered one set after the other")
  func sets() throws {
    let splits = [try Self.data(seed: 1), try Self.data(seed: 2, classes: 4), try Self.data(seed: 3)]
    let sequence = try TaskSequence(Self.settings(.class) { _ in }, sets: splits)
    #expect(sequence.classCount == 16)
    #expect(sequence.tasks.map(\.rows) == [Array(0..<6), Array(6..<10), Array(10..<16)])
    for (index, task) in sequence.tasks.enumerated() {
      let batch = try task.training.batch(of: [0, 5])
      #expect(batch.samples == [UInt64(index * 240), UInt64(index * 240 + 5)])
      #expect(try batch.inputs == splits[index].training.batch(of: [0, 5]).inputs)
      #expect(try task.test.batch(of: [0]).samples == [UInt64(index * 120)])
    }
    let domain = try TaskSequence(Self.settings(.domain) { _ in }, sets: [splits[0], splits[2]])
    #expect(domain.classCount == 6 && domain.tasks.map(\.rows) == [Array(0..<6), Array(0..<6)])
  }

  @Test("a recipe's tasks and sets are opened by name, and none is none")
  func open() throws {
    let run = try load(
      """
      data: { synthetic: { kind: classes, samples: 300 } }
      tasks: { setting: task, perTask: 5 }
      """)
    let sequence = try #require(try TaskSequence.open(run.tasks, data: run.data, context: 0))
    #expect(sequence.setting == .task && sequence.tasks.map(\.name) == ["0–4", "5–9"])
    #expect(try TaskSequence.open(load("").tasks, data: run.data, context: 0) == nil)
    let sets = try load(
      "tasks: { setting: domain, sets: [{ synthetic: { kind: classes } }, { synthetic: { kind: classes, seed: 2 } }] }")
    let opened = try #require(try TaskSequence.open(sets.tasks, data: sets.data, context: 0))
    #expect(opened.tasks.count == 2 && opened.classCount == 10)
    #expect(try RunSettings(canonicalJSON: sets.canonicalJSON(), name: "state", choices: sampleChoices) == sets)
  }

  @Test("settings that were saved before there were tasks have none")
  func older() throws {
    var saved = try SettingValue(encoding: try load(""))
    guard case .mapping(var entries) = saved else { return #expect(Bool(false), "a mapping") }
    #expect(entries.removeValue(forKey: "tasks") != nil)
    saved = .mapping(entries)
    let read = try RunSettings(canonicalJSON: saved.canonicalJSON, name: "state", choices: sampleChoices)
    #expect(try read == load("") && read.tasks.setting == .none)
  }

  @Test("the hash tells apart whatever decides the sequence, and nothing else")
  func hash() throws {
    let splits = try Self.data()
    var hashes: Set<UInt64> = []
    for settings in Self.cuts { hashes.insert(try TaskSequence(settings, splits).contentHash) }
    #expect(hashes.count == Self.cuts.count)
    let first = try TaskSequence(Self.cuts[0], splits).contentHash
    #expect(try TaskSequence(Self.cuts[0], try Self.data(seed: 9)).contentHash != first)
    #expect(try TaskSequence(Self.cuts[0], try Self.data()).contentHash == first)
    #expect(
      try TaskSequence(Self.settings(.class) { $0.classes = [[0, 1], [2, 3], [4, 5]] }, splits).contentHash == first)
  }

  @Test(
    "mistakes of a recipe are refused when it is read, with the key",
    arguments: [
      ("perTask: 2", "tasks.perTask says what the tasks are, but tasks.setting is none"),
      ("setting: class", "tasks.setting is class, but nothing says what the tasks are"),
      ("setting: class, perTask: 2, classes: [[0]]", "tasks.perTask and tasks.classes each say what the tasks are"),
      ("setting: class, classes: [[0, 1], []]", "task 1 of tasks.classes has no classes"),
      ("setting: class, classes: [[0, 1], [2, 1]]", "tasks 0 and 1 of tasks.classes both name class 1"),
      ("setting: class, classes: [[3, 3]]", "task 0 of tasks.classes names class 3 twice"),
      ("setting: class, classes: [[0, -1]]", "tasks.classes.0.1 must be a whole number of 0 or more, got '-1'"),
      ("setting: domain, classes: [[0, 1], [2]]", "lists of 2 and of 1 classes (task 1)"),
      ("setting: class, perTask: 2, heldOut: 100%", "tasks.heldOut must be a part from 0% to below 100%, got '100%'"),
      ("setting: clas", "tasks.setting must be one of none, class, task, domain, got 'clas'; did you mean 'class'?"),
      ("setting: class, sets: [{ image: {} }]", "unknown sets 'image'; did you mean 'images'?"),
      (
        "setting: class, sets: [{ images: { paht: a } }]",
        "unknown key 'tasks.sets.0.images.paht'; did you mean 'path'?"
      ),
    ])
  func mistakes(options: String, expected: String) {
    let text = refusal("tasks: { \(options) }")
    #expect(text.contains(expected) && text.hasPrefix("recipe.yaml line 1: "), "\(text)")
  }

  /// What a sequence is refused with, and the key.
  private func refusal(_ make: () throws -> TaskSequence) -> (key: String, text: String) {
    do {
      _ = try make()
      return ("", "accepted")
    } catch let error as SettingsError {
      return (error.subject, "\(error)")
    } catch { return ("", "\(error)") }
  }

  private func refusal(_ yaml: String) -> String { EspalierTrainTests.refusal(yaml) }

  @Test("what does not fit the data is refused when they are opened, with the key")
  func data() throws {
    let splits = try Self.data()
    func check(_ key: String, _ text: String, _ make: () throws -> TaskSequence) {
      let found = refusal(make)
      #expect(found.key == key && found.text.contains(text), "\(found)")
    }
    check(
      "tasks.classes.1",
      "names class 6 for task 1, and data.synthetic has no training sample of it; its classes are 0–5"
    ) {
      try TaskSequence(Self.settings(.class) { $0.classes = [[0], [1, 6]] }, splits, named: "synthetic")
    }
    check("tasks.perTask", "does not divide the 6 classes of data.x; choose one of 1, 2, 3, 6") {
      try TaskSequence(Self.settings(.class) { $0.perTask = 4 }, splits, named: "x")
    }
    check("tasks.heldOut", "tasks.heldOut (99%) leaves a class of task '0 1' with nothing to learn from") {
      try TaskSequence(
        Self.settings(.class) {
          $0.perTask = 2
          $0.heldOut = "99%"
        }, splits)
    }
    let some = try Self.labelled(splits.validation)
    let without = SubsetDataset(
      some, named: "some", indices: some.labels.indices.filter { some.labels[$0] != 4 }.map { UInt32($0) })
    check("data.x", "has no sample of class 4, so task '4 5' cannot be measured") {
      try TaskSequence(Self.cuts[0], DataSplits(training: splits.training, validation: without), named: "x")
    }
    check("data.x", "has nothing to measure them on") {
      try TaskSequence(Self.cuts[0], DataSplits(training: splits.training, validation: nil), named: "x")
    }
    let tokens = try SyntheticSettings().open(context: 4)
    check("data.x", "tasks are made of samples that have classes, and data.x has none") {
      try TaskSequence(Self.cuts[0], tokens, named: "x")
    }
    let sets = Self.settings(.domain) { _ in }
    check("tasks.sets.1", "has samples of shape [4] and tasks.sets.0 of shape [3]") {
      try TaskSequence(sets, sets: [splits, Self.data(features: 4)])
    }
    check("tasks.sets.1", "has 4 classes and tasks.sets.0 has 6") {
      try TaskSequence(sets, sets: [splits, Self.data(classes: 4)])
    }
    check("tasks", "tasks has no task") { try TaskSequence(sets, sets: []) }
  }

  @Test("sets of images that are augmented otherwise, or filled with another black, are refused")
  func augmentedSets() throws {
    let folder = try ImageFixture.folder()
    var settings = ImageSettings(path: folder.path)
    settings.normalize = .given(mean: 0.5, deviation: 0.5)
    settings.augment.pad = 1
    let first = try settings.open(context: 0)
    settings.normalize = .auto
    let second = try settings.open(context: 0)
    let found = refusal { try TaskSequence(Self.settings(.domain) { _ in }, sets: [first, second]) }
    #expect(found.key == "tasks.sets.1" && found.text.contains("is augmented otherwise"), "\(found)")
  }

  @Test("Split Fashion-MNIST is five tasks of two classes, 1,000 images to learn and 200 to be measured on")
  func fashion() throws {
    let path = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent().appending(path: "launch/data/fashion-mini").path
    let sequence = try TaskSequence(Self.settings(.class), ImageSettings(path: path).open(context: 0), named: "images")
    #expect(sequence.tasks.map(\.name) == ["0 1", "2 3", "4 5", "6 7", "8 9"])
    for task in sequence.tasks {
      #expect(task.training.sampleCount == 1000 && task.test.sampleCount == 200)
    }
    #expect(sequence.joint.training.sampleCount == 5000 && sequence.classCount == 10)
  }
}
