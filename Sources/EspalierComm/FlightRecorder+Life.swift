/// Whether the rank of a recording lives, as far as this host can tell, and what its clock shows.
package struct FlightLife: Sendable, Equatable {
  package enum State: String, Sendable {
    case running, stopped, dead, silent, finished, failed
    case condemned = "ended by the watchdog"
  }

  package let state: State
  /// Seconds since the last sign of life where that is all that is known.
  package let silence: Double
  /// The rank's own clock: now if it lives, else at its end.
  package let clock: UInt64

  package init(_ status: FlightStatus) {
    let isHere = status.host == PeerProcess.hostName()
    let wall = FlightClock.wall()
    let lastSign = status.wallStart &+ (max(status.beatAt, status.notedAt) &- status.monotonicStart)
    silence = FlightClock.seconds(from: lastSign, to: wall)
    switch status.end {
    case .finished: state = .finished
    case .failed: state = .failed
    case .condemned: state = .condemned
    case .none:
      if isHere {
        state =
          switch PeerProcess.look(pid: status.pid, startTicks: status.startTicks) {
          case .running: .running
          case .stopped: .stopped
          case .gone: .dead
          }
      } else {
        state = silence < 5 ? .running : .silent
      }
    }
    switch state {
    case .finished, .failed, .condemned: clock = status.endedAt
    case .dead: clock = max(status.beatAt, status.notedAt)
    case .running,
      .stopped where isHere:
      clock = FlightClock.monotonic()
    default: clock = max(status.beatAt, status.notedAt) &+ UInt64(min(silence, 1e9) * 1e9)
    }
  }

  package var text: String {
    state == .silent ? "silent for \(Verdict.tenths(silence)) s" : state.rawValue
  }
}

extension FlightEntry {
  /// Seconds from the request to the end, or to `clock` where it has not ended.
  package func seconds(at clock: UInt64) -> Double {
    FlightClock.seconds(from: requestedAt, to: endedAt > 0 ? endedAt : clock)
  }
}
