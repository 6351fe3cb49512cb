package import EspalierComm
package import EspalierMethods
import EspalierNN
package import EspalierState
import EspalierTensor

extension Catalogue {
  /// The methods that a recipe names, as they begin.
  /// - Throws: `SettingsError` for an unknown name or methods that do not go together, `MethodError` for options without meaning.
  package func methods(_ settings: RunSettings) throws -> [any ContinualMethod] {
    let methods = try settings.methods.enumerated().map { index, choice -> any ContinualMethod in
      guard let type = continual.first(where: { $0.name == choice.name }) else {
        throw SettingsError(
          .unknownChoice, subject: "methods.\(index)", reason: "unknown method '\(choice.name)'",
          remedy: NearestName.hint(choice.name, in: continual.map { $0.name }))
      }
      func make<M: ContinualMethod>(_ type: M.Type) throws -> any ContinualMethod {
        try M(choice.settings(as: M.Options.self))
      }
      return try make(type)
    }
    guard !methods.isEmpty else { return [] }
    guard settings.tasks.setting != .none else {
      throw SettingsError(
        .conflict, subject: "methods", reason: "'\(methods[0].name)' learns tasks, and the recipe has none",
        remedy: "say what they are, as tasks: { setting: class, perTask: 2 }")
    }
    let names = methods.map(\.name)
    for (index, method) in methods.enumerated() {
      guard !names[..<index].contains(method.name) else {
        throw SettingsError(
          .conflict, subject: "methods.\(index)", reason: "'\(method.name)' is named twice", remedy: "name it once")
      }
      do { try method.check(settings.tasks.setting, with: names) } catch let error as MethodError {
        throw SettingsError(
          .conflict, subject: "methods.\(index).\(error.subject)",
          reason: "methods: '\(error.subject)': \(error.reason)",
          remedy: error.remedy)
      }
      for slot in method.slots where !slot.name.hasPrefix(method.name + ".") {
        throw SettingsError(
          .conflict, subject: "methods.\(index)",
          reason: "the slot '\(slot.name)' does not begin with '\(method.name).'",
          remedy: "call it '\(method.name).\(slot.name)'")
      }
    }
    let replaying = methods.filter { $0.replay != nil }.map(\.name)
    guard replaying.count <= 1 else {
      throw SettingsError(
        .conflict, subject: "methods", reason: "\(replaying.joined(separator: " and ")) each keep records of their own",
        remedy: "keep one of them")
    }
    let measured = methods.filter { $0.measured != nil }.map(\.name)
    guard measured.count <= 1 else {
      throw SettingsError(
        .conflict, subject: "methods",
        reason: "\(measured.joined(separator: " and ")) each have weights to be measured",
        remedy: "keep one of them")
    }
    return methods
  }
}

extension ContinualMethod {
  /// The name in recipes.
  package var name: String { Self.name }
}

extension ResolvedRun {
  /// What methods keep for every trained weight.
  package var methodSlots: [SlotSpec] {
    methods.flatMap(\.slots) + (stopsEarly ? [SlotSpec(Self.bestSlot, growth: .likeValue)] : [])
  }
  /// The best weights of a task that may end early.
  package static let bestSlot = "stop.best"
  private var stopsEarly: Bool { schedule.phases.contains { $0.stop.patience > 0 } }
  /// What is kept of the stream; nil for nothing.
  package var replay: Replay? { methods.lazy.compactMap(\.replay).first }

  /// Refuses what does not go with the data.
  /// - Throws: `SettingsError`.
  static func check(
    _ methods: [any ContinualMethod], _ settings: RunSettings, _ sequence: TaskSequence?, _ stages: [ModelStage]
  ) throws {
    func under(_ subject: String, _ check: () throws -> Void) throws {
      do { try check() } catch let error as MethodError {
        throw SettingsError(
          .conflict, subject: subject, reason: "methods: '\(error.subject)': \(error.reason)", remedy: error.remedy)
      }
    }
    for case .task(let phase) in settings.schedule where phase.stop.patience > 0 {
      guard sequence?.tasks.allSatisfy({ $0.heldOut != nil }) ?? true else {
        throw SettingsError(
          .conflict, subject: "tasks.heldOut",
          reason: "a task phase has stop.patience, and no samples are held out to stop by",
          remedy: "write tasks.heldOut: 5%")
      }
    }
    for method in methods { try under("methods.\(method.name)") { try method.check(stages[0].blueprint) } }
    // Some task, to ask which methods widen layers.
    let later = TaskInfo(number: 1, count: 2, setting: .task, classes: [], earlierTasks: [[]], rowCount: 0)
    if let method = methods.first(where: { $0.widensAfter(later) != nil }), stages[0].model.widened(by: [:]) == nil {
      throw SettingsError(
        .conflict, subject: "methods.\(method.name)",
        reason: "'\(method.name)' widens layers, and those of the model '\(settings.model.name)' cannot be",
        remedy: "use mlp or convolutionalNetwork, or dualgpm")
    }
    let firstTask = settings.schedule.firstIndex { if case .task = $0 { true } else { false } } ?? 0
    for stage in stages {
      // Phases of the recipe expand to at least as many, and growths of heads among them give no layer other inputs.
      guard let growth = stage.growth, growth.phase > firstTask else { continue }
      for method in methods {
        try under("methods.\(method.name)") {
          try method.check(InputGrowth(growth.plan), of: growth.plan.old)
        }
      }
    }
    guard let sequence, let replay = methods.lazy.compactMap(\.replay).first,
      let name = methods.first(where: { $0.replay != nil })?.name
    else { return }
    let samples = sequence.tasks.reduce(0) { $0 + $1.training.sampleCount }
    guard replay.capacity <= samples else {
      throw SettingsError(
        .conflict, subject: "methods.\(name).buffer",
        reason: "a buffer of \(replay.capacity) records is more than the \(samples) samples of all tasks",
        remedy: "choose at most \(samples), or the method joint")
    }
    guard case .features = sequence.joint.training.inputs else {
      throw SettingsError(
        .conflict, subject: "methods.\(name)", reason: "records hold dense samples, and the data are tokens",
        remedy: "use images, or a method without records")
    }
  }
}

extension ResolvedRun {
  /// Empty records on every rank; nil without replay.
  package func makeRecords(_ communicator: Communicator) -> ReplayMemory? {
    guard let replay, let sequence, case .features(let shape) = sequence.joint.training.inputs else { return nil }
    return ReplayMemory(
      capacity: replay.capacity, features: shape.count, columns: replay.keepsLogits ? sequence.classCount : 0,
      communicator)
  }
}
