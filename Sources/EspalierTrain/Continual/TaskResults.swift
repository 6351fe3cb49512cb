/// What a run over a sequence of tasks has measured: the `tasks.json` of its directory, written anew after every task.
package struct TaskResults: Equatable, Sendable {
  /// One task, in the order of learning.
  package struct Task: Hashable, Codable, Sendable {
    package var name: String
    /// In the numbers of the data set.
    package var classes: [Int]
    /// What learning it took; absent until it is learned.
    package var steps: Int?
    package var seconds: Double?

    package init(name: String, classes: [Int], steps: Int? = nil, seconds: Double? = nil) {
      self.name = name
      self.classes = classes
      self.steps = steps
      self.seconds = seconds
    }
  }

  /// A measurement within a task.
  package struct CurvePoint: Hashable, Codable, Sendable {
    /// Steps of the run done by then.
    package let step: Int
    /// The task that was being learned, from 0.
    package let learning: Int
    /// The task that was measured.
    package let task: Int
    package let accuracy: Accuracy

    package init(step: Int, learning: Int, task: Int, accuracy: Accuracy) {
      self.step = step
      self.learning = learning
      self.task = task
      self.accuracy = accuracy
    }
  }

  /// All that was measured while the same rows competed.
  package struct Measured: Hashable, Sendable {
    package var accuracy: AccuracyMatrix
    /// Mean losses, nats a sample; without entries where none were given.
    package var losses: TaskMatrix<Double>
    /// In the order in which they were measured.
    package var curve: [CurvePoint]

    package init(taskCount: Int) {
      accuracy = AccuracyMatrix(taskCount: taskCount)
      losses = TaskMatrix(taskCount: taskCount)
      curve = []
    }
  }

  /// `class`, `task` or `domain`, as a recipe says it.
  package let setting: String
  package private(set) var tasks: [Task]
  /// Names of the methods that a recipe composes, as `er`.
  package let methods: [String]
  package let seed: UInt64
  /// The resolved recipe, which tells whether two runs differ in the seed alone; `.null` where it is not known.
  package let settings: SettingValue
  package private(set) var views: [TaskView: Measured] = [:]

  /// Results of a run that begins.
  /// - Precondition: there is a task.
  package init(
    setting: String, tasks: [Task], methods: [String], seed: UInt64, settings: SettingValue = .null
  ) {
    precondition(!tasks.isEmpty, "a run has at least one task")
    self.setting = setting
    self.tasks = tasks
    self.methods = methods
    self.seed = seed
    self.settings = settings
  }

  // MARK: What an engine tells

  /// Enters a measurement between tasks.
  /// - Parameters:
  ///   - learned: tasks learned by then; 0 before any.
  ///   - task: from 0.
  ///   - loss: the mean over the samples, in nats.
  package mutating func record(
    _ view: TaskView, learned: Int, task: Int, _ accuracy: Accuracy, loss: Double? = nil
  ) {
    views[view, default: Measured(taskCount: tasks.count)].accuracy[learned: learned, task: task] = accuracy
    if let loss { views[view]?.losses[learned: learned, task: task] = loss }
  }

  /// Enters a measurement within a task.
  package mutating func record(_ view: TaskView, _ point: CurvePoint) {
    precondition(tasks.indices.contains(point.task) && tasks.indices.contains(point.learning), "\(point) has no task")
    views[view, default: Measured(taskCount: tasks.count)].curve.append(point)
  }

  /// Enters what learning a task took.
  package mutating func finish(task: Int, steps: Int, seconds: Double) {
    tasks[task].steps = steps
    tasks[task].seconds = seconds
  }

  /// What was known when a run had learned so many tasks and done so many steps: where a resumed run goes on.
  package func upTo(learned: Int, step: Int) -> TaskResults {
    var result = self
    for task in tasks.indices where task >= learned {
      (result.tasks[task].steps, result.tasks[task].seconds) = (nil, nil)
    }
    result.views = views.compactMapValues { measured in
      var kept = measured
      kept.accuracy = measured.accuracy.upTo(learned: learned)
      kept.losses = measured.losses.upTo(learned: learned)
      kept.curve = measured.curve.filter { $0.step <= step }
      return kept.accuracy.isEmpty && kept.curve.isEmpty ? nil : kept
    }
    return result
  }

  // MARK: What it says

  /// Tasks learned by the latest moment that was measured.
  package var learned: Int { views.values.map(\.accuracy.learned).max() ?? 0 }

  /// "class-incremental, 5 tasks, er + lode"
  package var summary: String {
    let kind =
      ["class": "class-incremental", "task": "task-incremental", "domain": "domain-incremental"][setting] ?? setting
    let parts = [kind, "\(tasks.count) task\(tasks.count == 1 ? "" : "s")", methods.joined(separator: " + ")]
    return parts.filter { !$0.isEmpty }.joined(separator: ", ")
  }
}

extension TaskResults: Codable {
  private enum Key: String, CodingKey { case format, version, setting, tasks, methods, seed, settings, views }

  /// What the file calls itself, so that no other JSON is taken for it.
  package static let format = "espalier tasks"
  package static let version = 1

  package init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: Key.self)
    let tasks = try container.decode([Task].self, forKey: .tasks)
    guard !tasks.isEmpty else {
      throw DecodingError.dataCorruptedError(forKey: .tasks, in: container, debugDescription: "there is no task")
    }
    self.init(
      setting: try container.decode(String.self, forKey: .setting), tasks: tasks,
      methods: try container.decode([String].self, forKey: .methods),
      seed: try container.decode(UInt64.self, forKey: .seed),
      settings: try container.decodeIfPresent(SettingValue.self, forKey: .settings) ?? .null)
    views = try container.decode([TaskView: Measured].self, forKey: .views)
    for (view, measured) in views.sorted(by: { $0.key < $1.key }) {
      func refuse(_ reason: String) -> DecodingError {
        DecodingError.dataCorruptedError(
          forKey: .views, in: container, debugDescription: "view '\(view.rawValue)': \(reason)")
      }
      for count in [measured.accuracy.taskCount, measured.losses.taskCount] where count != tasks.count {
        throw refuse("a matrix of \(count) tasks in a run of \(tasks.count)")
      }
      for point in measured.curve where !(tasks.indices.contains(point.task) && tasks.indices.contains(point.learning))
      {
        throw refuse("step \(point.step) measures task \(point.task) in task \(point.learning) of \(tasks.count)")
      }
    }
  }

  package func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: Key.self)
    try container.encode(Self.format, forKey: .format)
    try container.encode(Self.version, forKey: .version)
    try container.encode(setting, forKey: .setting)
    try container.encode(tasks, forKey: .tasks)
    try container.encode(methods, forKey: .methods)
    try container.encode(seed, forKey: .seed)
    try container.encode(settings, forKey: .settings)
    try container.encode(views, forKey: .views)
  }
}

extension TaskResults.Measured: Codable {
  private enum Key: String, CodingKey { case accuracy, losses, curve }

  package init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: Key.self)
    accuracy = try container.decode(AccuracyMatrix.self, forKey: .accuracy)
    losses =
      try container.decodeIfPresent(TaskMatrix<Double>.self, forKey: .losses)
      ?? TaskMatrix(taskCount: accuracy.taskCount)
    curve = try container.decodeIfPresent([TaskResults.CurvePoint].self, forKey: .curve) ?? []
  }

  package func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: Key.self)
    try container.encode(accuracy, forKey: .accuracy)
    if !losses.isEmpty { try container.encode(losses, forKey: .losses) }
    if !curve.isEmpty { try container.encode(curve, forKey: .curve) }
  }
}
