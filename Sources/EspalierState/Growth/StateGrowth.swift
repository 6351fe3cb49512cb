package import EspalierNN
import EspalierTensor

/// A plan applied to all the state of a run: every slot of every weight grows by its rule, in a live store and in a checkpoint alike.
///
/// Work goes weight by weight and slot by slot, so that above old and new state no more than one old slot of one weight is held.
package struct StateGrowth: Sendable {
  package let plan: GrowthPlan
  package let mode: HistoryMode
  package let seed: UInt64
  /// The growth's number in the run, from 1: a second one draws other numbers.
  package let number: Int

  package init(_ plan: GrowthPlan, mode: HistoryMode, seed: UInt64, number: Int) {
    self.plan = plan
    self.mode = mode
    self.seed = seed
    self.number = number
  }

  /// How one slot of one new weight is made; nil for a weight that the plan does not know.
  package func filling(_ spec: ParameterSpec, _ slot: SlotSpec) -> OriginFill? {
    plan.origins[spec.name].map {
      OriginFill(spec, $0, rule: slot.growth, mode: mode, seed: seed, growth: number)
    }
  }

  /// Fills what this rank owns of the grown store. All ranks together; `Store.share` makes it known.
  /// - Throws: `GrowthError` where source and plan do not belong together, before anything is touched.
  package func fill(_ store: Store, from source: any WholeSlots) throws {
    guard store.blueprint == plan.new else {
      throw GrowthError(
        .shapeDisagrees, "store", "it holds another model than the plan leads to",
        remedy: "build the store from the plan's new blueprint")
    }
    try check(store.table, source)
    for (index, spec) in store.blueprint.parameters.enumerated() {
      let pieces = store.ownPieces(of: index)
      for slot in store.slots where store.has(slot, index) {
        guard let filling = filling(spec, slot) else { continue }
        let names = filling.sources.filter { source.has(slot: slot.name, of: $0) }
        let old = try source.whole(names, slot: slot.name)
        for piece in pieces {
          filling.fill(piece.range, from: old, into: store.pointer(slot.name, piece))
        }
      }
    }
  }

  /// The source is the state of the plan's old model, with all slots that are to grow.
  package func check(_ table: SlotTable, _ source: any WholeSlots) throws {
    for spec in plan.old.parameters {
      guard let shape = source.shape(of: spec.name) else {
        throw GrowthError(
          .notCovered, spec.name, "the state has no such weight", remedy: "plan the growth for the model of this state")
      }
      guard shape == spec.shape.dimensions else {
        throw GrowthError(
          .shapeDisagrees, spec.name, "it is \(shape) in the state and \(spec.shape.dimensions) in the plan",
          remedy: "plan the growth for the model of this state")
      }
      for slot in table.rule(spec)
      where mode != .dropAll && spec.isTrainable && !source.isFrozen(spec.name)
        && !source.has(slot: slot.name, of: spec.name)
      {
        throw GrowthError(
          .slotMissing, spec.name, "the state has no slot '\(slot.name)' of it: another optimizer trained it",
          remedy: "grow with the optimizer that wrote the state, or drop its slots with 'state: dropAll'")
      }
    }
  }

  /// The births after this growth: what its slots do not go on from is as young as the growth.
  /// - Parameters:
  ///   - old: the births before it.
  ///   - updates: updates done.
  ///   - phase: the phase that grows.
  package func births(after old: [String: BirthRanges], updates: Int, phase: Int) -> [String: BirthRanges] {
    let shapes = Dictionary(uniqueKeysWithValues: plan.old.parameters.map { ($0.name, $0.shape.dimensions) })
    var result: [String: BirthRanges] = [:]
    for spec in plan.new.parameters where spec.isTrainable && !spec.isStatistic {
      guard let origin = plan.origins[spec.name] else { continue }
      let shape = spec.shape.dimensions
      let columns = shape.dropFirst().reduce(1, *)
      let ranges: BirthRanges
      if origin.terms.count == 1, let oldShape = shapes[origin.terms[0].source], goesOn(origin) {
        let kept = origin.terms[0].maps.map(keptSources)
        let before =
          old[origin.terms[0].source] ?? .none(columns: oldShape.dropFirst().reduce(1, *))
        if origin.isIdentity {
          ranges = before
        } else {
          let rows = kept.first ?? [0]
          let others = zip(kept.dropFirst(), oldShape.dropFirst()).reduce([0] as [Int?]) { flat, axis in
            flat.flatMap { index in axis.0.map { old in index.flatMap { i in old.map { i * axis.1 + $0 } } } }
          }
          ranges = before.grown(rows: rows, columns: others, birth: updates, growth: phase)
        }
      } else {
        ranges = BirthRanges.none(columns: 1).grown(
          rows: Array(repeating: nil, count: shape.first ?? 1), columns: Array(repeating: nil, count: columns),
          birth: updates, growth: phase)
      }
      if !ranges.blocks.isEmpty { result[spec.name] = ranges }
    }
    return result
  }

  /// Whether any slot of a weight goes on at all.
  private func goesOn(_ origin: ParameterOrigin) -> Bool {
    switch mode {
    case .asymmetric: !origin.isNew
    case .transport: true
    case .dropAll: false
    }
  }

  /// For each new coordinate the old one whose history it goes on with.
  private func keptSources(_ map: AxisMap) -> [Int?] {
    zip(map.entries, map.isKept).map { entry, isKept in
      guard case .copy(let old, _, _) = entry, isKept || mode == .transport else { return nil }
      return old
    }
  }
}
