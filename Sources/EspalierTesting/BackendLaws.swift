package import EspalierComm
internal import Foundation

/// What every transport must do, checked by the ranks themselves: the same file runs in process and under mpirun.
package enum BackendLaws {
  /// Runs every law on this rank's communicator, at the same time on every rank, and returns their names.
  ///
  /// - Throws: `BrokenLaw` with the rank, the element and both values.
  package static func all(_ communicator: Communicator) throws -> [String] {
    let laws: [(name: String, check: (Communicator) throws -> Void)] = [
      ("members are told apart and agreed on", members),
      ("the sum over lanes has the bits of a serial counter", reductions),
      ("the sum over shared slabs, on owners and on every rank, has the same bits", sharedReductions),
      ("all-gather fills uneven and empty slices in place", gathers),
      ("all-gather brings shards into shared slabs", sharedGathers),
      ("every rank has its part of every other, uneven and empty ones too, and the way back undoes it", exchanges),
      ("broadcast copies from every root", broadcasts),
      ("values and bytes are gathered bit for bit in any counts", bookkeeping),
      ("no rank passes a barrier before the last arrives", barriers),
      ("many collectives may be asked for before the first is waited for", queues),
      ("what must be the same is compared, and the odd ranks are named", uniformity),
      ("bytes moved are those of the algorithm", traffic),
      ("shared slabs are zero, on cache lines, and their window is given back", windows),
    ]
    for law in laws {
      do {
        try law.check(communicator)
      } catch let error as BrokenLaw {
        throw BrokenLaw("\(law.name): rank \(communicator.rank) of \(communicator.size): \(error)")
      }
    }
    return laws.map(\.name)
  }

  /// Cuts of a run of `count` elements among `size` ranks: even, ragged, all on the last rank, all on the first, and of nothing.
  package static func cuts(of count: Int, size: Int) -> [[Int]] {
    let even = (0...size).map { $0 * count / size }
    let ragged = (0...size).map { $0 == size ? count : min(count, $0 * $0 * 7 / 2) }
    let last = (0...size).map { $0 == size ? count : 0 }
    let first = (0...size).map { $0 == 0 ? 0 : count }
    return [even, ragged, last, first, Array(repeating: 0, count: size + 1)]
  }

  private static func members(_ communicator: Communicator) throws {
    try expect(communicator.members.map(\.rank), Array(0..<communicator.size), "ranks of the members")
    let mine = communicator.members[communicator.rank]
    try expect(mine.pid, Int(ProcessInfo.processInfo.processIdentifier), "my own pid")
    let views = try communicator.allGather(bytes: Array("\(communicator.members)".utf8), label: "members").wait()
    try expect(Set(views).count, 1, "number of different views of the members")
  }

  private static func reductions(_ communicator: Communicator) throws {
    let size = communicator.size
    for lanes in size...max(9, size) {
      for order in [LaneDealing.Order.contiguous, .roundRobin] {
        for (index, boundaries) in cuts(of: 131, size: size).enumerated() {
          let isInPlace = (lanes + index) % 2 == 0
          try ReductionCase(lanes: lanes, order: order, boundaries: boundaries, isInPlace: isInPlace)
            .check(on: communicator)
        }
      }
    }
  }

  private static func sharedReductions(_ communicator: Communicator) throws {
    let size = communicator.size
    for lanes in size...max(9, size) {
      let cuts = cuts(of: 131, size: size)
      for (index, boundaries) in [cuts[lanes % 5], cuts[(lanes + 3) % 5]].enumerated() {
        for order in [LaneDealing.Order.contiguous, .roundRobin] {
          try ReductionCase(
            lanes: lanes, order: order, boundaries: boundaries, isInPlace: (lanes + index) % 2 == 0, isShared: true
          ).check(on: communicator)
        }
        try ReductionCase(
          lanes: lanes, order: .contiguous, boundaries: boundaries, isInPlace: true, isShared: index == 0
        ).checkEverywhere(on: communicator)
      }
    }
    // More than one block, and not a whole number of them.
    let boundaries = (0...size).map { $0 * 9001 / size }
    let long = ReductionCase(
      lanes: size + 1, order: .contiguous, boundaries: boundaries, isInPlace: true, isShared: true)
    try long.check(on: communicator)
    try long.checkEverywhere(on: communicator)
  }

  private static func sharedGathers(_ communicator: Communicator) throws {
    let rank = communicator.rank
    for boundaries in cuts(of: 5001, size: communicator.size) {
      let count = boundaries[communicator.size]
      let slice = boundaries[rank]..<boundaries[rank + 1]
      let slabs = communicator.slabs(counts: [17 * rank, count + 2, count], label: "layout")
      let shard = communicator.slab(count: slice.count)
      for index in slice {
        slabs[1].pointer[1 + index] = Float(index)
        shard.pointer[index - slice.lowerBound] = Float(-index)
      }
      let inPlace = SlabRange(slab: slabs[1], offset: 1, count: count)
      let first = communicator.allGather(inPlace, boundaries: boundaries, label: "weights")
      let second = communicator.allGather(
        slabs[2].range, from: shard.range, boundaries: boundaries, label: "shards")
      let whole = communicator.slab(count: count)
      try communicator.allGather(whole.range, from: shard.range, boundaries: boundaries, label: "private").wait()
      try first.wait()
      try second.wait()
      try expect((0..<count).map { inPlace.pointer[$0] }, (0..<count).map { Float($0) }, "run cut at \(boundaries)")
      try expect(slabs[1].pointer[0] == 0 && slabs[1].pointer[count + 1] == 0, true, "elements beside the run are left")
      for slab in [slabs[2], whole] {
        try expect((0..<count).map { slab.pointer[$0] }, (0..<count).map { Float(-$0) }, "shards cut at \(boundaries)")
      }
    }
  }

  private static func windows(_ communicator: Communicator) throws {
    for turn in 0..<3 {
      // The communication thread has let go of earlier requests when it has served a later one.
      try communicator.barrier(label: "before layout \(turn)").wait()
      let before = communicator.statistics.slabBytes
      let counts = [0, 1, 17, 1000 + communicator.rank]
      let slabs = communicator.slabs(counts: counts, label: "layout \(turn)")
      try expect(slabs.map(\.count), counts, "elements of the slabs")
      for slab in slabs {
        try expect(UInt(bitPattern: slab.pointer) % 64, 0, "place of a slab beyond a cache line")
        try expect((0..<slab.count).allSatisfy { slab.pointer[$0].bitPattern == 0 }, true, "zero at birth")
        slab.pointer.update(repeating: 7, count: slab.count)
        try expect(slab.isShared, slabs[0].isShared, "kind of memory of one layout")
      }
      try expect(communicator.statistics.slabBytes - before, 64 + 64 + 128 + 4032, "bytes of the slabs")
      withExtendedLifetime(slabs) {}
    }
  }

  private static func gathers(_ communicator: Communicator) throws {
    for boundaries in cuts(of: 301, size: communicator.size) {
      let count = boundaries[communicator.size]
      let slab = communicator.slab(count: count + 2)
      slab.pointer.update(repeating: -1, count: count + 2)
      for index in boundaries[communicator.rank]..<boundaries[communicator.rank + 1] {
        slab.pointer[1 + index] = Float(index)
      }
      let range = SlabRange(slab: slab, offset: 1, count: count)
      try communicator.allGather(range, boundaries: boundaries, label: "weights").wait()
      try expect(
        (0..<count + 2).map { slab.pointer[$0] }, [-1] + (0..<count).map(Float.init) + [-1], "run cut at \(boundaries)")
    }
  }

  private static func exchanges(_ communicator: Communicator) throws {
    let (rank, size) = (communicator.rank, communicator.size)
    func value(_ sender: Int, _ receiver: Int, _ index: Int) -> Float {
      Float(10_000 * sender + 1000 * receiver + index)
    }
    // The same for all pairs; ragged with empty parts; all for the last rank; nothing at all.
    let patterns: [(Int, Int) -> Int] = [
      { _, _ in 5 }, { ($0 * 7 + $1 * 3) % 4 * 9 }, { _, to in to == size - 1 ? 17 : 0 }, { _, _ in 0 },
    ]
    for (turn, pattern) in patterns.enumerated() {
      var counts = AllToAllCounts(ranks: size)
      for from in 0..<size { for to in 0..<size { counts[from, to] = pattern(from, to) } }
      let parts = (0..<size).flatMap { to in (0..<counts[rank, to]).map { value(rank, to, $0) } }
      let expected = (0..<size).flatMap { from in (0..<counts[from, rank]).map { value(from, rank, $0) } }
      let outgoing = communicator.slab(count: parts.count), incoming = communicator.slab(count: expected.count)
      for (index, part) in parts.enumerated() { outgoing.pointer[index] = part }
      let before = communicator.statistics.byKind[.allToAll] ?? .init()
      try communicator.allToAll(outgoing.range, into: incoming.range, counts: counts, label: "parts \(turn)").wait()
      try expect((0..<expected.count).map { incoming.pointer[$0] }, expected, "parts of turn \(turn)")
      let after = communicator.statistics.byKind[.allToAll] ?? .init()
      try expect(
        [after.bytesSent - before.bytesSent, after.bytesReceived - before.bytesReceived],
        [4 * (parts.count - counts[rank, rank]), 4 * (expected.count - counts[rank, rank])], "bytes of turn \(turn)")
      for index in parts.indices { outgoing.pointer[index] = -1 }
      try communicator.allToAll(
        incoming.range, into: outgoing.range, counts: counts.reversed, label: "back \(turn)"
      ).wait()
      try expect((0..<parts.count).map { outgoing.pointer[$0] }, parts, "parts of turn \(turn), back")
      withExtendedLifetime((outgoing, incoming)) {}
    }
  }

  private static func broadcasts(_ communicator: Communicator) throws {
    for root in 0..<communicator.size {
      for count in [0, 1, 1000] {
        let slab = communicator.slab(count: count)
        let isRoot = communicator.rank == root
        for index in 0..<count { slab.pointer[index] = isRoot ? Float(index + root) : -1 }
        try communicator.broadcast(slab.range, from: root, label: "values").wait()
        try expect(
          (0..<count).map { slab.pointer[$0] }, (0..<count).map { Float($0 + root) }, "floats from root \(root)")
        let text = [UInt8](repeating: UInt8(root), count: count)
        let mine = isRoot ? text : [UInt8](repeating: 255, count: communicator.rank)
        let received = try communicator.broadcast(bytes: mine, from: root, label: "text").wait()
        try expect(received, text, "bytes from root \(root)")
      }
    }
  }

  private static func bookkeeping(_ communicator: Communicator) throws {
    let size = communicator.size
    func values(_ rank: Int) -> [Double] {
      (0..<rank * 3).map { Double($0) / 3 + Double(rank) } + (rank > 0 ? [.nan, -0.0] : [])
    }
    let gathered = try communicator.allGather(values(communicator.rank), label: "norms").wait()
    try expect(
      gathered.map { $0.map(\.bitPattern) }, (0..<size).map { values($0).map(\.bitPattern) }, "values by rank")
    // Different lengths on every rank, also none.
    func bytes(_ rank: Int) -> [UInt8] { (0..<(rank * 977) % 2900).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ rank) } }
    let texts = try communicator.allGather(bytes: bytes(communicator.rank), label: "summaries").wait()
    try expect(texts, (0..<size).map(bytes), "bytes by rank")
  }

  private static func barriers(_ communicator: Communicator) throws {
    // Clocks of different hosts cannot be compared.
    let isOneHost = Set(communicator.members.map(\.host)).count == 1
    for late in 0..<communicator.size {
      if late == communicator.rank { Thread.sleep(forTimeInterval: 0.02) }
      let arrived = Date().timeIntervalSince1970
      try communicator.barrier(label: "rank \(late) is late").wait()
      let left = Date().timeIntervalSince1970
      let times = try communicator.allGather([arrived, left], label: "times").wait()
      let lastArrival = times.map { $0[0] }.max() ?? 0
      let firstDeparture = times.map { $0[1] }.min() ?? 0
      guard isOneHost, firstDeparture < lastArrival else { continue }
      throw BrokenLaw("a rank left \(lastArrival - firstDeparture) s before the last arrived")
    }
  }

  private static func queues(_ communicator: Communicator) throws {
    let size = communicator.size
    let pending = (0..<50).map { turn in
      communicator.allGather([Double(turn * size + communicator.rank)], label: "turn \(turn)")
    }
    for (turn, pending) in pending.enumerated().reversed() {
      try expect(try pending.wait(), (0..<size).map { [Double(turn * size + $0)] }, "turn \(turn)")
    }
  }

  private static func uniformity(_ communicator: Communicator) throws {
    try communicator.requireSame(42, what: "hash of the settings")
    try communicator.requireSame("", what: "nothing")
    guard communicator.size > 1 else { return }
    let odd = communicator.size - 1
    do {
      try communicator.requireSame(communicator.rank == odd ? "v3" : "v4", what: "kernel level")
    } catch let error as CommunicationError {
      try expect(error.kind, .valuesDiffer, "kind of error")
      try expect(error.reason.contains("'v3' on rank \(odd) ("), true, "odd rank named in '\(error.reason)'")
      return
    }
    throw BrokenLaw("a value that differs on rank \(odd) was taken for the same")
  }

  private static func traffic(_ communicator: Communicator) throws {
    let size = communicator.size
    let rank = communicator.rank
    let boundaries = cuts(of: 150, size: size)[1]
    let slice = boundaries[rank + 1] - boundaries[rank]
    let before = communicator.statistics
    let lanes = size + 2
    try ReductionCase(lanes: lanes, order: .contiguous, boundaries: boundaries, isInPlace: true).check(on: communicator)
    let slab = communicator.slab(count: 150)
    try communicator.allGather(slab.range, boundaries: boundaries, label: "weights").wait()
    let after = communicator.statistics
    let nodes = LaneDealing(lanes: lanes, ranks: size, order: .contiguous).rounds[0].nodes
    let mine = nodes.filter { $0.rank == rank }.count
    func moved(_ kind: CollectiveKind) -> [Int] {
      let now = after.byKind[kind] ?? .init()
      let then = before.byKind[kind] ?? .init()
      return [
        now.bytesSent - then.bytesSent, now.bytesReceived - then.bytesReceived, now.collectives - then.collectives,
      ]
    }
    try expect(
      moved(.reduceScatter), [4 * mine * (150 - slice), 4 * (nodes.count - mine) * slice, 1], "reduce-scatter's bytes")
    try expect(moved(.allGather), [4 * slice * (size - 1), 4 * (150 - slice), 1], "all-gather's bytes")
    try expect(after.slabBytes - before.slabBytes, 640, "bytes of the one slab that is alive")
    withExtendedLifetime(slab) {}
  }

  private static func expect<Value: Equatable>(_ found: Value, _ expected: Value, _ what: String) throws {
    guard found != expected else { return }
    throw BrokenLaw("\(what): \(found), not \(expected)")
  }
}
