/// The promise of a collective's completion: whoever holds it may compute meanwhile.
///
/// Memory that was lent with the request belongs to the communicator until `wait` has returned.
public final class Pending<Value: Sendable>: Sendable {
  private let result = Monitor<Result<Value, any Error>?>(nil)
  private let collective: Collective
  private let queue: CollectiveQueue

  init(_ collective: Collective, queue: CollectiveQueue) {
    self.collective = collective
    self.queue = queue
  }

  /// Blocks until the collective is complete on this rank; may be called again.
  ///
  /// - Throws: `CommunicationError` of this or of the first earlier collective that failed; `.deadlineExpired` with rank, collective, label
  ///   and sequence when it is not complete in `CommunicationOptions.deadlineSeconds`.
  public func wait() throws -> Value {
    if let done = result.read({ $0 }) { return try done.get() }
    let started = ContinuousClock().now
    queue.note(.waitBegan, collective)
    defer { queue.note(.waitEnded, collective) }
    let done = result.wait(atMost: queue.deadlineSeconds) { $0 }
    queue.noteWaiting(started.duration(to: ContinuousClock().now))
    guard let done else { throw queue.deadlineError(collective) }
    return try done.get()
  }

  /// Whether `wait` would return at once.
  public var isComplete: Bool { result.read { $0 != nil } }

  func complete(_ value: Result<Value, any Error>) { result.update { $0 = value } }
}
