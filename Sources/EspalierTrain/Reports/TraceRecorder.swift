package import EspalierComm

/// A stretch of time on one thread of a rank.
package struct TraceSpan: Sendable, Equatable {
  /// The rows of a rank in the picture.
  package enum Row: Int, Sendable, CaseIterable { case rank, communication }

  /// What it is, for colours and search.
  package enum Category: String, Sendable { case phase, segment, wait, collective }

  package var name: String
  package var category: Category
  package var row: Row
  /// Nanoseconds of the rank's own clock.
  package var begin: Int64
  package var end: Int64
  /// Of a collective or the wait for one; -1 elsewhere.
  package var sequence = -1
  /// What a collective moves, as `Collective.bytes(ranks:)` counts; 0 where that is not known.
  package var bytes = 0

  package init(
    name: String, category: Category, row: Row, begin: Int64, end: Int64, sequence: Int = -1, bytes: Int = 0
  ) {
    self.name = name
    self.category = category
    self.row = row
    self.begin = begin
    self.end = end
    self.sequence = sequence
    self.bytes = bytes
  }
}

/// Keeps what one rank does, in memory, until the trace is written.
///
/// The rank's thread reports phases and segments; collectives come through the communicator from both threads.
package final class TraceRecorder: CollectiveObserver {
  private struct State {
    var spans: [TraceSpan] = []
    var isRecording = true
    var dropped = 0
    /// The begin of the collective that runs, and of the wait.
    var running: Int64?
    var waiting: Int64?
  }

  private let ranks: Int
  private let capacity: Int
  private let state = Monitor(State())

  /// - Parameter capacity: spans that are kept; later ones are counted only. One takes about 80 bytes.
  package init(ranks: Int, capacity: Int = 400_000) {
    self.ranks = ranks
    self.capacity = capacity
  }

  /// Adds what has ended.
  package func add(_ span: TraceSpan) {
    state.update { add(span, to: &$0) }
  }

  private func add(_ span: TraceSpan, to state: inout State) {
    guard state.isRecording else { return }
    if state.spans.count < capacity { state.spans.append(span) } else { state.dropped += 1 }
  }

  package func note(_ moment: CollectiveMoment, _ collective: Collective) {
    guard moment != .requested else { return }
    let now = TraceClock.nanoseconds()
    state.update { state in
      func span(_ row: TraceSpan.Row, _ category: TraceSpan.Category, _ name: String, since begin: Int64?) {
        guard let begin else { return }  // it began before the trace did
        add(
          TraceSpan(
            name: name, category: category, row: row, begin: begin, end: now, sequence: collective.sequence,
            bytes: collective.bytes(ranks: ranks)), to: &state)
      }
      switch moment {
      case .requested: break
      case .began: state.running = now
      case .ended, .failed:
        span(.communication, .collective, "\(collective.kind.rawValue) \(collective.label)", since: state.running)
        state.running = nil
      case .waitBegan: state.waiting = now
      case .waitEnded:
        span(.rank, .wait, "wait for \(collective.label)", since: state.waiting)
        state.waiting = nil
      }
    }
  }

  /// Stops and hands out what was recorded, and how many spans found no place.
  package func end() -> (spans: [TraceSpan], dropped: Int) {
    state.update { state in
      defer { state = State(isRecording: false) }
      return (state.spans, state.dropped)
    }
  }
}

extension TraceRecorder? {
  /// Runs `body` and records how long it took; without a recorder it only runs it.
  func span<Value>(
    _ name: @autoclosure () -> String, _ category: TraceSpan.Category, _ body: () throws -> Value
  ) rethrows -> Value {
    guard let self else { return try body() }
    let begin = TraceClock.nanoseconds()
    defer {
      self.add(
        TraceSpan(name: name(), category: category, row: .rank, begin: begin, end: TraceClock.nanoseconds()))
    }
    return try body()
  }
}

extension Collective {
  /// The bytes of the run that it works on: one contribution of a reduction, all that a gather or broadcast fills. 0 for values and bytes of
  /// unknown number.
  package func bytes(ranks: Int) -> Int {
    switch kind {
    case .broadcast: boundaries.count > 1 ? 4 * boundaries[1] : 0
    case .gatherValues, .gatherBytes, .broadcastBytes, .barrier, .close: 0
    default: boundaries.count > ranks ? 4 * boundaries[ranks] : 0
    }
  }
}
