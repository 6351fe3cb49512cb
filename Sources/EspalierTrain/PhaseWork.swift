import EspalierNN
import EspalierTensor

/// What one train phase of a plan takes, where it has its most steps.
package struct PhaseWork: Codable, Sendable, Equatable {
  /// Its place in the schedule.
  package let phase: Int
  package let steps: Int
  /// Weights of the model in it.
  package let parameters: Int
  /// Floating-point operations of the products of a step, over all ranks.
  package let operationsPerStep: Int

  package var operations: Double { Double(steps) * Double(operationsPerStep) }
}

extension RunPlan {
  /// The train phases of the schedule.
  package var phases: [PhaseWork] {
    run.schedule.phases.enumerated().compactMap { index, planned in
      guard case .train = planned.phase else { return nil }
      let stage = run.stage(inPhase: index)
      return PhaseWork(
        phase: index, steps: planned.steps, parameters: stage.blueprint.count,
        operationsPerStep: stage.operationsPerSample(recompute: run.settings.recompute) * run.settings.batch.samples)
    }
  }
}
