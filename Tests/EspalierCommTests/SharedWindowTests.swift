import EspalierComm
import EspalierTesting
import Foundation
import Testing

@Suite("Shared windows in process")
struct SharedWindowTests {
  @Test(
    "every law holds with windows, without, and between pretended hosts",
    arguments: [
      [0, 0], [0, 1], [0, 0, 0], [0, 0, 1], [0, 1, 0], [0, 1, 1, 0], [0, 0, 1, 1], [0, 1, 2, 3], [0, 0, 0, 1, 2],
    ])
  func lawsBetweenHosts(hosts: [Int]) throws {
    for usesWindows in [true, false] {
      var options = Ranks.options
      options.pretendedHosts = hosts
      options.usesWindows = usesWindows
      _ = try Ranks.run(hosts.count, options: options) { try BackendLaws.all($0) }
    }
  }

  @Test("the bits are those of a serial counter for every number of ranks on one to three hosts", arguments: 1...9)
  func bits(ranks: Int) throws {
    for hosts in 1...min(3, ranks) {
      for chunk in [7, 64, 262_144] {
        var options = Ranks.options
        options.checksCollectives = false
        options.chunkElements = chunk
        options.pretendedHosts = (0..<ranks).map { $0 * hosts / ranks }
        _ = try Ranks.run(ranks, options: options) { communicator in
          for lanes in ranks...9 {
            let even = (0...ranks).map { $0 * 150 / ranks }
            for order in [LaneDealing.Order.contiguous, .roundRobin] {
              try ReductionCase(lanes: lanes, order: order, boundaries: even, isInPlace: lanes % 2 == 0, isShared: true)
                .check(on: communicator)
            }
            try ReductionCase(lanes: lanes, order: .contiguous, boundaries: even, isInPlace: true, isShared: true)
              .checkEverywhere(on: communicator)
          }
        }
      }
    }
  }

  @Test("slabs of a layout are shared where a neighbour is, and only there")
  func sharing() throws {
    func isShared(_ hosts: [Int], _ usesWindows: Bool = true) throws -> [Bool] {
      var options = Ranks.options
      options.pretendedHosts = hosts
      options.usesWindows = usesWindows
      return try Ranks.run(hosts.count, options: options) { $0.slabs(counts: [5], label: "layout")[0].isShared }
    }
    #expect(try isShared([0]) == [false])
    #expect(try isShared([0, 0]) == [true, true])
    #expect(try isShared([0, 1]) == [false, false])
    // The rank without a neighbour takes the same part in the others' reductions as if it had one.
    #expect(try isShared([0, 0, 1]) == [true, true, true])
    #expect(try isShared([0, 0], false) == [false, false])
  }

  @Test("on two hosts of two ranks each run crosses the wire once in each direction")
  func bytesBetweenHosts() throws {
    var options = Ranks.options
    options.pretendedHosts = [0, 0, 1, 1]
    func crossing(isShared: Bool) throws -> [Int] {
      try Ranks.run(4, options: options) { communicator in
        let boundaries = (0...4).map { $0 * 100 }
        try ReductionCase(
          lanes: 8, order: .contiguous, boundaries: boundaries, isInPlace: true, isShared: isShared
        ).check(on: communicator)
        return communicator.statistics.byKind[.reduceScatter]?.bytesToOtherHosts ?? 0
      }
    }
    // Two slices of 100 floats are the other host's; each local rank carries one, once for both ranks' nodes.
    #expect(try crossing(isShared: true) == [400, 400, 400, 400])
    #expect(try crossing(isShared: false) == [800, 800, 800, 800])
  }

  @Test(
    "four and eight hosts halve short slices with the bits of the counter, in the memory of halving",
    arguments: [[0, 1, 2, 3], [0, 0, 1, 1, 2, 2, 3, 3], [0, 1, 2, 3, 4, 5, 6, 7]])
  func halving(hosts: [Int]) throws {
    var options = Ranks.options
    options.pretendedHosts = hosts
    let size = hosts.count
    _ = try Ranks.run(size, options: options) { communicator in
      for lanes in [size, 2 * size] {
        for count in [16 * size, 1001] {
          let boundaries = (0...size).map { $0 * count / size }
          for order in [LaneDealing.Order.contiguous, .roundRobin] {
            try ReductionCase(lanes: lanes, order: order, boundaries: boundaries, isInPlace: true, isShared: true)
              .check(on: communicator)
          }
          try ReductionCase(lanes: lanes, order: .contiguous, boundaries: boundaries, isInPlace: true, isShared: true)
            .checkEverywhere(on: communicator)
        }
      }
    }
    let staging = try Ranks.run(size, options: options) { communicator in
      let even = (0...size).map { $0 * 16 }
      try ReductionCase(lanes: size, order: .contiguous, boundaries: even, isInPlace: true, isShared: true)
        .check(on: communicator)
      return communicator.statistics.stagingBytes
    }
    // Halving works on the slices of all hosts and on what arrives of half of them; pairwise needs one chunk a host.
    let count = Set(hosts).count
    #expect(staging == Array(repeating: (count + count / 2) * 64, count: size))
  }

