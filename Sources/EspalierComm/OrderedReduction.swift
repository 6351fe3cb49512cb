/// The sum over lanes in the order that the recipe fixes, for every number of ranks, every chunk size and every dealing.
///
/// On a host the owner of a slice reads it straight out of its neighbours' windows. Between hosts each local rank carries its share of the
/// slices: it sums what its host holds of them to whole subtrees and exchanges those pairwise, chunk by chunk. Ranks without windows are hosts of
/// one. MPI's own reductions change their order with the number of ranks, the buffer size and the algorithm, and so the bits.
struct OrderedReduction {
  let contributions: [SlabRange]
  let round: LaneDealing.Round
  let boundaries: [Int]
  let counter: LaneCounter
  let rank: Int
  /// Where every rank wants the whole sum; its own slice is slot 0. Nil if only the owners want theirs.
  var publication: SlabRange?

  /// Feeds the round's nodes to the counter.
  func run(on runner: CollectiveRunner) throws {
    precondition(
      round.nodes.isEmpty || round.nodes[0].firstLane == counter.nextLane,
      "lane \(round.nodes.first?.firstLane ?? 0) was fed where lane \(counter.nextLane) comes next")
    requireApart()
    let window = counter.window
    let work = try Work(self, on: runner, window: window)
    try work.run()
    counter.advance(to: work.plan, past: round.nodes, isLast: round.isLast)
    runner.poisonStaging()
    guard let publication else { return try window?.part(runner.backend) ?? () }
    guard let window else { return try runner.allGather(publication, boundaries: boundaries, compresses: true) }
    try SliceGather.carry(
      work.publications, boundaries: boundaries, compresses: true, on: runner)
    SliceGather.account(boundaries, on: runner)
    try window.part(runner.backend)
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
}

/// One round on one rank: who holds what, and where it lies.
private struct Work {
  let reduction: OrderedReduction
  let runner: CollectiveRunner
  /// Hosts as far as memory is shared in this reduction.
  let hosts: HostMap
  /// Every host's subtrees, in lane order.
  let shares: [HostShare]
  /// How hosts reduce among each other, if not pairwise.
  let halving: Halving?
  /// What the owner feeds to its counter.
  let plan: CounterPlan
  /// By node of the round: where its run begins, if this host holds it.
  let runs: [UnsafeMutablePointer<Float>?]
  /// Where each neighbour wants the whole sum, by place; empty if it does not.
  let publications: [UnsafeMutablePointer<Float>]

  private var rank: Int { reduction.rank }
  private var host: Int { hosts.hostOfRank[rank] }
  private var boundaries: [Int] { reduction.boundaries }

  init(_ reduction: OrderedReduction, on runner: CollectiveRunner, window: SharedWindow?) throws {
    self.reduction = reduction
    self.runner = runner
    let rank = reduction.rank
    let hosts = window == nil ? HostMap.apart(runner.size) : runner.hosts
    self.hosts = hosts
    let host = hosts.hostOfRank[rank]
    let nodes = reduction.round.nodes
    let shares = HostShare.shares(of: nodes, hosts)
    self.shares = shares
    // A host's own nodes need not be summed before they are fed: the counter does it.
    let longest = (0..<runner.size).map { reduction.boundaries[$0 + 1] - reduction.boundaries[$0] }.max() ?? 0
    // Where ranks of one host have no windows, messages between them cost too little to be spared.
    let halving = hosts == runner.hosts ? Halving(shares, hosts, rank: rank, longestSlice: longest) : nil
    self.halving = halving
    let fed =
      halving.map { [$0.level] }
      ?? shares.flatMap { share in share.host == host ? share.nodes.map { nodes[$0].level } : [share.level] }
    plan = CounterPlan(retained: reduction.counter.levels, fed: fed, isLast: reduction.round.isLast)
    precondition(
      plan.slotsUsed <= reduction.counter.slots.count,
      "\(plan.slotsUsed) nodes remain, for \(reduction.counter.slots.count) slots")
    let publication = window == nil ? nil : reduction.publication
    let lent = reduction.contributions + (publication.map { [$0] } ?? [])
    let places = try window?.meet(lending: lent, signature: runner.signature, runner.backend) ?? [lent.map(\.pointer)]
    publications = publication == nil ? [] : places.compactMap(\.last)
    var taken = Array(repeating: 0, count: places.count)
    runs = nodes.map { node in
      guard hosts.hostOfRank[node.rank] == host else { return nil }
      let place = hosts.placeOfRank[node.rank]
      taken[place] += 1
      return places[place][taken[place] - 1]
    }
  }

  func run() throws {
    let counts = (0..<runner.size).map { boundaries[$0 + 1] - boundaries[$0] }
    let longest = max(1, counts.max() ?? 1)
    if let halving { return try run(halving, counts: counts, longest: longest) }
    let isAlone = hosts.hosts.count == 1
    let chunk = isAlone ? longest : min(runner.options.chunkElements, longest)
    // A chunk's place in staging begins on a cache line.
    let width = (min(chunk, max(1, counts[rank])) + 15) & ~15
    let foreign = shares.count { $0.host != host }
    let sums = shares.contains { $0.host == host && $0.nodes.count > 1 } && !isAlone
    let staging = runner.stagingMemory(count: foreign * width + (sums ? (chunk + 15) & ~15 : 0))
    let scratch = runner.scratchMemory(blocks: reduction.round.nodes.count + 1)
    for first in stride(from: 0, to: isAlone ? counts[rank] : counts.max() ?? 0, by: chunk) {
      if !isAlone {
        try exchange(
          first: first, chunk: chunk, counts: counts, staging: staging, width: width, merged: staging + foreign * width,
          scratch: scratch)
      }
      let count = min(chunk, counts[rank] - first)
      if count > 0 { sum(first: first, count: count, staging: staging, width: width, scratch: scratch) }
    }
    account(counts)
  }

