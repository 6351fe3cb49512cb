import EspalierComm
package import EspalierNN
package import EspalierState

/// Bytes that one rank sends and receives in a training step, from the layout alone; a test compares it with the counters.
package struct TrafficPlan: Hashable, Sendable {
  /// Sent and received, by rank.
  package let bytesSent: [Int]
  package let bytesReceived: [Int]
  /// Of these, what the last update gathers for a next step, also where none comes: the first segments at stage 3.
  package let bytesSentAhead: [Int]
  package let bytesReceivedAhead: [Int]

  /// - Parameters:
  ///   - clippedHeads: whose largest logits all ranks exchange.
  ///   - assembly: of matrices that are cut.
  package init(
    _ blueprint: Blueprint, _ layout: Layout, stage: ZeroStage, lanes: Int, clippedHeads: Int, assembly: AssemblyPlan
  ) {
    let ranks = layout.rankCount
    let dealing = LaneDealing(lanes: lanes, ranks: ranks, order: stage.laneOrder)
    var sent = Array(repeating: 0, count: ranks), received = sent, sentAhead = sent, receivedAhead = sent
    for (segment, run) in layout.runs.enumerated() {
      let slices = (0..<ranks).map { run.slice(of: $0).count }
      for rank in 0..<ranks {
        let others = run.trained - slices[rank]
        for node in dealing.rounds.flatMap(\.nodes) {
          if node.rank == rank { sent[rank] += 4 * others } else { received[rank] += 4 * slices[rank] }
        }
        let gathers = Self.gathers(segment, blueprint, stage: stage, rounds: dealing.rounds.count)
        // Frozen weights that are whole everywhere do not travel.
        let frozen = stage.shardsValues ? run.frozenSlice(of: rank).count : 0
        let gathered = stage.shardsValues ? run.length : run.trained
        let own = slices[rank] + frozen
        sent[rank] += 4 * gathers * own * (ranks - 1)
        received[rank] += 4 * gathers * (gathered - own)
        guard segment < stage.segmentsAhead else { continue }
        sentAhead[rank] += 4 * own * (ranks - 1)
        receivedAhead[rank] += 4 * (gathered - own)
      }
    }
    // The small gather: notes, losses, largest logits and one double a chunk.
    let small = (0..<ranks).map { rank in
      8
        * (1 + 3 + 2 * dealing.lanes(of: rank).count + clippedHeads
          + layout.trainedPieces(of: rank, blueprint).reduce(0) { $0 + $1.chunkCount })
    }
    for rank in 0..<ranks {
      sent[rank] += assembly.bytesSent(by: rank)
      received[rank] += assembly.bytesSent(by: rank)
    }
    for rank in 0..<ranks where ranks > 1 {
      sent[rank] += small[rank] * (ranks - 1)
      received[rank] += small.reduce(0, +) - small[rank]
    }
    bytesSent = sent
    bytesReceived = received
    bytesSentAhead = sentAhead
    bytesReceivedAhead = receivedAhead
  }

  /// How often a segment's run is gathered in one step.
  private static func gathers(_ segment: Int, _ blueprint: Blueprint, stage: ZeroStage, rounds: Int) -> Int {
    guard stage.shardsValues else { return 1 }  // the sum at stage 0, the new values at stages 1 and 2
    let last = blueprint.segments.count - 1
    if !blueprint.sweptSegments[segment] { return rounds }
    if segment == 0 { return blueprint.segments[0].isResident || last == 0 ? 1 : 1 + rounds }
    if segment == last { return rounds }  // stays from the end of the forward to the start of the backward pass
    return (blueprint.segments[segment].isResident ? 1 : 2) * rounds
  }
}
