package import EspalierNN
package import EspalierState

/// How an optimizer's work falls on the ranks, and in which forms it is done.
package struct UpdatePlan: Codable, Sendable {
  /// Parameters of one shape that are updated in one form.
  package struct Row: Codable, Sendable, Hashable {
    package let shape: String
    package let form: String
    package var parameters: Int
  }

  /// In the order in which they are met; empty for an optimizer of one form.
  package let forms: [Row]
  /// What an update costs each rank, by the optimizer's own measure.
  package let costByRank: [Double]

  /// - Parameter assembly: knows who does what where not every rank does everything.
  package init(
    _ blueprint: Blueprint, ranks: Int, _ optimizer: any Optimizer, stage: ZeroStage, assembly: AssemblyPlan
  ) {
    var forms: [Row] = []
    for spec in blueprint.parameters where spec.isTrainable {
      guard let form = optimizer.form(of: spec) else { continue }
      let shape = "\(spec.shape)"
      if let row = forms.firstIndex(where: { $0.shape == shape && $0.form == form }) {
        forms[row].parameters += 1
      } else {
        forms.append(Row(shape: shape, form: form, parameters: 1))
      }
    }
    self.forms = forms
    let everything = blueprint.parameters.filter(\.isTrainable).reduce(0) { $0 + optimizer.cost(of: $1) }
    costByRank =
      stage.shardsSlots
      ? assembly.costByRank : Array(repeating: everything, count: ranks)  // every rank updates everything
  }

  /// What the busiest rank does, as a multiple of the mean.
  package var imbalance: Double {
    let mean = costByRank.reduce(0, +) / Double(costByRank.count)
    return mean > 0 ? (costByRank.max() ?? 0) / mean : 1
  }
}
