import EspalierComm
package import EspalierNN

/// Bytes of state that a rank holds, by what they are.
package struct StateBytes: Hashable, Codable, Sendable {
  /// By slot name; `value` and `gradient` among them. The gradient includes the counter over lanes.
  package var bySlot: [String: Int]
  /// Copies of segments in use: gathered values at stage 3, whole gradients at stages 2–3, and directions on their way.
  package var live: Int

  package var total: Int { bySlot.values.reduce(live, +) }
}

extension Store {
  /// What this rank holds, counted from the slabs that were allocated.
  package var bytes: StateBytes {
    var bySlot: [String: Int] = [:]
    var live = 0
    for slot in slots.dropFirst() {
      bySlot[slot.name] = 4 * layout.runs.indices.reduce(0) { $0 + slabCount(slot.name, $1) }
    }
    let valueBuffers = (values as? ShardedValues)?.bufferElementCount ?? 0
    let gradientBuffers = (gradients as? ShardedGradients)?.bufferElementCount ?? 0
    bySlot[SlotSpec.value.name] = 4 * (values.elementCount - valueBuffers)
    bySlot["gradient"] = 4 * (gradients.elementCount - gradientBuffers)
    live += 4 * (valueBuffers + gradientBuffers + (assembly?.elementCount ?? 0))
    return StateBytes(bySlot: bySlot, live: live)
  }
}

/// What a rank will hold, from the blueprint alone.
package struct MemoryPlan: Sendable {
  package let byRank: [StateBytes]

  package init(
    _ blueprint: Blueprint, _ layout: Layout, stage: ZeroStage, lanes: Int, slots: SlotTable, assembly: AssemblyPlan
  ) {
    let dealing = LaneDealing(
      lanes: lanes, ranks: layout.rankCount, order: stage.shardsGradients ? .roundRobin : .contiguous)
    let whole = layout.runs.reduce(0) { $0 + $1.length }
    let trained = layout.runs.reduce(0) { $0 + $1.trained }
    let lengths = zip(blueprint.segments, layout.runs)
    let longest = layout.runs.map(\.length).max() ?? 0
    let resident = lengths.filter { $0.0.isResident }.reduce(0) { $0 + $1.1.trained }
    let longestPassing = lengths.filter { !$0.0.isResident }.map(\.1.trained).max() ?? 0
    byRank = (0..<layout.rankCount).map { rank in
      let shard = layout.runs.reduce(0) { $0 + $1.slice(of: rank).count }
      let frozenShard = layout.runs.reduce(0) { $0 + $1.frozenSlice(of: rank).count }
      var bySlot = [
        SlotSpec.value.name: 4 * (stage.shardsValues ? shard + frozenShard : whole),
        "gradient": 4
          * (stage.shardsGradients ? shard * dealing.retainedNodes : trained * dealing.localSlabs(of: rank)),
      ]
      for slot in slots.all.dropFirst() {
        bySlot[slot.name] = layout.runs.enumerated().reduce(0) { bytes, run in
          let held = stage.shardsSlots ? run.element.slice(of: rank) : 0..<run.element.trained
          return bytes + 4 * slots.packing(slot.name, in: held, segment: run.offset, layout, blueprint).count
        }
      }
      let residents = blueprint.segments.count { $0.isResident }
      let values = stage.shardsValues ? longest * min(layout.runs.count, 2 + residents) : 0
      let gradients = stage.shardsGradients ? longestPassing + resident : 0
      return StateBytes(bySlot: bySlot, live: 4 * (values + gradients + assembly.bufferElementCount(of: rank)))
    }
  }
}
