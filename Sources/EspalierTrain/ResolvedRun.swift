package import EspalierMethods
package import EspalierNN
package import EspalierState
package import EspalierTensor

/// A recipe with all that it names opened and checked: the same on every rank, and all that a run needs to begin.
package struct ResolvedRun: Sendable {
  package let settings: RunSettings
  /// All that is learned from and measured: of tasks, all of them together.
  package let data: DataSplits
  /// nil where the recipe has no tasks.
  package let sequence: TaskSequence?
  /// As they begin.
  package let methods: [any ContinualMethod]
  package let exposure: Exposure
  package let optimizer: any Optimizer
  package let model: any ResolvedModel
  /// What the model is, without memory.
  package let blueprint: Blueprint
  /// The model before the first growth and after each.
  package let stages: [ModelStage]
  package let schedule: Schedule
  package let order: EpochOrder
  /// What task phases learn from, by their tasks.
  let taskSources: [[Int]: TrainingSource]

  package var lanes: Int { settings.batch.resolvedLanes }
  /// As asked for, except where updates have owners (Newton–Schulz): every rank would make all of them at stage 0, in as much time as
  /// one rank, and so they are shared out as at stage 1, with which stage 0 has the traffic in common.
  package let stage: ZeroStage
  /// Heads whose logits are clipped, before the first growth.
  package var clippedHeads: Int { LogitClipping(stages[0].build(settings).clips).headCount }

  /// "1", or "0, updates shared out as at 1"
  package var stageText: String {
    stage.rawValue == settings.stage
      ? "\(settings.stage)" : "\(settings.stage), updates shared out as at \(stage.rawValue)"
  }

  /// Opens the data, checks the model against it, and lays out the schedule.
  /// - Throws: `SettingsError`, `DataError`, `ModelError`, `OptimizerError` or `RunError`, each a sentence with a remedy.
  package init(_ settings: RunSettings, catalogue: Catalogue = .standard) throws {
    self.settings = settings
    optimizer = try catalogue.optimizer(settings.optimizer)
    methods = try catalogue.methods(settings)
    let context = try catalogue.context(settings.model)
    let sequence = try TaskSequence.open(settings.tasks, data: settings.data, context: context)
    self.sequence = sequence
    let exposure: Exposure = methods.contains { $0.exposure == .seen } ? .seen : .task
    self.exposure = exposure
    data = try sequence?.joint ?? DataCatalogue.open(settings.data, context: context)
    let training = data.training, rows = sequence?.tasks.map(\.rows) ?? []
    let phases = try settings.phases(rows: rows)
    stages = try ModelStage.all(
      settings, catalogue: catalogue, data: DataDescription(training), phases: phases, rows: rows)
    model = stages[0].model
    blueprint = stages[0].blueprint
    try settings.checkFreeze(of: blueprint)
    try optimizer.check(stages[stages.count - 1].blueprint)
    try Self.check(methods, settings, sequence, stages)
    let optimizer = optimizer, methods = methods, asked = ZeroStage(rawValue: settings.stage) ?? .slots
    let haveOwners = stages.contains {
      Self.ownerCosts($0.blueprint, optimizer, methods, asked).contains { $0 > 0 }
    }
    stage = haveOwners && !asked.shardsSlots ? .slots : asked
    order = EpochOrder(sampleCount: training.sampleCount, seed: settings.seed)
    let batches = order.batchesPerEpoch(samples: settings.batch.samples, last: settings.batch.last)
    guard batches > 0 else {
      throw RunError(
        .batchLargerThanData, subject: "batch.samples",
        reason:
          "\(training.description) has \(training.sampleCount) samples, fewer than one batch of \(settings.batch.samples)",
        remedy: "choose a smaller batch, a shorter context, or 'batch: { last: keep }'")
    }
    let sources = Self.sources(of: phases.map(\.tasks), sequence, exposure, seed: settings.seed)
    taskSources = sources
    schedule = try Schedule(settings, rows: rows) { tasks in
      sources[tasks].map { Self.stepsPerEpoch($0, settings.batch) } ?? batches
    }
  }

  /// By parameter: what decides the owner of one that optimizer or methods want whole, and 0 for one that may be cut.
  package func ownerCosts(_ blueprint: Blueprint) -> [Int] {
    Self.ownerCosts(blueprint, optimizer, methods, stage)
  }

  private static func ownerCosts(
    _ blueprint: Blueprint, _ optimizer: any Optimizer, _ methods: [any ContinualMethod], _ stage: ZeroStage
  ) -> [Int] {
    LayoutPlanner.costs(blueprint, for: optimizer, stage: stage) { spec in
      methods.contains { $0.granularity(of: spec) == .matrix }
    }
  }

  /// A hash of all samples and how they come.
  package var dataHash: UInt64 { sequence?.contentHash ?? data.contentHash }

  /// An empty batch of the training set's shape, for a rank without a lane.
  package func emptyBatch() throws -> Batch { try data.training.batch(of: []) }
}

