package import EspalierMethods
import EspalierNN
package import EspalierState

/// The growth of a checkpoint without its run: what `espalier grow` does.
package struct DiskGrowth: Sendable {
  package let before: ModelStage
  package let after: ModelStage
  package let growth: StateGrowth
  package let optimizer: any Optimizer
  private let settings: RunSettings
  private let state: TrainingState

  /// - Parameter phase: as a schedule would say it.
  /// - Throws: `SettingsError`, `ModelError`, `GrowthError`, `DataError`.
  package init(_ reader: CheckpointReader, _ phase: GrowPhase, _ catalogue: Catalogue) throws {
    state = try TrainingState(from: reader)
    settings = try RunSettings(
      canonicalJSON: state.settings, name: "settings of \(reader.path)", choices: catalogue.choices)
    guard state.continual == nil else {
      throw GrowthError(
        .notCovered, reader.path,
        "it is of a run over tasks, whose methods keep slots and records that a file alone does not explain",
        remedy: "grow in the run: put a grow phase between two task phases, and resume")
    }
    let model = state.model(in: settings)
    let data = try DataDescription(of: settings.data, context: catalogue.context(model.choice))
    before = try ModelStage.first(
      model.choice, model.constants, settings, try catalogue.resolve(model.choice, for: data))
    let choice = phase.to.applied(to: model.choice)
    after = try before.grown(
      to: choice, try catalogue.resolve(choice, for: data),
      by: try catalogue.growthOperator(phase.operator, at: "operator"), phase, phase: Self.phaseNumber, settings)
    guard let plan = after.growth?.plan else { preconditionFailure("a grown stage has a plan") }
    growth = StateGrowth(plan, mode: phase.state, seed: settings.seed, number: state.growths + 1)
    optimizer = try catalogue.optimizer(settings.optimizer)
    try optimizer.check(after.blueprint)
  }

  /// Births that belong to no phase of a schedule: their rate is the schedule's own.
  private static let phaseNumber = -1

  /// The model as a recipe names it, for going on from the new checkpoint.
  package var recipe: GrownModel { GrownModel(after.choice, after.constants) }

  /// The training state for the new checkpoint: of a run that has always had the larger model, and remembers.
  package func state(of reader: CheckpointReader, _ world: CheckpointWorld) throws -> [UInt8] {
    guard let done = after.growth else { preconditionFailure("a grown stage has a plan") }
    var settings = settings
    settings.model = after.choice
    settings.constants = after.constants
    settings.schedule = settings.schedule.filter { if case .grow = $0 { false } else { true } }
    var state = state
    state.settings = try settings.canonicalJSON()
    state.grown = nil
    state.cursor.forgetGrowths()
    state.births = growth.births(after: state.births, updates: state.updates, phase: done.phase)
    var entry = LineageEntry(
      event: .grow, step: reader.step, ranks: world.ranks, stage: world.stage, transport: "file", kernels: "",
      changes: [
        "\(done.settings.operator.name) to \(SettingValue.mapping(done.settings.to.options).recipeText)",
        "\(before.blueprint.count) → \(after.blueprint.count) parameters", "\(done.plan.fidelity)",
      ])
    entry.from = LineageEntry.Origin(
      saveID: "\(reader.saveID)", ranks: reader.world.ranks, stage: reader.world.stage)
    state.lineage.append(entry)
    return try state.encoded()
  }
}

extension DataDescription {
  /// What a model must know of data. A text has 256 classes, whatever is in it, and is not opened.
  init(of choice: Choice, context: Int) throws {
    self =
      choice.name == "text"
      ? DataDescription(classes: 256) : DataDescription(try DataCatalogue.open(choice, context: context).training)
  }
}
