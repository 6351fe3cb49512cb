import EspalierNN
import EspalierState

/// What a growth of a schedule will do, from the blueprints alone.
package struct GrowthForecast: Codable, Sendable, Equatable {
  /// Its place in the schedule.
  package let phase: Int
  package let name: String
  /// The options of the model that change.
  package let to: String
  /// "exact: …", or why not.
  package let fidelity: String
  package let isExact: Bool
  package let parametersBefore: Int
  package let parametersAfter: Int
  /// Weights of the larger model, and those that are not what they were.
  package let tensors: Int
  package let tensorsChanged: Int
  /// Of the old slots, each once.
  package let bytesRead: Int
  /// By all ranks together.
  package let bytesSent: Int
  /// Of the busiest rank afterwards, and while both models are there.
  package let bytesAfter: Int
  package let bytesAtPeak: Int
}

extension RunPlan {
  /// The growths of the schedule, in order.
  package var growths: [GrowthForecast] {
    func memory(_ blueprint: Blueprint) -> [Int] {
      let costs = run.ownerCosts(blueprint)
      let layout = LayoutPlanner.plan(blueprint, ranks: ranks, costs: costs)
      let slots = SlotTable(blueprint, run.optimizer, methods: run.methodSlots)
      return MemoryPlan(
        blueprint, layout, stage: run.stage, lanes: run.lanes, slots: slots,
        assembly: AssemblyPlan(blueprint, layout, run.optimizer)
      ).byRank.map(\.total)
    }
    return run.stages.dropFirst().compactMap { stage in
      guard let growth = stage.growth else { return nil }
      let plan = growth.plan, slots = SlotTable(plan.old, run.optimizer, methods: run.methodSlots)
      let read = plan.old.parameters.indices.reduce(0) { $0 + 4 * plan.old.parameters[$1].count * slots.count(of: $1) }
      let before = memory(plan.old), after = memory(plan.new)
      let largest = 4 * (plan.old.parameters.map(\.count).max() ?? 0)
      return GrowthForecast(
        phase: growth.phase, name: growth.settings.operator.name,
        to: SettingValue.mapping(growth.settings.to.options).recipeText, fidelity: "\(plan.fidelity)",
        isExact: plan.fidelity == .exact, parametersBefore: plan.old.count, parametersAfter: plan.new.count,
        tensors: plan.new.parameters.count, tensorsChanged: plan.origins.values.count { !$0.isIdentity },
        bytesRead: read, bytesSent: read * (ranks - 1), bytesAfter: after.max() ?? 0,
        bytesAtPeak: (zip(before, after).map { $0 + $1 }.max() ?? 0) + largest)
    }
  }
}
