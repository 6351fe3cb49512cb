/// The collectives of one rank in the order in which they were asked for, served by one thread.
///
/// The order is the program's, the same on every rank, so there is nothing to negotiate and nothing to deadlock on.
final class CollectiveQueue: Sendable {
  struct Request: Sendable {
    let collective: Collective
    /// Runs on the communication thread; completes its `Pending` itself and throws what it completed it with.
    let run: @Sendable (CollectiveRunner) throws -> Void
    let fail: @Sendable (any Error) -> Void
  }

  private struct State {
    var waiting: [Request] = []
    var running: Collective?
    var nextSequence = 0
    /// The last that were done, in order.
    var done: [Collective] = []
    var failure: (any Error)?
    var exitCode: Int32?
    var isClosed = false
  }

  enum Task {
    case run(Request)
    case abort(exitCode: Int32)
    case stop
  }

  /// How many collectives the log keeps.
  static let remembered = 64

  let rank: Int
  let deadlineSeconds: Double
  let ledger: Monitor<CommunicationStatistics>
  private let observers: Monitor<[any CollectiveObserver]>
  private let state = Monitor(State())

  init(
    rank: Int, deadlineSeconds: Double, ledger: Monitor<CommunicationStatistics>,
    observers: [any CollectiveObserver] = []
  ) {
    self.rank = rank
    self.observers = Monitor(observers)
    self.deadlineSeconds = deadlineSeconds
    self.ledger = ledger
  }

  /// Takes a request in; what happens to it is the pending's to tell.
  func submit<Value: Sendable>(
    _ kind: CollectiveKind, label: String, boundaries: [Int] = [],
    _ work: @escaping @Sendable (CollectiveRunner) throws -> Value
  ) -> Pending<Value> {
    state.update { state in
      let collective = Collective(kind: kind, label: label, sequence: state.nextSequence, boundaries: boundaries)
      let pending = Pending<Value>(collective, queue: self)
      state.nextSequence += 1
      guard !state.isClosed else {
        pending.complete(.failure(state.failure ?? closedError(collective)))
        return pending
      }
      let run: @Sendable (CollectiveRunner) throws -> Void = { runner in
        self.note(.began, collective)
        let value = try runner.perform(collective, work)
        // Noted before anyone can see it complete.
        self.noteDone(collective)
        self.note(.ended, collective)
        pending.complete(.success(value))
      }
      note(.requested, collective)
      let fail: @Sendable (any Error) -> Void = {
        self.note(.failed, collective)
        pending.complete(.failure($0))
      }
      state.waiting.append(Request(collective: collective, run: run, fail: fail))
      return pending
    }
  }

  /// Tells the observers.
  func note(_ moment: CollectiveMoment, _ collective: Collective) {
    for observer in observers.read({ $0 }) { observer.note(moment, collective) }
  }

  /// Tells one more observer, from the next collective on.
  func add(_ observer: any CollectiveObserver) { observers.update { $0.append(observer) } }

  /// Blocks the communication thread until there is something to do.
  func next() -> Task {
    let task = state.wait { (state) -> Task? in
      state.running = nil
      if let exitCode = state.exitCode { return .abort(exitCode: exitCode) }
      if !state.waiting.isEmpty {
        let request = state.waiting.removeFirst()
        state.running = request.collective
        return .run(request)
      }
      return state.isClosed ? .stop : nil
    }
    return task ?? .stop
  }

  /// The first cause; every later collective fails with it.
  var failure: (any Error)? { state.read { $0.failure } }

  func fail(with error: any Error) { state.update { $0.failure = $0.failure ?? error } }

  private func noteDone(_ collective: Collective) {
    state.update { state in
      if state.done.count == Self.remembered { state.done.removeFirst() }
      state.done.append(collective)
    }
  }

  /// The last collectives that were done, in order.
  var done: [Collective] { state.read { $0.done } }

  /// Lets the communication thread end when it has served what is waiting; later requests fail.
  func close() { state.update { $0.isClosed = true } }

  /// Lets a communication thread that is free abort the world; false if it is inside a collective.
  func abort(exitCode: Int32) -> Bool {
    state.update { state in
      state.exitCode = exitCode
      return state.running == nil
    }
  }

  func noteWaiting(_ duration: Duration) { ledger.update { $0.secondsWaited += duration / .seconds(1) } }

  func deadlineError(_ collective: Collective) -> CommunicationError {
    let place = state.read { state in
      if let running = state.running {
        return running == collective ? "it has begun and not ended" : "its communication thread is still in \(running)"
      }
      return state.done.last.map { "the last collective done was \($0)" } ?? "no collective has been done yet"
    }
    return CommunicationError(
      .deadlineExpired, rank: rank, during: collective,
      reason: "not complete after \(deadlineSeconds) s; \(place)",
      remedy: "look at what the other ranks wait for, or raise the deadline if a rank may take this long")
  }

  private func closedError(_ collective: Collective) -> CommunicationError {
    CommunicationError(
      .closed, rank: rank, during: collective, reason: "the communicator has been closed",
      remedy: "ask for collectives only inside the body that received the communicator")
  }
}
