internal import Foundation

/// A value behind a lock, with waiting until it says what one waits for.
///
/// `@unchecked Sendable`: the state is touched with the condition locked, and only there.
package final class Monitor<State>: @unchecked Sendable {
  private let condition = NSCondition()
  private var state: State

  package init(_ state: State) { self.state = state }

  /// Reads or changes the state and wakes everyone who waits for a change.
  package func update<Result>(_ body: (inout State) throws -> Result) rethrows -> Result {
    condition.lock()
    defer {
      condition.broadcast()
      condition.unlock()
    }
    return try body(&state)
  }

  /// Reads the state.
  package func read<Result>(_ body: (State) throws -> Result) rethrows -> Result {
    condition.lock()
    defer { condition.unlock() }
    return try body(state)
  }

  /// Blocks until `body` finds what it looks for in the state, and wakes everyone else if it does; nil when the deadline passes first.
  package func wait<Result>(atMost seconds: Double? = nil, for body: (inout State) throws -> Result?) rethrows
    -> Result?
  {
    condition.lock()
    defer { condition.unlock() }
    let clock = ContinuousClock()
    let end = seconds.map { clock.now + .seconds($0) }
    while true {
      if let result = try body(&state) {
        condition.broadcast()
        return result
      }
      guard let end else {
        condition.wait()
        continue
      }
      // NSCondition counts in wall time, which may jump; whether the deadline has passed is asked of a clock that does not.
      let left = clock.now.duration(to: end)
      guard left > .zero else { return nil }
      _ = condition.wait(until: Date(timeIntervalSinceNow: left / .seconds(1)))
    }
  }
}