/// A model type with its checked configuration.
package protocol ResolvedModel: Sendable {
  func make(_ scope: Scope) -> any Model
  /// With layers that read more; nil for a model that cannot.
  func widened(by added: [String: [Int]]) -> (any ResolvedModel)?
  /// What the matrix products of one sample take, forward and backward.
  func operationsPerSample(_ blueprint: Blueprint) -> ProductOperations
  /// The configuration with every default and everything that the data decided.
  var configuration: any Settings { get }
}

private struct Resolved<M: Model>: ResolvedModel {
  let checked: M.Configuration
  func make(_ scope: Scope) -> any Model { M(scope, checked) }
  func widened(by added: [String: [Int]]) -> (any ResolvedModel)? { M.widened(checked, by: added).map(Resolved.init) }
  func operationsPerSample(_ blueprint: Blueprint) -> ProductOperations { M.operationsPerSample(checked, blueprint) }
  var configuration: any Settings { checked }
}

extension DataDescription {
  init(_ data: any Dataset) {
    switch data.inputs {
    case .tokens(_, _): self.init(classes: data.classCount)
    case .features(let shape): self.init(classes: data.classCount, features: shape.count, shape: shape)
    }
  }
}

extension Catalogue {
  /// What may stand at each key of a recipe that names one of several things.
  package var choices: ChoiceTables {
    [
      "model": Dictionary(uniqueKeysWithValues: models.map { ($0.name, Self.configuration(of: $0)) }),
      "optimizer": Dictionary(uniqueKeysWithValues: optimizers.map { ($0.name, Self.options(of: $0)) }),
      "data": DataCatalogue.standard,
      "sets": DataCatalogue.standard,
      "methods": Dictionary(uniqueKeysWithValues: continual.map { ($0.name, Self.options(of: $0)) }),
      "operator": Dictionary(uniqueKeysWithValues: growth.map { ($0.name, Self.options(of: $0)) }),
    ]
  }

  private static func configuration<M: Model>(of type: M.Type) -> any Settings.Type { M.Configuration.self }
  private static func options<O: Optimizer>(of type: O.Type) -> any Settings.Type { O.Options.self }
  private static func options<M: ContinualMethod>(of type: M.Type) -> any Settings.Type { M.Options.self }
  private static func options<G: GrowthOperator>(of type: G.Type) -> any Settings.Type { G.Options.self }

  fileprivate func model(_ name: String) throws -> any Model.Type {
    guard let type = models.first(where: { $0.name == name }) else {
      throw SettingsError(
        .unknownChoice, subject: "model.\(name)", reason: "unknown model '\(name)'",
        remedy: NearestName.hint(name, in: models.map { $0.name }))
    }
    return type
  }

  package func optimizer(_ choice: Choice) throws -> any Optimizer {
    guard let type = optimizers.first(where: { $0.name == choice.name }) else {
      throw SettingsError(
        .unknownChoice, subject: "optimizer.\(choice.name)", reason: "unknown optimizer '\(choice.name)'",
        remedy: NearestName.hint(choice.name, in: optimizers.map { $0.name }))
    }
    func make<O: Optimizer>(_ type: O.Type) throws -> any Optimizer { try O(choice.settings(as: O.Options.self)) }
    return try make(type)
  }

  /// The tokens that a model reads at once; 0 for one that has no such option.
  package func context(_ choice: Choice) throws -> Int {
    func read<M: Model>(_ type: M.Type) throws -> Int {
      let options = try SettingValue(encoding: choice.settings(as: M.Configuration.self))
      guard case .mapping(let entries) = options, case .integer(let context)? = entries["context"] else { return 0 }
      return context
    }
    return try read(model(choice.name))
  }

  /// Whether two choices are one model with the same options, where an option that one of them does not have is at its default:
  /// it may have been written down by a build that did not know it.
  package func isSame(_ a: Choice, _ b: Choice) -> Bool {
    func options<M: Model>(_ type: M.Type, _ choice: Choice) -> [String: SettingValue]? {
      guard case .mapping(let standard)? = try? SettingValue(encoding: M.Configuration()),
        case .mapping(let own) = choice.options
      else { return nil }
      return standard.merging(own) { $1 }
    }
    guard a.name == b.name, let type = try? model(a.name) else { return false }
    return options(type, a) == options(type, b)
  }

  /// The model that a recipe names, for data of which no more than this is known: nothing is opened.
  /// - Throws: `SettingsError` or `ModelError`.
  package func resolve(_ choice: Choice, for data: DataDescription) throws -> any ResolvedModel {
    try resolve(model(choice.name), choice, for: data)
  }

  fileprivate func resolve(_ type: any Model.Type, _ choice: Choice, for data: DataDescription) throws
    -> any ResolvedModel
  {
    func resolve<M: Model>(_ type: M.Type) throws -> any ResolvedModel {
      Resolved<M>(checked: try M.validated(choice.settings(as: M.Configuration.self), for: data))
    }
    return try resolve(type)
  }
}
