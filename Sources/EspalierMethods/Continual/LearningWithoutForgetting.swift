public import EspalierNN
public import EspalierState

/// LwF: on the new task's samples, old rows of the head are held to what the model said before the task.
///
/// Adds λ T² KL(teacher ‖ model) over old rows, softened by T: over each old task's rows by itself in the task-incremental setting,
/// over all old rows together else. The teacher is a slot, run by the engine.
/// - Li and Hoiem 2017, arXiv:1606.09282; Hinton, Vinyals, Dean 2015, arXiv:1503.02531 (T²).
public struct LearningWithoutForgetting: ContinualMethod {
  /// What a recipe may set; `fields` says what each option means.
  public struct Options: Settings {
    public var strength = 0.3
    public var temperature = 2.0
    public init() {}

    public static let fields: [SettingField] = [
      SettingField("strength", unit: "factor", "Of the divergence from the teacher, λ."),
      SettingField("temperature", unit: "", "What logits are divided by before they are compared, T."),
    ]
  }

  public static let name = "lwf"
  public static let summary =
    "Learning without forgetting: distils the model before the task (Li and Hoiem 2017, arXiv:1606.09282)."
  let options: Options
  static let teacher = "lwf.teacher"
  /// Whether there is a teacher.
  public struct Memory: Codable, Sendable { var hasTeacher = false }
  public var memory = Memory()

  /// - Throws: `MethodError` for a negative strength or a temperature that is not positive.
  public init(_ options: Options) throws {
    try require(factor: options.strength, "lwf.strength")
    guard options.temperature > 0, options.temperature.isFinite else {
      throw MethodError(
        "lwf.temperature", "\(options.temperature) is not positive", remedy: "write 2, or another number above 0")
    }
    self.options = options
  }

  public func check(_ setting: TaskSetting, with others: [String]) throws {
    guard setting != .domain else {
      throw MethodError(
        Self.name, "it holds old rows of the head, and in the domain setting tasks share all rows",
        remedy: "use it with 'tasks: { setting: class }' or task")
    }
  }

  public var slots: [SlotSpec] { [SlotSpec(Self.teacher, growth: .likeValue)] }
  public var teachers: [Teacher] { memory.hasTeacher ? [Teacher(Self.teacher, parts: [.stream])] : [] }

  public mutating func taskBegan(_ session: any MethodSession) throws {
    guard session.task.number > 0 else { return }
    session.copy(.values, to: .slot(Self.teacher))
    memory.hasTeacher = true
    try session.refresh(teacher: Self.teacher)
  }

  public func shape(_ loss: inout StepLoss) {
    guard let logits = loss.teachers[Self.teacher]?[.stream] else { return }
    let task = loss.task
    let groups = task.setting == .task ? task.earlierTasks : [task.earlierClasses]
    for rows in groups {
      loss.stream.distillations.append(
        .init(
          teacher: logits, columns: task.rowCount, rows: rows, temperature: options.temperature,
          factor: options.strength))
    }
  }
}
