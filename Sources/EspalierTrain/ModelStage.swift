import EspalierMethods
package import EspalierNN
package import EspalierState
import EspalierTensor

/// The model of a run between two growths.
package struct ModelStage: Sendable {
  /// How a stage comes out of the one before.
  package struct Growth: Sendable {
    /// The phase of the schedule.
    package let phase: Int
    package let settings: GrowPhase
    package let plan: GrowthPlan
  }

  /// As the recipe would name it.
  package let choice: Choice
  package let model: any ResolvedModel
  /// What the model is, without memory, with the constants that growths gave it.
  package let blueprint: Blueprint
  /// What growths have made of the model's constants.
  package let constants: ModelConstants
  /// nil for the first stage.
  package let growth: Growth?

  /// A model of its own for one rank, without memory yet.
  package func build(_ settings: RunSettings) -> Built<any Model> {
    Scope.build(freezing: settings.isFrozen, constants: constants.values) { model.make($0) }
  }

  /// Floating-point operations of the products of one sample, forward and backward.
  package func operationsPerSample(recompute: Bool) -> Int {
    model.operationsPerSample(blueprint).total(recompute: recompute)
  }

  /// The models of a schedule, from the first to the last.
  /// - Throws: `ModelError` for a model that does not go together or with the data, `GrowthError` where an operator does not lead
  ///   from one to the next, `SettingsError` for names that nothing has.
  static func all(
    _ settings: RunSettings, catalogue: Catalogue, data whole: DataDescription, phases: [ExpandedPhase],
    rows: [[Int32]]
  ) throws -> [ModelStage] {
    var data = whole
    if settings.tasks.heads == .grow, let tasks = phases.first(where: { !$0.tasks.isEmpty })?.tasks {
      data.classes = Set(tasks.flatMap { rows[$0] }).count
    }
    var stages = [
      try first(settings.model, settings.constants, settings, try catalogue.resolve(settings.model, for: data))
    ]
    for (index, expanded) in phases.enumerated() {
      guard case .grow(let grow) = expanded.phase else { continue }
      let key = "schedule.\(expanded.place).grow"
      let choice = grow.to.applied(to: stages[stages.count - 1].choice)
      if case .integer(let classes)? = grow.to.options["classes"] { data.classes = min(classes, whole.classes) }
      do {
        let model = try catalogue.resolve(choice, for: data)
        let growth = try catalogue.growthOperator(grow.operator, at: "\(key).operator")
        stages.append(try stages[stages.count - 1].grown(to: choice, model, by: growth, grow, phase: index, settings))
      } catch let error as ModelError {
        throw ModelError("\(key).to.\(error.subject)", error.reason, remedy: error.remedy)
      } catch let error as GrowthError {
        throw error.under(key)
      }
    }
    return stages
  }

  /// The stage without growths.
  package static func first(
    _ choice: Choice, _ constants: ModelConstants, _ settings: RunSettings, _ model: any ResolvedModel
  ) throws -> ModelStage {
    let blueprint = Scope.build(freezing: settings.isFrozen, constants: constants.values) { model.make($0) }.blueprint
    try constants.check(of: blueprint)
    return ModelStage(choice: choice, model: model, blueprint: blueprint, constants: constants, growth: nil)
  }

  /// The stage after one growth.
  package func grown(
    to choice: Choice, _ model: any ResolvedModel, by growth: any GrowthOperator, _ grow: GrowPhase, phase: Int,
    _ settings: RunSettings
  ) throws -> ModelStage {
    let plain = Scope.build(freezing: settings.isFrozen) { model.make($0) }.blueprint
    let plan = try growth.plan(from: blueprint, to: plain)
    return ModelStage(
      choice: choice, model: model, blueprint: plan.new, constants: ModelConstants(of: plan.new, beside: plain),
      growth: Growth(phase: phase, settings: grow, plan: plan))
  }
}

extension ResolvedRun {
  /// The stage after so many growths.
  package func stage(after growths: Int) -> ModelStage { stages[min(growths, stages.count - 1)] }

  /// The stage that a phase of the schedule trains, or grows into.
  package func stage(inPhase phase: Int) -> ModelStage {
    stages.last { $0.growth.map { $0.phase <= phase } ?? true } ?? stages[0]
  }
}

extension Catalogue {
  /// - Throws: `SettingsError` for an unknown name, `GrowthError` for options without meaning.
  package func growthOperator(_ choice: Choice, at key: String) throws -> any GrowthOperator {
    guard let type = growth.first(where: { $0.name == choice.name }) else {
      throw SettingsError(
        .unknownChoice, subject: "\(key).\(choice.name)", reason: "unknown growth operator '\(choice.name)'",
        remedy: NearestName.hint(choice.name, in: growth.map { $0.name }))
    }
    func make<G: GrowthOperator>(_ type: G.Type) throws -> any GrowthOperator {
      try G(choice.settings(as: G.Options.self))
    }
    return try make(type)
  }
}
