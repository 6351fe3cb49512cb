/// What a sample says of its task when it is tested.
public enum TaskSetting: String, Codable, Sendable, CaseIterable {
  /// No tasks: one data set, learned as a whole.
  case none
  /// Class-incremental: every task brings classes, and a test names none of them: all rows of the head compete.
  case `class`
  /// Task-incremental: a test says which task it is of, and only the rows of its classes compete.
  case task
  /// Domain-incremental: all tasks have the same classes, of other samples.
  case domain
}

/// What a method may know of the tasks.
public struct TaskInfo: Hashable, Sendable {
  /// From 0, in the order of learning.
  public let number: Int
  /// How many there are.
  public let count: Int
  /// What a test knows.
  public let setting: TaskSetting
  /// The rows of the head that the task's classes have.
  public let classes: [Int32]
  /// The rows of each task before it.
  public let earlierTasks: [[Int32]]
  /// The rows of the head, with those of tasks that are still to come if it has them already.
  public let rowCount: Int
  /// The number of the step in the task, from 0.
  public var step: Int
  /// The pass over the task's samples, from 0.
  public var epoch: Int

  /// The rows of all tasks before it.
  public var earlierClasses: [Int32] { earlierTasks.flatMap { $0 } }

  /// Information of its parts.
  public init(
    number: Int, count: Int, setting: TaskSetting, classes: [Int32], earlierTasks: [[Int32]], rowCount: Int,
    step: Int = 0, epoch: Int = 0
  ) {
    self.number = number
    self.count = count
    self.setting = setting
    self.classes = classes
    self.earlierTasks = earlierTasks
    self.rowCount = rowCount
    self.step = step
    self.epoch = epoch
  }
}
