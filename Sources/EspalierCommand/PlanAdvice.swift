import EspalierComm
import EspalierState
import EspalierTrain

/// How the lanes of a run suit its ranks, and what would suit better.
struct PlanAdvice: Encodable {
  /// Numbers of ranks that deal the lanes evenly.
  let evenRanks: [Int]
  /// Partial sums that all ranks hand over in a step; the least is one a rank.
  let partialSums: Int
  /// Gradient traffic of this number of ranks over what one partial sum a rank would send: 1 where nothing is wasted.
  let gradientTrafficFactor: Double
  /// Sentences.
  let advice: [String]

  init(_ plan: RunPlan, cluster: ClusterSettings?) {
    let (ranks, lanes) = (plan.ranks, plan.run.lanes)
    let stage = plan.run.stage
    evenRanks = plan.evenRanks
    partialSums = Self.partialSums(lanes: lanes, ranks: ranks, stage.laneOrder)
    gradientTrafficFactor = Double(partialSums) / Double(ranks)
    var advice: [String] = []
    if stage.shardsGradients, ranks > 1, lanes > ranks {
      advice.append(
        "At stages 2 and 3 every lane is handed over by itself: \(lanes) lanes on \(ranks) ranks send \(Amount.fixed(gradientTrafficFactor, 2)) "
          + "times the gradients of lanes = ranks. In a new recipe, batch: { lanes: \(ranks) } sends least; stage 1 sends least for these lanes."
      )
    } else if !stage.shardsGradients, ranks > 1, partialSums > ranks {
      let better = evenRanks.filter { Self.partialSums(lanes: lanes, ranks: $0, .contiguous) == $0 }
      advice.append(
        "\(lanes) lanes do not fall on \(ranks) ranks in whole subtrees: \(partialSums) partial sums are handed over instead of \(ranks), "
          + "\(Amount.fixed(100 * (gradientTrafficFactor - 1), 0)) % more gradient traffic. "
          + "\(better.map(String.init).joined(separator: ", ")) ranks avoid it.")
    }
    if lanes % ranks != 0 {
      let most = (lanes + ranks - 1) / ranks
      advice.append(
        "Some ranks compute \(most) lanes and others \(lanes / ranks), so a step takes as long as \(most * ranks) lanes would; "
          + "\(evenRanks.map(String.init).joined(separator: ", ")) ranks share them evenly.")
    }
    if let cluster, cluster.memoryPerNode > 0 {
      let perNode = (plan.memory.byRank.map(\.total).max() ?? 0) * min(cluster.ranksPerNode, ranks)
      let limit = Int(cluster.memoryPerNode * 1_073_741_824)
      if perNode > limit {
        advice.append(
          "A node holds \(Amount.bytes(perNode)) of state and has \(Amount.bytes(limit)): use a higher stage, fewer ranks a node or more nodes."
        )
      }
    }
    self.advice = advice
  }

  /// What all ranks together hand over in one step.
  static func partialSums(lanes: Int, ranks: Int, _ order: LaneDealing.Order) -> Int {
    LaneDealing(lanes: lanes, ranks: ranks, order: order).rounds.reduce(0) { $0 + $1.nodes.count }
  }
}
