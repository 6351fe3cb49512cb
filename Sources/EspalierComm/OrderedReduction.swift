internal import CKernels

/// The sum over lanes in the order that the recipe fixes, for every number of ranks, every chunk size and every dealing.
///
/// Pairwise exchange by slices: each rank sends every other rank that one's slice of its own nodes, chunk by chunk, and adds what arrives for
/// its own slice in lane order (decisions on the order of a sum, §1). MPI's own reductions change their order with the number of ranks, the
/// buffer size and the algorithm, and so the bits.
struct OrderedReduction {
  let contributions: [SlabRange]
  let round: LaneDealing.Round
  let boundaries: [Int]
  let counter: LaneCounter
  let rank: Int

  /// Feeds the round's nodes to the counter.
  func run(on runner: CollectiveRunner) throws {
    let plan = CounterPlan(retained: counter.levels, fed: round.nodes.map(\.level), isLast: round.isLast)
    precondition(
      plan.slotsUsed <= counter.slots.count, "\(plan.slotsUsed) nodes remain, for \(counter.slots.count) slots")
    precondition(
      round.nodes.isEmpty || round.nodes[0].firstLane == counter.nextLane,
      "lane \(round.nodes.first?.firstLane ?? 0) was fed where lane \(counter.nextLane) comes next")
    requireApart()
    let sliceCounts = (0..<runner.size).map { boundaries[$0 + 1] - boundaries[$0] }
    let chunk = min(runner.options.chunkElements, max(1, sliceCounts.max() ?? 1))
    // A chunk's place in staging begins on a cache line.
    let stride = (min(chunk, max(1, sliceCounts[rank])) + 15) & ~15
    let foreign = round.nodes.filter { $0.rank != rank }.count
    let staging = runner.stagingMemory(count: foreign * stride)
    let chunkCount = ((sliceCounts.max() ?? 0) + chunk - 1) / chunk
    for index in 0..<chunkCount {
      let first = index * chunk
      let places = nodePlaces(first: first, staging: staging, stride: stride)
      try receive(first: first, chunk: chunk, sliceCounts: sliceCounts, places: places, runner: runner)
      let count = min(chunk, sliceCounts[rank] - first)
      if count > 0 { obey(plan, first: first, count: count, places: places) }
    }
    counter.advance(to: plan, past: round.nodes, isLast: round.isLast)
    runner.poisonStaging()
  }

  /// A slot may be this rank's own slice of a contribution only if it is slot 0 and holds nothing yet; everything else must not overlap.
  private func requireApart() {
    let slice = boundaries[rank]..<boundaries[rank + 1]
    for (index, slot) in counter.slots.enumerated() where !slice.isEmpty {
      for contribution in contributions where contribution.slab === slot.slab {
        let isOwnSlice = slot.offset == contribution.offset + slice.lowerBound && index == 0 && counter.levels.isEmpty
        let isApart =
          slot.offset + slot.count <= contribution.offset || contribution.offset + contribution.count <= slot.offset
        precondition(isOwnSlice || isApart, "slot \(index) overlaps a contribution")
      }
    }
  }

  /// Where each node's chunk of my slice lies: my own where they are, the others' in staging.
  private func nodePlaces(
    first: Int, staging: UnsafeMutablePointer<Float>, stride: Int
  ) -> [UnsafeMutablePointer<Float>] {
    var own = 0
    var foreign = 0
    return round.nodes.map { node in
      if node.rank == rank {
        own += 1
        return contributions[own - 1].pointer + boundaries[rank] + first
      }
      foreign += 1
      return staging + (foreign - 1) * stride
    }
  }

  /// Sends the other slices of my nodes and receives the other nodes of my slice, one chunk of each.
  private func receive(
    first: Int, chunk: Int, sliceCounts: [Int], places: [UnsafeMutablePointer<Float>], runner: CollectiveRunner
  ) throws {
    let size = runner.size
    let incomingCount = max(0, min(chunk, sliceCounts[rank] - first))
    for distance in 1..<max(size, 1) {
      let to = (rank + distance) % size
      let from = (rank - distance + size) % size
      let outgoingCount = max(0, min(chunk, sliceCounts[to] - first))
      let incoming = round.nodes.indices.filter { round.nodes[$0].rank == from }
      // The i-th message of a step meets the i-th receive of its peer's same step, so nobody waits in a circle.
      for turn in 0..<max(contributions.count, incoming.count) {
        let outgoing = turn < contributions.count ? contributions[turn].pointer + boundaries[to] + first : nil
        try runner.exchange(
          send: outgoing.map { UnsafePointer($0) }, count: outgoingCount, to: to,
          receive: turn < incoming.count ? places[incoming[turn]] : nil, count: incomingCount, from: from)
      }
    }
  }

  private func obey(_ plan: CounterPlan, first: Int, count: Int, places: [UnsafeMutablePointer<Float>]) {
    func pointer(_ place: CounterStep.Place) -> UnsafeMutablePointer<Float> {
      switch place {
      case .slot(let index): counter.slots[index].pointer + first
      case .node(let index): places[index]
      }
    }
    for step in plan.steps {
      let destination = pointer(step.destination)
      let left = pointer(step.left)
      if let right = step.right {
        ck_add(left, pointer(right), destination, count)
      } else if destination != left {
        destination.update(from: left, count: count)
      }
    }
  }
}
