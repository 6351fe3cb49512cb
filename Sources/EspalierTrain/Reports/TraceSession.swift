import EspalierComm
import EspalierNN
import EspalierState
import Foundation

/// The trace of a run's first steps on one rank: begun, counted and written by all ranks together.
package final class TraceSession {
  package let recorder: TraceRecorder
  private let session: RankSession
  private let directory: String
  private var stepsLeft: Int
  private var steps = 0
  /// Of all ranks, and the time of rank 0 that the picture begins at.
  private let clocks: Clocks

  private struct Clocks: Codable, Sendable {
    let origin: Int64
    let offsets: [Int64]
  }

  /// Aligns the clocks and begins to record. Collective.
  package init(_ session: RankSession, stepCount: Int, directory: String) throws {
    self.session = session
    self.directory = directory
    stepsLeft = stepCount
    let communicator = session.communicator
    let offsets = try TraceClock.offsets(communicator)
    clocks = try communicator.decide("the trace begins") { Clocks(origin: TraceClock.nanoseconds(), offsets: offsets) }
    recorder = TraceRecorder(ranks: communicator.size)
    communicator.observe(with: recorder)
    let recorder = recorder, segments = session.store.blueprint.segments.map(\.name)
    var open: [Int: Int64] = [:]
    session.store.passObserver = { segment, direction, isEntering in
      let key = 2 * segment + (direction == .forward ? 0 : 1)
      if isEntering {
        // A shared segment is entered for a second use and left once: the span is that of the use which is left.
        open[key] = TraceClock.nanoseconds()
      } else if let begin = open.removeValue(forKey: key) {
        recorder.add(
          TraceSpan(
            name: "\(direction == .forward ? "forward" : "backward") \(segments[segment])", category: .segment,
            row: .rank, begin: begin, end: TraceClock.nanoseconds()))
      }
    }
  }

  /// One more step is done.
  /// - Returns: whether it was the last that the trace covers.
  package func countStep() -> Bool {
    steps += 1
    stepsLeft -= 1
    return stepsLeft == 0
  }

  /// Stops recording; rank 0 collects what every rank has and writes trace.json. Collective.
  /// - Returns: a sentence for the console, also where the file cannot be written: that is no reason to lose a run.
  package func finish() throws -> String {
    session.store.passObserver = nil
    let recorded = recorder.end()
    let communicator = session.communicator
    let member = communicator.members[communicator.rank], offset = clocks.offsets[member.rank]
    let own = TraceFile.events(
      recorded.spans, rank: member.rank, name: "rank \(member.rank) on \(member.host)",
      label: "pid \(member.pid), clock \(offset) ns", shift: offset - clocks.origin, dropped: recorded.dropped)
    let path = directory + "/trace.json"
    var writer: TraceFile?
    var failure: (any Error)?
    func attempt(_ action: () throws -> Void) {
      if failure == nil { do { try action() } catch { failure = error } }
    }
    if communicator.rank == 0 { attempt { writer = try TraceFile(path) } }
    for rank in 0..<communicator.size {
      // One rank after the other, so that only one rank's events are in memory besides the own.
      let events =
        communicator.size == 1
        ? own
        : try communicator.broadcast(bytes: communicator.rank == rank ? own : [], from: rank, label: "trace").wait()
      attempt { try writer?.append(events) }
    }
    attempt { try writer?.close() }
    if let failure { return "the trace was not written: \(failure.localizedDescription)" }
    return "trace of \(steps) step\(steps == 1 ? "" : "s"): \(path) (open it in ui.perfetto.dev)"
  }
}
