package import EspalierComm
import Foundation

/// The clock of traces, and how far those of the ranks are apart.
package enum TraceClock {
  /// CLOCK_MONOTONIC: one for all processes of a host, another on each host.
  @Sendable package static func nanoseconds() -> Int64 {
    var now = timespec()
    clock_gettime(CLOCK_MONOTONIC, &now)
    return Int64(now.tv_sec) * 1_000_000_000 + Int64(now.tv_nsec)
  }

  /// What each rank's clock lacks to rank 0's, in nanoseconds, by rank. Collective.
  ///
  /// A message from rank 0 cannot arrive before it was sent, nor can an answer: every round trip bounds the offset from
  /// below and from above. The middle between the tightest of all bounds is taken, so a slow round does no harm, and the
  /// error is at most half of what the quickest way there and the quickest way back take together. Ranks on the host of
  /// rank 0 share its clock: their offset is 0.
  package static func offsets(
    _ communicator: Communicator, rounds: Int = 24, clock: () -> Int64 = TraceClock.nanoseconds
  ) throws -> [Int64] {
    let members = communicator.members
    guard members.contains(where: { $0.host != members[0].host }) else { return members.map { _ in 0 } }
    // Ranks of one host have one clock, so each narrows the bounds of all.
    var bounds: [String: OffsetBounds] = [:]
    for _ in 0..<rounds {
      try communicator.barrier(label: "clocks").wait()
      let sent = clock()
      _ = try communicator.broadcast(bytes: [1], from: 0, label: "clocks").wait()
      let met = clock()
      let times = try communicator.allGather(
        bytes: Array("\(met)".utf8), label: "clocks"
      ).wait().map { Int64(String(decoding: $0, as: UTF8.self)) ?? met }
      let answered = clock()
      if communicator.rank == 0 {
        for member in members {
          bounds[member.host, default: OffsetBounds()].narrow(sent: sent, met: times[member.rank], answered: answered)
        }
      }
    }
    let found = members.map { $0.host == members[0].host ? 0 : bounds[$0.host]?.middle ?? 0 }
    return try communicator.gatherValues(found, label: "clocks")[0]
  }
}

/// Between which values the offset of a clock lies.
package struct OffsetBounds: Equatable {
  package var least = Int64.min
  package var most = Int64.max

  package init() {}

  /// One round trip: `sent` and `answered` by the clock of rank 0, `met` by the other.
  package mutating func narrow(sent: Int64, met: Int64, answered: Int64) {
    least = max(least, sent - met)
    most = min(most, answered - met)
  }

  package var middle: Int64 { least == .min ? 0 : least + (most - least) / 2 }
}
