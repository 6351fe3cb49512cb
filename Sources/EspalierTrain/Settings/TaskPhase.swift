import EspalierMethods
public import EspalierNN

/// Learns tasks of the recipe's sequence, one after the other, each with steps of its own.
///
///     - task: { epochs: 5 }
public struct TaskPhase: CheckedSettings {
  public var tasks: [Int] = []
  public var together = false
  public var steps = 0
  public var epochs = 1
  public var rate = RateSettings(shape: .constant, warmup: 0)
  public var stop = StopSettings()

  public init() {}

  public init(tasks: [Int] = [], together: Bool = false, steps: Int = 0, epochs: Int = 1) {
    self.tasks = tasks
    self.together = together
    self.steps = steps
    self.epochs = epochs
  }

  public static let fields = [
    SettingField(
      "tasks", unit: "numbers from 0, empty = the rest",
      "Which tasks, in this order; those that no earlier phase named."),
    SettingField("together", unit: "true | false", "Learns them as one, from all their samples: joint training."),
    SettingField("steps", unit: "steps/task, 0 = by epochs", "The length of every task in steps."),
    SettingField("epochs", unit: "epochs/task", "The length of every task in passes over its samples."),
    SettingField("rate", "How the learning rate moves in every task."),
    SettingField("stop", "When a task ends before its steps are done."),
  ]

  public static let limits: [String: SettingLimit] = [
    "tasks": .notNegative, "steps": .notNegative, "epochs": .positive,
  ]

  public func problems() -> [SettingProblem] {
    stop.patience > 0 && rate.shape != .constant
      ? [
        SettingProblem(
          "stop",
          "a task phase with stop.patience has a learning rate of shape \(rate.shape.rawValue), which follows its steps",
          remedy: "write rate: { shape: constant }; the rate falls where the held-out loss does not")
      ] : []
  }

  /// What one of its tasks is to the schedule.
  var training: TrainPhase { TrainPhase(steps: steps, epochs: steps > 0 ? 0 : epochs, rate: rate) }
}

/// A phase of a recipe as it is run: a task phase is one for each of its tasks.
package struct ExpandedPhase: Sendable, Equatable {
  /// Where the recipe has it.
  package let place: Int
  package let phase: Phase
  /// The tasks whose samples it learns from; empty for phases of another kind.
  package let tasks: [Int]
  package var stop = StopSettings()
}

extension RunSettings {
  /// The phases of the schedule, those of tasks spelt out.
  /// - Parameter rows: the classes of each task, as rows of the head; empty without tasks.
  /// - Throws: `SettingsError` for tasks that there are not, that come twice, or that nothing learns.
  package func phases(rows: [[Int32]]) throws -> [ExpandedPhase] {
    var left = Array(rows.indices)
    var phases: [ExpandedPhase] = []
    var seen: Set<Int32> = []
    for (place, phase) in schedule.enumerated() {
      guard case .task(let task) = phase else {
        phases.append(ExpandedPhase(place: place, phase: phase, tasks: []))
        continue
      }
      let key = "schedule.\(place).task"
      guard !rows.isEmpty else {
        throw SettingsError(
          .conflict, subject: key, reason: "\(key) learns tasks, and the recipe has none",
          remedy: "say what they are, as tasks: { setting: class, perTask: 2 }")
      }
      let named = task.tasks.isEmpty ? left : task.tasks
      for (index, number) in named.enumerated() where !left.contains(number) || named[..<index].contains(number) {
        throw SettingsError(
          .conflict, subject: "\(key).tasks",
          reason: rows.indices.contains(number)
            ? "task \(number) is learned twice" : "there is no task \(number): they are 0 to \(rows.count - 1)",
          remedy: "name each task once")
      }
      guard !named.isEmpty else {
        throw SettingsError(
          .conflict, subject: key, reason: "no task is left for \(key)", remedy: "leave the phase out")
      }
      left.removeAll { named.contains($0) }
      for tasks in task.together ? [named] : named.map({ [$0] }) {
        let before = seen.count
        seen.formUnion(tasks.flatMap { rows[$0] })
        guard self.tasks.heads == .fixed || seen == Set(0..<Int32(seen.count)) else {
          throw SettingsError(
            .conflict, subject: "tasks.heads",
            reason:
              "a head that grows has the rows of the sequence's first tasks first, and the schedule learns \(named) before them",
            remedy: "learn the tasks in the order of the sequence, change that order, or write heads: fixed")
        }
        if self.tasks.heads == .grow, before > 0, seen.count > before {
          phases.append(ExpandedPhase(place: place, phase: .grow(Self.newHeads(seen.count)), tasks: []))
        }
        phases.append(
          ExpandedPhase(place: place, phase: .train(task.training), tasks: tasks, stop: task.stop))
      }
    }
    if !rows.isEmpty, left.count == rows.count {
      throw SettingsError(
        .conflict, subject: "schedule", reason: "the recipe has tasks, and no phase learns them",
        remedy: "write - task: { epochs: 5 }")
    }
    return phases
  }

  /// The growth that gives the head the rows of a task.
  private static func newHeads(_ rows: Int) -> GrowPhase {
    GrowPhase(Choice("duplicate"), to: ModelChange(["classes": .integer(rows)]), rate: .keep(NoOptions()))
  }
}
