package import EspalierComm
import EspalierState

/// How a run's sums over ranks will travel and what they may cost a step, from the layout and the cost model alone.
package struct ReductionEstimate: Codable, Sendable {
  /// The way between the ranks.
  package let path: String
  package let hosts: Int
  /// Seconds of communication in a step if none of it were hidden behind computation.
  package let secondsPerStep: Double
  /// What the estimate rests on.
  package let model: CostModel

  /// - Parameter ranksPerHost: ranks that share a host's memory; the last host may have fewer.
  package init(_ plan: RunPlan, ranksPerHost: Int, model: CostModel = .reference) {
    let hosts = HostMap(labels: (0..<plan.ranks).map { $0 / max(ranksPerHost, 1) })
    let path = ReductionPath.chosen(bytes: 0, hosts: hosts, isShared: hosts.hasNeighbours)
    let rounds = LaneDealing(lanes: plan.run.lanes, ranks: plan.ranks, order: plan.run.stage.laneOrder).rounds.count
    // A gather of new values costs what the second half of a sum onto every rank does.
    let once = plan.layout.runs.reduce(0) { total, run in
      total
        + model.secondsOfSum(bytes: 4 * run.trained, hosts: hosts, path: path, wire: plan.run.settings.wire)
    }
    self.path = path.description
    self.hosts = hosts.hosts.count
    self.model = model
    secondsPerStep = Double(rounds) * once
  }
}
