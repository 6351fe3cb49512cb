import CMPI
import EspalierComm
import EspalierTesting
import Testing

@Suite("Wire precision")
struct WirePrecisionTests {
  /// Rounds through the spacing of 8-bit significands in double precision: nearest, ties to even.
  private func rounded(_ value: Float) -> Float {
    guard value.isFinite, value != 0 else { return value }
    let spacing = Double(max(value.magnitude, Float.leastNormalMagnitude).binade) / 128
    let exact = (Double(value) / spacing).rounded(.toNearestOrEven) * spacing
    return exact == 0 ? (value.sign == .minus ? -0.0 : 0) : Float(exact)
  }

  @Test("brain floats are the nearest, ties to even, and infinities and NaN survive")
  func rounding() {
    var values: [Float] = [
      0, -0.0, 1, 1.00390625, 1.01171875, -1.00390625, 3.14159265, Float(bitPattern: 71_362), .leastNonzeroMagnitude,
      65504, 3.3e38, .infinity, -.infinity,
    ]
    values += (0..<5000).map { LaneReference.value(lane: 3, index: $0) }
    for value in values {
      var found = value
      cmpi_bfloat16_round(&found, 1)
      #expect(found.bitPattern == rounded(value).bitPattern, "\(value)")
    }
    // Above the largest there is only infinity; a NaN whose payload lies in the lower half stays one.
    var edges: [Float] = [.greatestFiniteMagnitude, Float(bitPattern: 0x7F80_0001), Float(bitPattern: 0xFFFF_FFFF)]
    cmpi_bfloat16_round(&edges, 3)
    #expect(edges[0] == .infinity && edges[1].isNaN && edges[2].isNaN)
    var packed = [UInt16](repeating: 0, count: 3)
    var back = [Float](repeating: 0, count: 3)
    cmpi_bfloat16_pack([1, -2.5, 0.1], &packed, 3)
    cmpi_bfloat16_unpack(packed, &back, 3)
    #expect(packed == [0x3F80, 0xC020, 0x3DCD] && back[1] == -2.5)
  }

  /// The sum of one lane a rank on every rank, and its own slice of the same reduction on the owner.
  private func sums(hosts: [Int], wire: WirePrecision, isShared: Bool) throws -> [(all: [Float], own: [Float])] {
    var options = Ranks.options
    options.pretendedHosts = hosts
    options.wire = wire
    let size = hosts.count
    return try Ranks.run(size, options: options) { communicator in
      let rank = communicator.rank
      let boundaries = (0...size).map { $0 * 100 }
      let run = boundaries[size]
      let slab = isShared ? communicator.slabs(counts: [run], label: "l")[0] : communicator.slab(count: run)
      let round = LaneDealing(lanes: size, ranks: size, order: .contiguous).rounds[0]
      func fill() { for index in 0..<run { slab.pointer[index] = LaneReference.value(lane: rank, index: index) } }
      fill()
      try communicator.allReduce(
        [slab.range], round: round, boundaries: boundaries, into: slab.range, label: "all"
      ).wait()
      let all = (0..<run).map { slab.pointer[$0] }
      fill()
      let own = communicator.slab(count: 100)
      let counter = LaneCounter(slots: [own.range], nodesIn: [slab])
      try communicator.reduceScatter(
        [slab.range], round: round, boundaries: boundaries, into: counter, label: "own"
      ).wait()
      return (all, (0..<100).map { own.pointer[$0] })
    }
  }

  @Test(
    "between hosts gradients are rounded once and added in 32 bits; every rank holds one sum", arguments: [true, false])
  func accumulation(isShared: Bool) throws {
    let results = try sums(hosts: [0, 0, 1, 1], wire: .bfloat16, isShared: isShared)
    func lane(_ lane: Int, _ index: Int) -> Float { LaneReference.value(lane: lane, index: index) }
    var differ = 0
    for (rank, result) in results.enumerated() {
      #expect(result.all == results[0].all)
      for place in 0..<100 {
        let index = 100 * rank + place
        let low = lane(0, index) + lane(1, index), high = lane(2, index) + lane(3, index)
        var expected = rank < 2 ? low + rounded(high) : rounded(low) + high
        if !isShared {
          // Without windows a host's lanes cross one by one.
          expected =
            rank < 2
            ? low + (rounded(lane(2, index)) + rounded(lane(3, index)))
            : (rounded(lane(0, index)) + rounded(lane(1, index))) + high
        }
        #expect(result.own[place].bitPattern == expected.bitPattern)
        #expect(result.all[index].bitPattern == rounded(expected).bitPattern)
        if expected != low + high { differ += 1 }
      }
    }
    #expect(differ > 100)
  }

  @Test("on one host nothing is rounded")
  func oneHost() throws {
    for result in try sums(hosts: [0, 0, 0], wire: .bfloat16, isShared: true) {
      #expect(result.all == (0..<300).map { LaneReference.sum(lanes: 3, index: $0) })
    }
  }

  @Test("half the bytes leave the host")
  func bytes() throws {
    func crossing(_ wire: WirePrecision) throws -> [Int] {
      var options = Ranks.options
      options.pretendedHosts = [0, 1]
      options.wire = wire
      return try Ranks.run(2, options: options) { communicator in
        let slab = communicator.slab(count: 200)
        let round = LaneDealing(lanes: 2, ranks: 2, order: .contiguous).rounds[0]
        try communicator.allReduce(
          [slab.range], round: round, boundaries: [0, 100, 200], into: slab.range, label: "sum"
        ).wait()
        return communicator.statistics.bytesToOtherHosts
      }
    }
    #expect(try crossing(.float32) == [800, 800])
    #expect(try crossing(.bfloat16) == [400, 400])
  }
}

@Suite("Native reduction")
struct NativeReductionTests {
  @Test("in process it is refused with the reason")
  func refused() {
    let error = #expect(throws: CommunicationError.self) {
      _ = try World.inProcess(ranks: 2, options: CommunicationOptions(reduction: .native)) { _ in }
    }
    #expect(error?.kind == .notAvailable && error?.reason.contains("threads of one process") == true)
  }
}
