package import EspalierComm

/// A law that does not hold, in words.
package struct BrokenLaw: Error, CustomStringConvertible {
  package let description: String
  package init(_ description: String) { self.description = description }
}

/// The sum over lanes as decisions §1 words it: a serial binary counter in plain Swift, against which every dealing is held.
package enum LaneReference {
  /// Element `index` of lane `lane`: signs mixed, magnitudes over nine decades, so that another order gives other bits.
  package static func value(lane: Int, index: Int) -> Float {
    var state = UInt64(lane &* 1_000_003 &+ index) &+ 0x9E37_79B9_7F4A_7C15
    state = (state ^ (state >> 30)) &* 0xBF58_476D_1CE4_E5B9
    state = (state ^ (state >> 27)) &* 0x94D0_49BB_1331_11EB
    state ^= state >> 31
    let mantissa = Float(Int64(state >> 40) - (1 << 23)) / Float(1 << 23)
    let scales: [Float] = [1e-4, 1e-2, 1, 1e2, 1e5]
    return mantissa * scales[Int(state % 5)]
  }

  /// The aligned subtree over lanes first ..< first + 2^level.
  package static func node(first: Int, level: Int, index: Int) -> Float {
    guard level > 0 else { return value(lane: first, index: index) }
    let half = 1 << (level - 1)
    return node(first: first, level: level - 1, index: index)
      + node(first: first + half, level: level - 1, index: index)
  }

  /// The sum of all lanes by a counter that is fed one lane at a time.
  package static func sum(lanes: Int, index: Int) -> Float {
    var stack: [(level: Int, value: Float)] = []
    for lane in 0..<lanes {
      stack.append((0, value(lane: lane, index: index)))
      while stack.count >= 2, stack[stack.count - 2].level == stack[stack.count - 1].level {
        let right = stack.removeLast()
        let left = stack.removeLast()
        stack.append((left.level + 1, left.value + right.value))
      }
    }
    var total = stack.removeLast().value
    while let left = stack.popLast() { total = left.value + total }
    return total
  }
}

/// One way to reduce: how lanes are dealt, where the run is cut, where the sum goes.
package struct ReductionCase: Sendable, CustomStringConvertible {
  package let lanes: Int
  package let order: LaneDealing.Order
  package let boundaries: [Int]
  /// Slot 0 is this rank's own slice of its first contribution.
  package let isInPlace: Bool
  /// Nodes lie in slabs that the ranks of a host share.
  package let isShared: Bool

  package init(lanes: Int, order: LaneDealing.Order, boundaries: [Int], isInPlace: Bool, isShared: Bool = false) {
    self.isShared = isShared
    self.lanes = lanes
    self.order = order
    self.boundaries = boundaries
    self.isInPlace = isInPlace
  }

  package var description: String {
    "\(lanes) lanes, \(order), boundaries \(boundaries)\(isInPlace ? ", in place" : "")\(isShared ? ", shared" : "")"
  }

  /// Reduces and holds every bit of this rank's slice against the serial counter.
  package func check(on communicator: Communicator) throws {
    let rank = communicator.rank
    let run = boundaries[communicator.size]
    let slice = boundaries[rank]..<boundaries[rank + 1]
    let dealing = LaneDealing(lanes: lanes, ranks: communicator.size, order: order)
    var counter: LaneCounter?
    // Slabs of an odd size before each, so that the neighbours' lie at other offsets than one's own.
    let most = max(1, dealing.rounds.map { $0.nodes(of: rank).count }.max() ?? 1)
    let counts = [rank * 100] + dealing.rounds.flatMap { _ in Array(repeating: run, count: most) }
    let shared = isShared ? communicator.slabs(counts: counts, label: "law") : []
    for (number, round) in dealing.rounds.enumerated() {
      let mine = round.nodes(of: rank)
      let contributions = mine.enumerated().map { index, node in
        let slab = isShared ? shared[1 + number * most + index] : communicator.slab(count: run)
        for index in 0..<run {
          slab.pointer[index] = LaneReference.node(first: node.firstLane, level: node.level, index: index)
        }
        return slab.range
      }
      let current = counter ?? makeCounter(dealing, contributions, slice, communicator, shared)
      counter = current
      try communicator.reduceScatter(
        contributions, round: round, boundaries: boundaries, into: current, label: "round \(number)"
      ).wait()
      for (node, contribution) in zip(mine, contributions) {
        for index in 0..<run where !slice.contains(index) {
          try expect(
            contribution.pointer[index], LaneReference.node(first: node.firstLane, level: node.level, index: index),
            "element \(index) of the contribution from lane \(node.firstLane), which is not its own slice", rank)
        }
      }
    }
    guard let counter else { throw BrokenLaw("\(self): no rounds") }
    for index in slice {
      try expect(
        counter.slots[0].pointer[index - slice.lowerBound], LaneReference.sum(lanes: lanes, index: index),
        "element \(index) of the sum", rank)
    }
  }

  /// The same with the whole sum on every rank, for a dealing in one round.
  package func checkEverywhere(on communicator: Communicator) throws {
    let rank = communicator.rank
    let run = boundaries[communicator.size]
    let round = LaneDealing(lanes: lanes, ranks: communicator.size, order: .contiguous).rounds[0]
    let mine = round.nodes(of: rank)
    let counts = [rank * 100] + Array(repeating: run, count: mine.count)
    let slabs =
      (isShared ? communicator.slabs(counts: counts, label: "law") : counts.map { communicator.slab(count: $0) })
      .dropFirst()
    for (node, slab) in zip(mine, slabs) {
      for index in 0..<run {
        slab.pointer[index] = LaneReference.node(first: node.firstLane, level: node.level, index: index)
      }
    }
    let contributions = slabs.map(\.range)
    try communicator.allReduce(
      contributions, round: round, boundaries: boundaries, into: contributions[0], label: "sum"
    ).wait()
    for index in 0..<run {
      try expect(
        contributions[0].pointer[index], LaneReference.sum(lanes: lanes, index: index),
        "element \(index) of the sum on every rank", rank)
    }
  }

  private func makeCounter(
    _ dealing: LaneDealing, _ contributions: [SlabRange], _ slice: Range<Int>, _ communicator: Communicator,
    _ shared: [Slab]
  ) -> LaneCounter {
    LaneCounter(
      slots: (0..<dealing.retainedNodes).map { slot in
        if slot == 0, isInPlace, let first = contributions.first {
          return SlabRange(slab: first.slab, offset: first.offset + slice.lowerBound, count: slice.count)
        }
        return communicator.slab(count: slice.count).range
      }, nodesIn: shared)
  }

  private func expect(_ found: Float, _ expected: Float, _ what: String, _ rank: Int) throws {
    guard found.bitPattern != expected.bitPattern else { return }
    throw BrokenLaw("\(self): rank \(rank): \(what) is \(found), not \(expected)")
  }
}