  private func run(_ halving: Halving, counts: [Int], longest: Int) throws {
    let chunk = min(runner.options.chunkElements, longest)
    let width = (chunk + 15) & ~15
    let memory = runner.stagingMemory(count: halving.memoryCount(width: width))
    let scratch = runner.scratchMemory(blocks: reduction.round.nodes.count + 1)
    guard let mine = shares.first(where: { $0.host == host }) else { return }
    for first in stride(from: 0, to: longest, by: chunk) {
      let sum = try halving.run(in: memory, width: width, on: runner) { peer, place in
        let count = max(0, min(chunk, counts[peer] - first))
        guard count > 0 else { return 0 }
        let begin = boundaries[peer] + first
        if let found = subtree(mine, begin: begin, count: count, into: place, scratch: scratch), found != place {
          place.update(from: found, count: count)
        }
        return count
      }
      let count = min(chunk, counts[rank] - first)
      if count > 0 { feed([sum], first: first, count: count, scratch: scratch) }
    }
    account(counts)
  }

  /// Feeds one chunk of this rank's slice to the counter.
  private func sum(
    first: Int, count: Int, staging: UnsafeMutablePointer<Float>, width: Int, scratch: UnsafeMutablePointer<Float>
  ) {
    let begin = boundaries[rank] + first
    var arrived = 0
    let nodes = shares.flatMap { share -> [UnsafeMutablePointer<Float>] in
      if share.host == host { return share.nodes.compactMap { runs[$0].map { $0 + begin } } }
      arrived += 1
      return [staging + (arrived - 1) * width]
    }
    feed(nodes, first: first, count: count, scratch: scratch)
  }

  private func feed(
    _ nodes: [UnsafeMutablePointer<Float>], first: Int, count: Int, scratch: UnsafeMutablePointer<Float>
  ) {
    let begin = boundaries[rank] + first
    let slots = reduction.counter.slots.map { $0.pointer + first }
    let copies = publications.map { $0 + begin }.filter { $0 != slots[0] }
    let isRounded = reduction.publication != nil && runner.hosts.hosts.count > 1 && runner.options.wire == .bfloat16
    BlockSum(plan, nodes: nodes, slots: slots, scratch: scratch)
      .run(count: count, copies: copies, isRounded: isRounded)
  }

  /// Sends what this rank carries of the other hosts' slices and receives their part of its own, one chunk of each.
  private func exchange(
    first: Int, chunk: Int, counts: [Int], staging: UnsafeMutablePointer<Float>, width: Int,
    merged: UnsafeMutablePointer<Float>, scratch: UnsafeMutablePointer<Float>
  ) throws {
    let size = runner.size
    let mine = shares.filter { $0.host == host }
    let foreign = shares.filter { $0.host != host }
    let incomingCount = max(0, min(chunk, counts[rank] - first))
    for distance in 1..<max(size, 1) {
      let to = (rank + distance) % size
      let from = (rank - distance + size) % size
      let outgoingCount = max(0, min(chunk, counts[to] - first))
      let sends = hosts.areApart(rank, to) && hosts.carrier(of: to, on: host) == rank
      let sender = hosts.hostOfRank[from]
      let receives = sender != host && hosts.carrier(of: rank, on: sender) == from
      let incoming = receives ? foreign.indices.filter { foreign[$0].host == sender } : []
      // The i-th message of a step meets the i-th receive of its peer's same step, so nobody waits in a circle.
      for turn in 0..<max(sends ? mine.count : 0, incoming.count) {
        var outgoing: UnsafePointer<Float>?
        if sends, turn < mine.count, outgoingCount > 0 {
          outgoing = UnsafePointer(
            subtree(mine[turn], begin: boundaries[to] + first, count: outgoingCount, into: merged, scratch: scratch))
        }
        try runner.exchange(
          send: outgoing, count: outgoingCount, to: to,
          receive: turn < incoming.count ? staging + incoming[turn] * width : nil, count: incomingCount, from: from,
          compresses: true)
      }
    }
  }

  /// A chunk of one subtree of this host: where it lies, or its sum in `memory`.
  private func subtree(
    _ share: HostShare, begin: Int, count: Int, into memory: UnsafeMutablePointer<Float>,
    scratch: UnsafeMutablePointer<Float>
  ) -> UnsafeMutablePointer<Float>? {
    let nodes = share.nodes.compactMap { runs[$0].map { $0 + begin } }
    if nodes.count == 1 { return nodes[0] }
    let levels = share.nodes.map { reduction.round.nodes[$0].level }
    BlockSum(
      CounterPlan(retained: [], fed: levels, isLast: true), nodes: nodes, slots: [memory], scratch: scratch
    ).run(count: count)
    return memory
  }

  /// What was read from windows counts as sent by its holder.
  private func account(_ counts: [Int]) {
    guard hosts.hasNeighbours else { return }
    let nodes = reduction.round.nodes.filter { hosts.hostOfRank[$0.rank] == host }
    let own = nodes.count { $0.rank == rank }
    for owner in counts.indices {
      if hosts.carrier(of: owner, on: host) == rank {
        runner.account(sent: 0, received: 4 * counts[owner] * (nodes.count - own))
      } else {
        runner.account(sent: 4 * counts[owner] * own, received: 0)
      }
    }
  }
}
