import EspalierComm
import EspalierMethods
import EspalierNN
import EspalierState
import EspalierTensor

/// Layers of a running model read more: a session of the wider model is made and filled, as in a growth.
///
/// Old weights stay what they are; new columns and rows come from their initializers, or are 0; optimizer slots of what is new begin empty.
struct ModelWidening {
  private let old: RankSession

  init(_ old: RankSession) { self.old = old }

  /// Collective.
  /// - Parameters:
  ///   - added: all mixtures of the wider model, by layer and task.
  ///   - request: what is new among them.
  func run(_ added: [String: [Int]], _ request: LayerWidening, task: Int, recorder: FlightRecorder?) throws
    -> RankSession
  {
    try old.store.settle()
    old.pool.drain()
    old.recorder?.enter(.growing, "widening")
    let new = try RankSession(
      old.run, old.communicator, growths: old.growths, added: added, records: old.records, recorder: recorder)
    new.step = old.step
    let plan = try Self.plan(
      from: old.modelStage.blueprint, to: new.modelStage.blueprint, startsSilent: request.startsSilent)
    try StateGrowth(plan, mode: .asymmetric, seed: old.run.settings.seed, number: 1 + task)
      .fill(new.store, from: GatheredSlots(old.store))
    new.store.forEachUpdated { shard in
      guard let rows = request.maps[shard.spec.name] else { return }
      // The newest rows are the last ones.
      let first = shard.spec.count - rows.count
      for (place, element) in shard.range.enumerated() where element >= first {
        shard.value[place] = rows[element - first]
      }
    }
    try new.store.share()
    return new
  }

  private static func plan(from old: Blueprint, to new: Blueprint, startsSilent: Bool) throws -> GrowthPlan {
    let before = Dictionary(uniqueKeysWithValues: old.parameters.map { ($0.name, $0) })
    let origins = new.parameters.map { spec -> (String, ParameterOrigin) in
      guard let known = before[spec.name] else {
        return (spec.name, ParameterOrigin([], remainder: spec.initializer, isNew: true))
      }
      let maps = zip(known.axes, spec.axes).map { old, new in
        AxisMap(
          AxisMap.identity(old.count).entries
            + Array(
              repeating: startsSilent && new.role == .input ? AxisMap.Entry.zero : .fresh, count: new.count - old.count),
          oldCount: old.count)
      }
      return (spec.name, ParameterOrigin([ParameterOrigin.Term(spec.name, maps: maps)], remainder: spec.initializer))
    }
    return try GrowthPlan(
      from: old, to: new, origins: Dictionary(uniqueKeysWithValues: origins), fidelity: .lossy(["layers read more"]))
  }
}

extension ModelStage {
  /// The same stage where layers read mixtures as well.
  /// - Throws: `ModelError` for a model whose layers cannot.
  func widened(by added: [String: [Int]], _ settings: RunSettings) throws -> ModelStage {
    guard !added.isEmpty else { return self }
    guard let wide = model.widened(by: added) else {
      throw ModelError(
        choice.name, "its layers cannot be widened",
        remedy: "use mlp, convolutionalNetwork or residualNetwork, or a method without widening")
    }
    let blueprint = Scope.build(freezing: settings.isFrozen, constants: constants.values) { wide.make($0) }.blueprint
    return ModelStage(
      choice: try Choice(choice.name, options: SettingValue(encoding: wide.configuration)), model: wide,
      blueprint: blueprint, constants: constants, growth: nil)
  }
}
