import EspalierComm
import EspalierTesting
import Testing

@Suite("World")
struct WorldTests {
  @Test("results come by rank")
  func results() throws {
    #expect(try Ranks.run(5) { $0.rank * 10 + $0.size } == [5, 15, 25, 35, 45])
  }

  @Test("ranks have room for deep recursion")
  func deepStack() throws {
    // About 30 MiB of frames; a thread's default is 8.
    @Sendable func depth(_ count: Int) -> Int {
      withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 1000) { bytes in
        bytes[0] = 1
        return count == 0 ? 0 : depth(count - 1) + Int(bytes[0])
      }
    }
    #expect(try Ranks.run(2) { _ in depth(30_000) } == [30_000, 30_000])
  }

  @Test(
    "a launcher's announcement is read from its variables",
    arguments: [
      ([:], 1), (["OMPI_COMM_WORLD_SIZE": "4"], 4), (["PMI_SIZE": "3"], 3), (["PMI_SIZE": "nonsense"], 1),
      (["SLURM_NTASKS": "8"], 1), (["SLURM_NTASKS": "8", "SLURM_PROCID": "0"], 1),
      (["SLURM_NTASKS": "8", "SLURM_PROCID": "0", "SLURM_STEP_ID": "0"], 8),
      (["SLURM_NTASKS": "8", "SLURM_STEP_NUM_TASKS": "2", "SLURM_PROCID": "0", "SLURM_STEP_ID": "0"], 2),
    ] as [([String: String], Int)])
  func announcements(environment: [String: String], size: Int) {
    #expect(World.announcement(in: environment).size == size)
  }

  @Test("slabs are zero, on cache lines, and counted while they live")
  func slabs() throws {
    let counts = try Ranks.run(1) { communicator -> [Int] in
      var counts: [Int] = []
      do {
        let slabs = [0, 1, 17, 1000].map { communicator.slab(count: $0) }
        for slab in slabs {
          #expect(UInt(bitPattern: slab.pointer) % 64 == 0)
          #expect((0..<slab.count).allSatisfy { slab.pointer[$0].bitPattern == 0 })
        }
        counts.append(communicator.statistics.slabBytes)
        withExtendedLifetime(slabs) {}
      }
      counts += [communicator.statistics.slabBytes, communicator.statistics.highWaterSlabBytes]
      return counts
    }
    #expect(counts[0] == [64 + 64 + 128 + 4032, 0, 64 + 64 + 128 + 4032])
  }

  @Test("time spent waiting is counted")
  func waiting() throws {
    let waited = try Ranks.run(2) { communicator in
      if communicator.rank == 1 {
        let end = ContinuousClock().now + .milliseconds(100)
        while ContinuousClock().now < end {}
      }
      try communicator.barrier(label: "late").wait()
      return communicator.statistics.secondsWaited
    }
    #expect(waited[0] > 0.05)
  }

  @Test("staging is one chunk for each node of another rank")
  func staging() throws {
    var options = Ranks.options
    options.chunkElements = 64
    let bytes = try Ranks.run(4, options: options) { communicator in
      let boundaries = (0...4).map { $0 * 1000 }
      try ReductionCase(lanes: 8, order: .contiguous, boundaries: boundaries, isInPlace: true).check(on: communicator)
      return communicator.statistics.stagingBytes
    }
    #expect(bytes == Array(repeating: 3 * 64 * 4, count: 4))
  }

  @Test("the last 64 collectives are remembered in their order")
  func log() throws {
    let logs = try Ranks.run(2) { communicator in
      for turn in 0..<70 { try communicator.barrier(label: "turn \(turn)").wait() }
      return communicator.recentCollectives
    }
    #expect(logs[0] == logs[1])
    #expect(logs[0].map(\.label).suffix(63) == (7..<70).map { "turn \($0)" }[...])
    #expect(logs[0].count == 64 && logs[0].last?.sequence == 70)
  }

  @Test("a step that was given up can be forgotten")
  func resetCounter() throws {
    _ = try Ranks.run(2) { communicator in
      let dealing = LaneDealing(lanes: 4, ranks: 2, order: .roundRobin)
      let boundaries = [0, 5, 10]
      let counter = LaneCounter(slots: [communicator.slab(count: 5).range])
      func feed(_ round: LaneDealing.Round, _ value: Float) throws {
        let slab = communicator.slab(count: 10)
        slab.pointer.update(repeating: value, count: 10)
        try communicator.reduceScatter([slab.range], round: round, boundaries: boundaries, into: counter, label: "r")
          .wait()
      }
      try feed(dealing.rounds[0], .nan)
      counter.reset()
      for round in dealing.rounds { try feed(round, 1) }
      // And once more: a finished sum leaves the counter ready for the next.
      for round in dealing.rounds { try feed(round, 2) }
      #expect((0..<5).allSatisfy { counter.slots[0].pointer[$0] == 8 })
    }
  }
}
