package import EspalierComm
import Foundation

/// Times the sum of one run over all ranks, size by size: ours, whose bits the lanes decide alone, in turn with MPI's.
package enum CollectivesBenchmark {
  package struct Row: Codable, Sendable {
    package let bytes: Int
    /// Medians on rank 0, from a barrier to the sum on every rank.
    package let orderedMilliseconds: Double
    /// nil where the ranks are threads of one process.
    package let nativeMilliseconds: Double?
    /// What the cost model says of the ordered sum.
    package let predictedMilliseconds: Double
    /// The way that the ordered sum took.
    package let path: String

    /// Bytes of the run by the time, as osu_allreduce and nccl-tests call it.
    package var orderedGigabytesPerSecond: Double { Double(bytes) / orderedMilliseconds / 1e6 }
    package var nativeGigabytesPerSecond: Double? { nativeMilliseconds.map { Double(bytes) / $0 / 1e6 } }
    /// How many times as long MPI takes.
    package var ratio: Double? { nativeMilliseconds.map { $0 / orderedMilliseconds } }

    private enum Keys: String, CodingKey {
      case bytes, orderedMilliseconds, nativeMilliseconds, predictedMilliseconds, path
      case orderedGigabytesPerSecond, nativeGigabytesPerSecond, ratio
    }

    package func encode(to encoder: any Encoder) throws {
      var container = encoder.container(keyedBy: Keys.self)
      try container.encode(bytes, forKey: .bytes)
      try container.encode(orderedMilliseconds, forKey: .orderedMilliseconds)
      try container.encodeIfPresent(nativeMilliseconds, forKey: .nativeMilliseconds)
      try container.encode(predictedMilliseconds, forKey: .predictedMilliseconds)
      try container.encode(path, forKey: .path)
      try container.encode(orderedGigabytesPerSecond, forKey: .orderedGigabytesPerSecond)
      try container.encodeIfPresent(nativeGigabytesPerSecond, forKey: .nativeGigabytesPerSecond)
      try container.encodeIfPresent(ratio, forKey: .ratio)
    }
  }

  /// 4 B, 16 B, … 64 MiB.
  package static let sizes = (0...12).map { 4 << (2 * $0) }

  /// Every rank calls it; the rows are rank 0's.
  ///
  /// - Parameters:
  ///   - sizes: bytes, each a multiple of 4.
  ///   - repeats: counted runs of a size of 1 MiB; small sizes run more often, large ones less.
  package static func run(_ communicator: Communicator, sizes: [Int] = sizes, repeats: Int = 30) throws -> [Row] {
    let count = (sizes.max() ?? 4) / 4
    let slab = communicator.slabs(counts: [count], label: "benchmark")[0]
    let other = communicator.slab(count: communicator.hasNativeSums ? count : 0)
    let dealing = LaneDealing(lanes: communicator.size, ranks: communicator.size, order: .contiguous)
    return try sizes.map { bytes in
      let count = bytes / 4
      let range = SlabRange(slab: slab, offset: 0, count: count)
      let boundaries = (0...communicator.size).map { $0 * count / communicator.size }
      let turns = max(5, min(10 * repeats, repeats * (1 << 20) / max(bytes, 1)))
      func time(_ action: () throws -> Void) throws -> Double {
        try communicator.barrier(label: "benchmark").wait()
        let started = ReportClock.uptime()
        try action()
        return ReportClock.uptime() - started
      }
      var ordered: [Double] = [], native: [Double] = []
      // Several of one kind in a row, as MPI's own benchmarks do it: each finds its memory in the caches as it left it.
      for group in -1..<(turns + Self.inARow - 1) / Self.inARow {
        // Powers of the number of ranks: finite for as many sums as these.
        slab.pointer.update(repeating: 1, count: count)
        for _ in 0..<Self.inARow {
          let seconds = try time {
            try communicator.allReduce(
              [range], round: dealing.rounds[0], boundaries: boundaries, into: range, label: "ordered"
            ).wait()
          }
          if group >= 0 { ordered.append(seconds) }
        }
        guard communicator.hasNativeSums else { continue }
        let nativeRange = SlabRange(slab: other, offset: 0, count: count)
        other.pointer.update(repeating: 1, count: count)
        for _ in 0..<Self.inARow {
          let seconds = try time {
            try communicator.allReduceNatively(nativeRange, label: "native").wait()
          }
          if group >= 0 { native.append(seconds) }
        }
      }
      let path = ReductionPath.chosen(bytes: bytes, hosts: communicator.hosts, isShared: slab.isShared)
      return Row(
        bytes: bytes, orderedMilliseconds: median(ordered) * 1e3,
        nativeMilliseconds: native.isEmpty ? nil : median(native) * 1e3,
        predictedMilliseconds: CostModel.reference.secondsOfSum(
          bytes: bytes, hosts: communicator.hosts, path: path, wire: communicator.options.wire) * 1e3,
        path: path.description)
    }
  }

  private static let inARow = 5

  private static func median(_ values: [Double]) -> Double { values.sorted()[values.count / 2] }
}
