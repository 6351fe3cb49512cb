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

  package init(_ blueprint: Blueprint, _ layout: Layout, _ optimizer: any Optimizer, stage: ZeroStage) {
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
    costByRank = (0..<layout.rankCount).map { rank in
      if !stage.shardsSlots {  // every rank updates everything
        return blueprint.parameters.filter(\.isTrainable).reduce(0) { $0 + optimizer.cost(of: $1) }
      }
      return layout.trainedPieces(of: rank, blueprint).reduce(0) { sum, piece in
        let spec = blueprint.parameters[piece.parameter]
        return sum + optimizer.cost(of: spec) * Double(piece.range.count) / Double(spec.count)
      }
    }
  }

  /// What the busiest rank does, as a multiple of the mean.
  package var imbalance: Double {
    let mean = costByRank.reduce(0, +) / Double(costByRank.count)
    return mean > 0 ? (costByRank.max() ?? 0) / mean : 1
  }
}
