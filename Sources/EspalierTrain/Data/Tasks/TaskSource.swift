import EspalierNN
import EspalierTensor

/// A data set that tasks are cut from.
struct TaskSource: Sendable {
  let training: any LabelledDataset
  let test: any LabelledDataset
  /// Where the recipe names it.
  let key: String
  let trainingOffset: UInt64
  let testOffset: UInt64
  /// The classes that have training samples, ascending.
  let classes: [Int32]
  let testClasses: Set<Int32>

  init(_ splits: DataSplits, key: String, trainingOffset: UInt64 = 0, testOffset: UInt64 = 0) throws {
    guard let training = splits.training as? any LabelledDataset else {
      throw SettingsError(
        .conflict, subject: key, reason: "tasks are made of samples that have classes, and \(key) has none",
        remedy: "use images or another set of classes, or leave tasks out")
    }
    guard let validation = splits.validation, let test = validation as? any LabelledDataset, test.sampleCount > 0 else {
      throw SettingsError(
        .conflict, subject: key,
        reason: "tasks are measured after each other, and \(key) has nothing to measure them on",
        remedy: "give it a test set or a validation part")
    }
    guard training.sampleCount <= Int(UInt32.max), test.sampleCount <= Int(UInt32.max) else {
      throw SettingsError(
        .conflict, subject: key, reason: "\(key) has more samples than tasks can count",
        remedy: "cut it into several sets")
    }
    self.training = training
    self.test = test
    self.key = key
    self.trainingOffset = trainingOffset
    self.testOffset = testOffset
    classes = Set(training.labels).sorted()
    testClasses = Set(test.labels)
  }

  /// Refuses sets that one model cannot read.
  func check(fits first: TaskSource?) throws {
    guard let first else { return }
    guard training.inputs == first.training.inputs else {
      throw SettingsError(
        .conflict, subject: key,
        reason:
          "\(key) has samples of \(Self.text(training.inputs)) and \(first.key) of \(Self.text(first.training.inputs))",
        remedy: "use sets of one size, or bring images to one with pad and channels")
    }
    let own = (training as? any AugmentedDataset)?.augmentation
    guard own == (first.training as? any AugmentedDataset)?.augmentation else {
      throw SettingsError(
        .conflict, subject: key,
        reason: "\(key) is augmented otherwise than \(first.key), and samples of one task are replayed in another",
        remedy: "write one augment in all sets, and one normalize of numbers, for that is what a border is filled with")
    }
  }

  private static func text(_ inputs: DatasetInputs) -> String {
    switch inputs {
    case .tokens(let vocabulary, let time): "\(time) tokens of \(vocabulary)"
    case .features(let shape): "shape \(shape)"
    }
  }
}

/// The classes of one task, and where they come from.
struct TaskPart {
  let source: TaskSource
  let classes: [Int32]
  let name: String

