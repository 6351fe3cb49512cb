public import EspalierMethods
public import EspalierNN
import EspalierTensor

/// One task of a sequence.
public struct TaskData: Sendable {
  /// For people: "0 1", or the name of its data set.
  public let name: String
  /// Its classes in the numbers of the data set that they come from, in the order of their rows.
  public let classes: [Int32]
  /// The rows of the head that stand for `classes`, in the same order.
  public let rows: [Int32]
  /// What is learnt from; targets are rows.
  public let training: SubsetDataset
  /// Training samples set apart for early stopping; nil where the recipe sets none apart.
  public let heldOut: SubsetDataset?
  /// What the task is measured on.
  public let test: SubsetDataset
}

/// Data that come task after task: which classes each brings, and which rows of the head stand for them.
///
/// Rows are counted in the order of the sequence: the first task has the first rows. In the setting `domain` all tasks share the
/// rows of the first, by the place of a class in its task. A value: the same for every rank, whatever the number of ranks.
public struct TaskSequence: Sendable {
  public let setting: TaskSettings.Setting
  public let tasks: [TaskData]
  /// The rows of the head when all tasks are there.
  public let classCount: Int
  /// All tasks together, as joint training sees them: training without what is held out, and all tests.
  public let joint: DataSplits
  /// A hash of everything that decides the sequence and its samples.
  public let contentHash: UInt64
  /// The task of each row; in the setting `domain` the first.
  private let tasksOfRows: [Int]

  /// The rows of the tasks up to `task`, itself included, ascending.
  /// - Precondition: there is such a task.
  public func seenRows(after task: Int) -> [Int32] {
    require(tasks.indices.contains(task), "task \(task) is none of \(tasks.count)")
    return Set(tasks[...task].flatMap(\.rows)).sorted()
  }

  /// The rows of the task that has a row.
  /// - Precondition: one task has it, so the setting is not `domain`.
  public func rows(competingWith row: Int32) -> [Int32] {
    require(
      setting != .domain && tasksOfRows.indices.contains(Int(row)), "row \(row) is of no one task of \(tasks.count)")
    return tasks[tasksOfRows[Int(row)]].rows
  }

  /// Opens what a recipe names: `tasks.sets` where there are any, otherwise `data`.
  /// - Returns: nil where the recipe has no tasks.
  /// - Throws: `DataError` or `SettingsError`.
  public static func open(
    _ settings: TaskSettings, data: Choice, context: Int, table: [String: any Settings.Type] = DataCatalogue.standard
  ) throws -> TaskSequence? {
    guard settings.setting != .none else { return nil }
    guard !settings.sets.isEmpty else {
      return try TaskSequence(settings, DataCatalogue.open(data, context: context, table: table), named: data.name)
    }
    let sets = try settings.sets.map { try DataCatalogue.open($0, context: context, table: table) }
    return try TaskSequence(settings, sets: sets)
  }

  /// Cuts one data set into tasks.
  /// - Parameter name: what errors call the set: `data.images`.
  /// - Throws: `SettingsError` of kind `.conflict`, which names the key.
  public init(_ settings: TaskSettings, _ splits: DataSplits, named name: String = "data") throws {
    let source = try TaskSource(splits, key: "data.\(name)")
    let lists = try TaskLists.cut(settings, source)
    try self.init(settings, lists.map { TaskPart(source: source, classes: $0, name: TaskLists.name(of: $0)) })
  }

  /// A data set for each task.
  /// - Throws: `SettingsError` of kind `.conflict`, which names the key.
  public init(_ settings: TaskSettings, sets: [DataSplits]) throws {
    var sources: [TaskSource] = []
    var (training, test) = (UInt64(0), UInt64(0))
    for (index, splits) in sets.enumerated() {
      let source = try TaskSource(splits, key: "tasks.sets.\(index)", trainingOffset: training, testOffset: test)
      try source.check(fits: sources.first)
      training += UInt64(source.training.sampleCount)
      test += UInt64(source.test.sampleCount)
      sources.append(source)
    }
    if settings.setting == .domain, let first = sources.first {
      for source in sources where source.classes.count != first.classes.count {
        throw SettingsError(
          .conflict, subject: source.key,
          reason:
            "tasks.setting is domain, but \(source.key) has \(source.classes.count) classes and \(first.key) has \(first.classes.count)",
          remedy: "choose sets with as many classes, or the setting class or task")
      }
    }
    let order = TaskLists.order(settings, count: sources.count)
    try self.init(
      settings,
      order.map { index in
        let name = settings.sets.indices.contains(index) ? TaskLists.name(of: settings.sets[index]) : "set \(index)"
        return TaskPart(source: sources[index], classes: sources[index].classes, name: name)
      })
  }

  private init(_ settings: TaskSettings, _ parts: [TaskPart]) throws {
    guard !parts.isEmpty else {
      throw SettingsError(
        .conflict, subject: "tasks", reason: "tasks has no task", remedy: "state one of perTask, classes and sets")
    }
    setting = settings.setting
    let sharesRows = setting == .domain
    let rowCount = sharesRows ? parts[0].classes.count : parts.reduce(0) { $0 + $1.classes.count }
    var first = 0
    var tasks: [TaskData] = []
    for part in parts {
      tasks.append(try part.task(rows: first..<first + part.classes.count, rowCount: rowCount, settings))
      if !sharesRows { first += part.classes.count }
    }
    self.tasks = tasks
    classCount = rowCount
    tasksOfRows = (0..<Int32(rowCount)).map { row in tasks.firstIndex { $0.rows.contains(row) } ?? 0 }
    joint = DataSplits(
      training: JoinedDataset(tasks.map(\.training), named: "\(tasks.count) tasks together"),
      validation: JoinedDataset(tasks.map(\.test), named: "the tests of \(tasks.count) tasks"))
    var hash = ContentHash(seed: 7)
    for byte in settings.setting.rawValue.utf8 { hash.add(UInt64(byte)) }
    for task in tasks {
      hash.add(UInt64(task.classes.count))
      for (label, row) in zip(task.classes, task.rows) {
        hash.add(UInt64(label))
        hash.add(UInt64(row))
      }
      for set in [task.training, task.heldOut, task.test] { hash.add(set?.contentHash ?? 0) }
    }
    contentHash = hash.value
  }
}
