internal import CKernels

/// The sum by MPI's own collectives: the baseline, whose bits depend on the number of ranks and the sizes.
struct NativeReduction {
  let contributions: [SlabRange]
  let round: LaneDealing.Round
  let boundaries: [Int]
  let counter: LaneCounter
  /// Where every rank wants the whole sum; nil if only the owners want theirs.
  let publication: SlabRange?

  func run(on runner: CollectiveRunner) throws {
    let run = boundaries[runner.size]
    if let publication, let first = contributions.first, contributions.count == 1,
      first.pointer == publication.pointer, round.isLast
    {
      return try runner.backend.nativeAllReduce(publication.pointer, count: run)
    }
    let counts = (0..<runner.size).map { boundaries[$0 + 1] - boundaries[$0] }
    let slice = counts[runner.rank]
    // The sum of this rank's own nodes, then room for what arrives.
    let staging = runner.stagingMemory(count: run + slice)
    staging.update(repeating: 0, count: run)
    for contribution in contributions { ck_add(staging, contribution.pointer, staging, run) }
    let arrived = staging + run
    try runner.backend.nativeReduceScatter(staging, into: arrived, counts: counts)
    let sum = counter.slots[0].pointer
    if counter.nextLane == 0 {
      sum.update(from: arrived, count: slice)
    } else {
      ck_add(sum, arrived, sum, slice)
    }
    counter.advanceNatively(past: round.nodes, isLast: round.isLast)
    runner.poisonStaging()
    if let publication { try runner.allGather(publication, boundaries: boundaries) }
  }
}
