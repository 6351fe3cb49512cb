/// Every rank's slice on every rank, written by its owner straight into the windows of its neighbours; between hosts each slice travels once,
/// and the local rank that receives it hands it on.
struct SliceGather {
  /// The run on this rank.
  let range: SlabRange
  /// This rank's slice, where it does not lie in the run already.
  let shard: SlabRange?
  let boundaries: [Int]

  func run(on runner: CollectiveRunner) throws {
    let slice = boundaries[runner.rank]..<boundaries[runner.rank + 1]
    guard let window = range.slab.window else {
      if let shard { (range.pointer + slice.lowerBound).update(from: shard.pointer, count: slice.count) }
      return try runner.allGather(range, boundaries: boundaries)
    }
    let runs = try window.meet(lending: [range], signature: runner.signature, runner.backend).map { $0[0] }
    let own = shard?.pointer ?? range.pointer + slice.lowerBound
    let targets = runs.map { $0 + slice.lowerBound }.filter { $0 != own }
    for offset in stride(from: 0, to: slice.count, by: BlockSum.blockElements) {
      let count = min(BlockSum.blockElements, slice.count - offset)
      for target in targets { (target + offset).update(from: own + offset, count: count) }
    }
    try Self.carry(runs, boundaries: boundaries, compresses: false, on: runner)
    Self.account(boundaries, on: runner)
    try window.part(runner.backend)
  }

  /// Brings the slices of other hosts to this one and this rank's slice to them.
  static func carry(
    _ runs: [UnsafeMutablePointer<Float>], boundaries: [Int], compresses: Bool, on runner: CollectiveRunner
  ) throws {
    let (rank, size, hosts) = (runner.rank, runner.size, runner.hosts)
    guard hosts.hosts.count > 1 else { return }
    let mine = runs[hosts.placeOfRank[rank]]
    let others = runs.filter { $0 != mine }
    func slice(_ rank: Int) -> Range<Int> { boundaries[rank]..<boundaries[rank + 1] }
    for distance in 1..<size {
      let to = (rank + distance) % size
      let from = (rank - distance + size) % size
      let sends = hosts.areApart(rank, to) && hosts.carrier(of: rank, on: hosts.hostOfRank[to]) == to
      let receives = hosts.areApart(rank, from) && hosts.carrier(of: from, on: hosts.hostOfRank[rank]) == rank
      guard sends || receives else { continue }
      let (outgoing, incoming) = (slice(rank), slice(from))
      let length = max(sends ? outgoing.count : 0, receives ? incoming.count : 0)
      for first in stride(from: 0, to: length, by: runner.options.chunkElements) {
        let sent = sends ? max(0, min(runner.options.chunkElements, outgoing.count - first)) : 0
        let received = receives ? max(0, min(runner.options.chunkElements, incoming.count - first)) : 0
        try runner.exchange(
          send: UnsafePointer(mine + outgoing.lowerBound + first), count: sent, to: to,
          receive: mine + incoming.lowerBound + first, count: received, from: from, compresses: compresses)
        for other in others where received > 0 {
          (other + incoming.lowerBound + first).update(from: mine + incoming.lowerBound + first, count: received)
        }
      }
    }
  }

  /// What went through windows counts as sent by who wrote it.
  static func account(_ boundaries: [Int], on runner: CollectiveRunner) {
    let (rank, hosts) = (runner.rank, runner.hosts)
    let host = hosts.hostOfRank[rank]
    for owner in 0..<runner.size {
      let count = boundaries[owner + 1] - boundaries[owner]
      if hosts.carrier(of: owner, on: host) == rank {
        runner.account(sent: 4 * count * (hosts.hosts[host].count - 1), received: 0)
      } else {
        runner.account(sent: 0, received: 4 * count)
      }
    }
  }
}