  func task(rows: Range<Int>, rowCount: Int, _ settings: TaskSettings) throws -> TaskData {
    if let label = classes.first(where: { !source.testClasses.contains($0) }) {
      throw SettingsError(
        .conflict, subject: source.key,
        reason: "the test set of \(source.key) has no sample of class \(label), so task '\(name)' cannot be measured",
        remedy: "leave the class out of tasks.classes, or bring test samples of it")
    }
    func table(_ set: any LabelledDataset) -> [Int32] {
      var table = [Int32](repeating: Batch.ignored, count: max(set.classCount, Int(classes.max() ?? -1) + 1))
      for (label, row) in zip(classes, rows) { table[Int(label)] = Int32(row) }
      return table
    }
    func members(_ set: any LabelledDataset, _ table: [Int32]) -> [Int] {
      let labels = set.labels
      return labels.indices.filter { table[Int(labels[$0])] != Batch.ignored }
    }
    func view(_ set: any LabelledDataset, _ kind: String, _ samples: [Int], _ table: [Int32], _ offset: UInt64)
      -> SubsetDataset
    {
      SubsetDataset(
        set, named: "task '\(name)', \(kind)", indices: samples.map { UInt32($0) }, rowOfClass: table,
        classCount: rowCount, offset: offset)
    }
    let trainingTable = table(source.training), testTable = table(source.test)
    let fraction = settings.heldOutFraction ?? 0
    // Keyed by set and class, so that neither the order nor the cut of the tasks moves a sample.
    let key = RandomKey(seed: settings.heldOutSeed).child("tasks.heldOut").child(source.trainingOffset)
    guard
      let split = StratifiedSplit(
        labels: source.training.labels, samples: members(source.training, trainingTable), fraction: fraction, key: key)
    else {
      throw SettingsError(
        .conflict, subject: "tasks.heldOut",
        reason: "tasks.heldOut (\(settings.heldOut)) leaves a class of task '\(name)' with nothing to learn from",
        remedy: "hold less out, or bring more samples")
    }
    let offset = source.trainingOffset
    return TaskData(
      name: name, classes: classes, rows: rows.map { Int32($0) },
      training: view(source.training, "training", split.kept, trainingTable, offset),
      heldOut: fraction > 0 ? view(source.training, "held out", split.drawn, trainingTable, offset) : nil,
      test: view(source.test, "test", members(source.test, testTable), testTable, source.testOffset))
  }
}

/// Which classes each task has.
enum TaskLists {
  /// The lists of a recipe for one data set, in the order of the sequence.
  static func cut(_ settings: TaskSettings, _ source: TaskSource) throws -> [[Int32]] {
    if settings.perTask > 0 {
      let count = source.classes.count
      guard count.isMultiple(of: settings.perTask) else {
        let divisors = (1...max(count, 1)).filter { count.isMultiple(of: $0) }.map(String.init).joined(separator: ", ")
        throw SettingsError(
          .conflict, subject: "tasks.perTask",
          reason: "tasks.perTask (\(settings.perTask)) does not divide the \(count) classes of \(source.key)",
          remedy: "choose one of \(divisors), or list the classes in tasks.classes")
      }
      let ordered = order(settings, count: count).map { source.classes[$0] }
      return stride(from: 0, to: count, by: settings.perTask).map { Array(ordered[$0..<$0 + settings.perTask]) }
    }
    let known = Set(source.classes)
    for (task, list) in settings.classes.enumerated() {
      if let label = list.first(where: { Int32(exactly: $0).map(known.contains) != true }) {
        throw SettingsError(
          .conflict, subject: "tasks.classes.\(task)",
          reason: "tasks.classes names class \(label) for task \(task), and \(source.key) has no training sample of it",
          remedy: "its classes are \(name(of: source.classes))")
      }
    }
    let lists = settings.classes.map { $0.map { Int32($0) } }
    return order(settings, count: lists.count).map { lists[$0] }
  }

  /// The places of things in their order.
  static func order(_ settings: TaskSettings, count: Int) -> [Int] {
    guard settings.order == .keyed else { return Array(0..<count) }
    let order = EpochOrder(sampleCount: count, key: RandomKey(seed: settings.orderSeed).child("tasks.order"))
    return order.samples(epoch: 0, places: 0..<UInt64(count)).map { Int($0) }
  }

  /// "0 1", "10–19" for neighbours, and the first ones of many.
  static func name(of classes: [Int32]) -> String {
    guard classes.count > 2, let first = classes.first, let last = classes.last else {
      return classes.map(String.init).joined(separator: " ")
    }
    if zip(classes, classes.dropFirst()).allSatisfy({ $0 + 1 == $1 }) { return "\(first)–\(last)" }
    let shown = classes.prefix(6).map(String.init).joined(separator: " ")
    return classes.count > 6 ? shown + " … (\(classes.count))" : shown
  }

  /// The last part of a set's path, or what kind of set it is.
  static func name(of choice: Choice) -> String {
    guard case .text(let path)? = choice.options["path"], let last = path.split(separator: "/").last else {
      return choice.name
    }
    return String(last)
  }
}
