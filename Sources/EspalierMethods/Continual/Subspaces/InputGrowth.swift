package import EspalierState

/// Where the inputs of layers come from when a model grows.
public struct InputGrowth {
  /// By layer: for each new input the old one that it copies, or nil for a new one.
  private let sources: [String: [Int?]]

  /// From a plan.
  package init(_ plan: GrowthPlan) {
    sources = plan.origins.compactMapValues { origin in
      guard origin.terms.count == 1, origin.terms[0].maps.count == 2 else { return nil }
      return origin.terms[0].maps[1].entries.map { if case .copy(let old, _, _) = $0 { old } else { nil } }
    }
  }

  /// nil for a layer that has no predecessor, or more than one.
  public func sources(_ layer: String) -> [Int?]? { sources[layer] }
}