  @Test("a rank that fails wakes neighbours that wait in shared memory", arguments: [0, 1, 2])
  func failingNeighbour(failing: Int) throws {
    struct Broken: Error, Equatable {}
    var failure: (any Error)?
    let started = ContinuousClock().now
    do {
      _ = try World.inProcess(ranks: 3) { communicator in
        let slab = communicator.slabs(counts: [30], label: "layout")[0]
        if communicator.rank == failing { throw Broken() }
        try communicator.allGather(slab.range, boundaries: [0, 10, 20, 30], label: "weights").wait()
      }
    } catch { failure = error }
    #expect(failure as? Broken == Broken())
    #expect(started.duration(to: ContinuousClock().now) < .seconds(5))
  }

  @Test("ranks at different collectives notice it in shared memory without checks")
  func mismatch() throws {
    var kind: CommunicationError.Kind?
    do {
      _ = try World.inProcess(ranks: 2) { communicator in
        let slab = communicator.slabs(counts: [8], label: "layout")[0]
        try communicator.allGather(
          slab.range, boundaries: [0, communicator.rank == 0 ? 4 : 3, 8], label: "weights"
        ).wait()
      }
    } catch let error as CommunicationError { kind = error.kind }
    #expect(kind == .collectivesDiffer)
  }

  @Test("a neighbour that has ended is an error for those that wait for it")
  func endedNeighbour() throws {
    var kind: CommunicationError.Kind?
    do {
      _ = try World.inProcess(ranks: 2) { communicator in
        let slab = communicator.slabs(counts: [8], label: "layout")[0]
        guard communicator.rank == 0 else { return }
        try communicator.allGather(slab.range, boundaries: [0, 4, 8], label: "weights").wait()
      }
    } catch let error as CommunicationError { kind = error.kind }
    #expect(kind == .peerFinished)
  }

  @Test("a window is refused before it would overflow its file system")
  func space() {
    #expect(WindowSpace.refusal(needed: 100 << 20, free: 200 << 20, directory: "/dev/shm") == nil)
    #expect(
      WindowSpace.refusal(needed: 400 << 20, free: 64 << 20, directory: "/dev/shm")
        == "/dev/shm has 64.0 MiB free and the slabs of this host need 400.0 MiB")
    #expect(WindowSpace.refusal(needed: 61 << 20, free: 64 << 20, directory: "/dev/shm") != nil)
  }
}

@Suite("HostMap")
struct HostMapTests {
  @Test("every slice has one carrier on every host, and its owner on its own")
  func carriers() {
    let map = HostMap(labels: [7, 3, 7, 3, 3])
    #expect(map.hosts == [[0, 2], [1, 3, 4]])
    #expect((0..<5).map { map.carrier(of: $0, on: map.hostOfRank[$0]) } == [0, 1, 2, 3, 4])
    #expect((0..<5).map { map.carrier(of: $0, on: 0) } == [0, 0, 2, 2, 0])
    #expect((0..<5).map { map.carrier(of: $0, on: 1) } == [1, 1, 3, 3, 4])
  }

  @Test("halves of a subtree on one host are handed over as one")
  func shares() {
    let nodes = LaneDealing(lanes: 8, ranks: 4, order: .contiguous).rounds[0].nodes
    let two = HostShare.shares(of: nodes, HostMap(labels: [0, 0, 1, 1]))
    #expect(two.map(\.nodes) == [0..<2, 2..<4] && two.map(\.level) == [2, 2] && two.map(\.host) == [0, 1])
    #expect(HostShare.shares(of: nodes, HostMap(labels: [0, 1, 0, 1])).count == 4)
    #expect(HostShare.shares(of: nodes, HostMap(labels: [0, 1, 1, 1])).map(\.level) == [1, 1, 2])
  }
}
