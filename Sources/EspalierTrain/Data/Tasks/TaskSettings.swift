public import EspalierMethods
public import EspalierNN

/// How a run's data come as a sequence of tasks.
///
///     tasks: { setting: class, perTask: 2 }
public struct TaskSettings: CheckedSettings {
  /// What a model is told of a sample's task, and what the classes of two tasks have to do with each other.
  public typealias Setting = TaskSetting

  /// When the head has the rows of a task.
  public enum Heads: String, Codable, Sendable, CaseIterable { case fixed, grow }

  public enum Order: String, Codable, Sendable, CaseIterable { case given, keyed }

  public var setting = Setting.none
  public var perTask = 0
  public var classes: [[Int]] = []
  public var sets: [Choice] = []
  public var order = Order.given
  public var orderSeed: UInt64 = 1
  public var heads = Heads.fixed
  public var heldOut = "none"
  public var heldOutSeed: UInt64 = 1

  public init() {}

  public static let fields = [
    SettingField(
      "setting", unit: "none | class | task | domain",
      "none: one set; class: every task brings new classes and its name is not told; task: it is told, and a sample competes with the classes of its task alone; domain: every task has the same rows for other samples."
    ),
    SettingField(
      "perTask", unit: "classes/task, 0 = by lists or sets", "Cuts the classes of the data into tasks of so many."),
    SettingField(
      "classes", unit: "list of lists of classes",
      "The classes of each task, in the data set's own numbers; what no list names is left out."),
    SettingField(
      "sets", unit: "list of data sets", "A data set for each task, as data names one; data itself is not opened then."),
    SettingField(
      "order", unit: "given | keyed",
      "keyed: the classes before perTask cuts them, or the lists or sets, in an order drawn by orderSeed."),
    SettingField(
      "orderSeed", unit: "0 to 2^64-1",
      "Draws that order; apart from the run's seed, so that runs of several seeds have one sequence."),
    SettingField(
      "heads", unit: "fixed | grow",
      "fixed: the head has a row for every class from the start; grow: a task's rows are added when it begins."),
    SettingField(
      "heldOut", unit: "percent | none",
      "The part of each task's training samples, class by class, that is set apart for early stopping."),
    SettingField("heldOutSeed", unit: "0 to 2^64-1", "Draws that part."),
  ]

  public static let limits: [String: SettingLimit] = ["perTask": .notNegative, "classes": .notNegative]

  /// The part that is set apart, below 1; nil for a percentage that cannot be.
  package var heldOutFraction: Double? { Percentage.fraction(heldOut) }

  public func problems() -> [SettingProblem] {
    let stated = [("perTask", perTask > 0), ("classes", !classes.isEmpty), ("sets", !sets.isEmpty)].filter(\.1).map(\.0)
    if setting == .none {
      guard let key = stated.first else { return [] }
      return [
        SettingProblem(
          key, "tasks.\(key) says what the tasks are, but tasks.setting is none",
          remedy: "write tasks.setting: class, task or domain")
      ]
    }
    guard stated.count == 1 else {
      return [
        SettingProblem(
          stated.last ?? "setting",
          stated.isEmpty
            ? "tasks.setting is \(setting.rawValue), but nothing says what the tasks are"
            : "tasks.\(stated.joined(separator: " and tasks.")) each say what the tasks are",
          remedy: "state one of perTask, classes and sets")
      ]
    }
    guard heldOutFraction != nil else {
      return [
        SettingProblem(
          "heldOut", "tasks.heldOut must be a part from 0% to below 100%, got '\(heldOut)'", remedy: "write it as 5%")
      ]
    }
    return listProblems()
  }

  /// Of the lists alone; whether the data have such classes is seen when they are opened.
  private func listProblems() -> [SettingProblem] {
    var owner: [Int: Int] = [:]
    for (task, list) in classes.enumerated() {
      if list.isEmpty {
        return [SettingProblem("classes", "task \(task) of tasks.classes has no classes", remedy: "leave the list out")]
      }
      if setting == .domain, list.count != classes[0].count {
        return [
          SettingProblem(
            "classes",
            "tasks.setting is domain, but tasks.classes has lists of \(classes[0].count) and of \(list.count) classes (task \(task))",
            remedy: "give every task as many classes, or choose the setting class or task")
        ]
      }
      for label in list {
        if let first = owner.updateValue(task, forKey: label) {
          return [
            SettingProblem(
              "classes",
              first == task
                ? "task \(task) of tasks.classes names class \(label) twice"
                : "tasks \(first) and \(task) of tasks.classes both name class \(label)",
              remedy: "a class belongs to one task")
          ]
        }
      }
    }
    return []
  }
}
