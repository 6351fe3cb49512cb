import EspalierComm
import EspalierNN
import EspalierTensor

/// The end of a step: what an optimizer does to everything that this rank updates.
extension Store {
  /// Updates segment after segment, statistics by a rule of their own, scales rows, and starts to make gathered values new.
  ///
  /// A segment with matrices that are cut goes through three stations, one behind the other: its directions are sent to owners while the
  /// rest of it is updated, they are transformed, they come back and are applied. Up to three segments are under way at once, so that
  /// the exchanges of one pass beside the work on another; and a segment's values are gathered as soon as they are new.
  /// - Throws: `CommunicationError` where an exchange failed.
  package func update(
    _ optimizer: any Optimizer, groups: [ParameterGroup], births: UpdateBirths = .none, at moment: UpdateMoment,
    scaling scales: [RowScale] = []
  ) throws {
    values.expire()
    let count = layout.runs.count
    var flying: [Int: [Int: ParameterShard]] = [:]
    for place in 0..<count + AssemblyPlan.depth - 1 {
      if place < count {
        let shards = shards(of: place, groups)
        let joined = shards.filter { assembly?.plan.isAssembled($0.parameter) == true }
        flying[place] = Dictionary(uniqueKeysWithValues: joined.map { ($0.parameter, $0.value) })
        assembly?.send(place, flying[place] ?? [:], at: moment)
        for (parameter, shard) in shards where assembly?.plan.isAssembled(parameter) != true {
          update(shard, by: optimizer, births: births, at: moment)
          for scale in scales { scale.apply(to: shard) }
        }
      }
      let middle = place - 1, last = place - (AssemblyPlan.depth - 1)
      if (0..<count).contains(middle) { try assembly?.transform(middle) }
      guard (0..<count).contains(last), let shards = flying.removeValue(forKey: last) else { continue }
      try assembly?.receive(last, shards, at: moment)
      for shard in shards.values { for scale in scales { scale.apply(to: shard) } }
      values.refresh(last)
    }
  }

  /// One stretch that needs nobody else.
  private func update(
    _ shard: ParameterShard, by optimizer: any Optimizer, births: UpdateBirths, at moment: UpdateMoment
  ) {
    if shard.spec.isStatistic {
      // Not scaled by the clip and not by the rate: it follows the activations, whatever the weights do.
      for index in shard.value.indices { shard.value[index] -= RunningStatistics.batchWeight * shard.gradient[index] }
      return
    }
    let cuts = optimizer.granularity(of: shard.spec) == .element ? births : .none
    shard.forEachBirth(cuts, at: moment) { optimizer.update($0, at: $1) }
  }
}
