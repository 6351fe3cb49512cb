public import EspalierNN

/// LODE: the cross-entropy of a new sample is two losses, and the one that hurts old classes gets a small weight of its own.
///
/// CE(z, y) = inter + intra with inter = lse(z) − lse(z over new classes) and intra = lse(z over new classes) − z_y. From the second
/// task on, the stream's samples learn by w · mean inter + C · mean intra, with w = ρ / (finished tasks). It changes nothing else, so
/// it stands beside a method that replays: er (with `average: halves`), derpp, esmer.
/// - Liang and Li 2023, NeurIPS: Loss decoupling for task-agnostic continual learning.
public struct LossDecoupling: ContinualMethod {
  /// Which rows are new.
  public enum NewClasses: String, Codable, Sendable, CaseIterable {
    /// Those of the task and of tasks still to come, as in the authors' code.
    case unseen
    /// Those of the task, as in the paper.
    case task
  }

  /// How ρ becomes the weight of inter.
  public enum Weighting: String, Codable, Sendable, CaseIterable {
    /// ρ / finished tasks, as in the authors' code.
    case tasks
    /// ρ · new classes / old classes, as in the paper; the same where tasks have one size.
    case classes
  }

  /// What a recipe may set; `fields` says what each option means.
  public struct Options: Settings {
    public var rho = 0.1
    public var intra = 1.0
    public var newClasses = NewClasses.unseen
    public var weighting = Weighting.tasks
    public init() {}

    public static let fields: [SettingField] = [
      SettingField(
        "rho", unit: "factor", "Of whether a sample is of a new class, ρ; 1 and one old task is the cross-entropy."),
      SettingField("intra", unit: "factor", "Of which new class it is, C."),
      SettingField(
        "newClasses", unit: "unseen | task", "Whether rows of tasks to come are new (code), or only the task's (paper)."
      ),
      SettingField(
        "weighting", unit: "tasks | classes",
        "ρ is divided by finished tasks (code), or times new / old classes (paper)."),
    ]
  }

  public static let name = "lode"
  public static let summary = "Loss decoupling beside a replay method (Liang and Li 2023, NeurIPS)."
  let options: Options

  /// - Throws: `MethodError` for a negative factor.
  public init(_ options: Options) throws {
    try require(factor: options.rho, "lode.rho")
    try require(factor: options.intra, "lode.intra")
    self.options = options
  }

  public func check(_ setting: TaskSetting, with others: [String]) throws {
    guard setting == .class else {
      throw MethodError(
        Self.name,
        "it tells old classes from new ones, and with 'tasks.setting: \(setting.rawValue)' they never compete",
        remedy: "use it with 'tasks: { setting: class }'")
    }
    guard !Set(others).isDisjoint(with: [ExperienceReplay.name, DarkExperienceReplay.name, StableReplay.name]) else {
      throw MethodError(
        Self.name, "it changes the loss of new samples and keeps nothing of old ones",
        remedy: "name er, derpp or esmer beside it")
    }
  }

  public func shape(_ loss: inout StepLoss) {
    let task = loss.task
    guard task.number > 0 else { return }
    let old = Set(task.earlierClasses)
    let new = options.newClasses == .task ? task.classes : (0..<Int32(task.rowCount)).filter { !old.contains($0) }
    let share =
      options.weighting == .tasks ? 1 / Double(task.number) : Double(task.classes.count) / Double(old.count)
    loss.stream.target = .decoupled(
      old: task.earlierClasses, new: new, inter: options.rho * share, intra: options.intra)
  }
}
