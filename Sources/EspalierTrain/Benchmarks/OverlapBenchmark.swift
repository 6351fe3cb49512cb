package import EspalierComm
import EspalierTensor

/// How much of a reduction is hidden behind computing: the communication thread reduces while the rank's thread multiplies.
package enum OverlapBenchmark {
  package struct Report: Codable, Sendable {
    package let ranks: Int
    package let hosts: Int
    package let bytes: Int
    /// Medians over the rounds, each the slowest rank's: the reduction alone, the computing alone, both at once.
    package let reductionSeconds: Double
    package let computeSeconds: Double
    package let togetherSeconds: Double

    /// 1 − (together − compute) / reduction: 1 where the reduction cost nothing, 0 where it might as well have come after,
    /// below 0 where the two hinder each other. The median over the rounds, whose three times lie close together, so that a
    /// machine that is busy for a while does not tip it.
    package let hiddenShare: Double
  }

  /// An all-reduce (reduce to slices, then gather) of `bytes` with one lane a rank, against matrix products that take as long.
  ///
  /// The three times are taken in turn, `rounds` times, after three rounds that are not counted and in which the number of
  /// products is chosen. Collective.
  package static func run(_ communicator: Communicator, bytes: Int, rounds: Int) throws -> Report {
    Kernels.threads = 1
    let setting = Setting(communicator, count: bytes / 4)
    func slowest(_ action: () throws -> Void) throws -> Double {
      try communicator.barrier(label: "benchmark").wait()
      let started = ReportClock.uptime()
      try action()
      let seconds = ReportClock.uptime() - started
      return try communicator.allGather([seconds], label: "times").wait().map { $0[0] }.max() ?? seconds
    }
    var products = 16
    for _ in 0..<3 {
      let reduction = try slowest { try setting.reduce().wait() }
      let trial = try slowest { setting.compute(products) } / Double(products)
      products = max(1, Int((reduction / trial).rounded()))
    }
    var alone: [Double] = [], compute: [Double] = [], together: [Double] = []
    for _ in 0..<rounds {
      alone.append(try slowest { try setting.reduce().wait() })
      compute.append(try slowest { setting.compute(products) })
      together.append(
        try slowest {
          let pending = setting.reduce()
          setting.compute(products)
          try pending.wait()
        })
    }
    func median(_ values: [Double]) -> Double { values.sorted()[values.count / 2] }
    return Report(
      ranks: communicator.size, hosts: Set(communicator.members.map(\.host)).count, bytes: bytes,
      reductionSeconds: median(alone), computeSeconds: median(compute), togetherSeconds: median(together),
      hiddenShare: median(alone.indices.map { 1 - (together[$0] - compute[$0]) / alone[$0] }))
  }

  /// What one rank reduces and multiplies.
  private struct Setting {
    let communicator: Communicator
    let contribution: Slab
    let counter: LaneCounter
    let round: LaneDealing.Round
    let boundaries: [Int]
    let pool = Pool()
    /// The side of the matrices.
    static let side = 192
    let values = [Float](repeating: 0.01, count: side * side)

    init(_ communicator: Communicator, count: Int) {
      self.communicator = communicator
      let ranks = communicator.size
      contribution = communicator.slab(count: count)
      boundaries = (0...ranks).map { $0 * count / ranks }
      let dealing = LaneDealing(lanes: ranks, ranks: ranks, order: .contiguous)
      round = dealing.rounds[0]
      let slice = boundaries[communicator.rank + 1] - boundaries[communicator.rank]
      counter = LaneCounter(
        slots: (0..<dealing.retainedNodes).map { _ in communicator.slab(count: slice).range })
    }

    /// The gather follows the reduction on the communication thread: it is the last to be waited for.
    func reduce() -> Pending<Void> {
      counter.reset()
      _ = communicator.reduceScatter(
        [contribution.range], round: round, boundaries: boundaries, into: counter, label: "benchmark")
      return communicator.allGather(contribution.range, boundaries: boundaries, label: "benchmark")
    }

    func compute(_ products: Int) {
      let shape = Shape([Self.side, Self.side])
      let tape = Tape(pool: pool, mode: .inference)
      let a = tape.constant(values, shape), b = tape.constant(values, shape)
      for _ in 0..<products { _ = a.linear(b) }
    }
  }
}
