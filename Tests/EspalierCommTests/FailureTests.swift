import EspalierComm
import EspalierTesting
import Foundation
import Testing

@Suite("Failures in process")
struct FailureTests {
  struct Broken: Error, Equatable { let rank: Int }

  /// Runs ranks that are expected to fail, and returns the first cause.
  private func failure(
    _ ranks: Int, options: CommunicationOptions = Ranks.options,
    _ body: @escaping @Sendable (Communicator) throws -> Void
  ) throws -> any Error {
    let started = ContinuousClock().now
    var failure: (any Error)?
    do { _ = try World.inProcess(ranks: ranks, options: options, body) } catch { failure = error }
    #expect(started.duration(to: ContinuousClock().now) < .seconds(20))
    return try #require(failure)
  }

  @Test("a rank that throws wakes those that wait, and its error is the world's", arguments: [false, true])
  func throwingRank(checks: Bool) throws {
    var options = Ranks.options
    options.checksCollectives = checks
    let kinds = Recorder<CommunicationError>()
    let arrived = Recorder<Int>()
    let error = try failure(4, options: options) { communicator in
      if communicator.rank == 2 {
        while arrived.count < 3 { Thread.sleep(forTimeInterval: 0.001) }
        throw Broken(rank: 2)
      }
      arrived.add(communicator.rank)
      do {
        try communicator.barrier(label: "blocks.3").wait()
      } catch let error as CommunicationError {
        kinds.add(error)
        throw error
      }
    }
    #expect(error as? Broken == Broken(rank: 2))
    #expect(kinds.all.map(\.kind) == [.peerFailed, .peerFailed, .peerFailed])
    #expect(kinds.all.allSatisfy { $0.label == "blocks.3" && $0.collective == .barrier })
    #expect(kinds.all.allSatisfy { $0.cause as? Broken == Broken(rank: 2) })
  }

  @Test("ranks at different collectives hear of each other instead of hanging")
  func mismatch() throws {
    let error = try failure(3) { communicator in
      let slab = communicator.slab(count: 9)
      if communicator.rank == 1 {
        try communicator.broadcast(slab.range, from: 0, label: "values").wait()
      } else {
        try communicator.allGather(slab.range, boundaries: [0, 3, 6, 9], label: "blocks.5").wait()
      }
    }
    let found = try #require(error as? CommunicationError)
    #expect(found.kind == .collectivesDiffer)
    #expect(found.reason.contains("allGather 'blocks.5' (sequence 1)"))
    #expect(found.reason.contains("broadcast 'values' (sequence 1)"))
  }

  @Test("the same collective with other boundaries is a difference, too")
  func differentBoundaries() throws {
    let error = try failure(2) { communicator in
      let slab = communicator.slab(count: 8)
      try communicator.allGather(slab.range, boundaries: [0, communicator.rank == 0 ? 4 : 3, 8], label: "w").wait()
    }
    #expect((error as? CommunicationError)?.kind == .collectivesDiffer)
  }

  @Test("without checks a message of another size is still an error and not a hang")
  func differentSizes() throws {
    var options = Ranks.options
    options.checksCollectives = false
    let error = try failure(2, options: options) { communicator in
      let slab = communicator.slab(count: 8)
      try communicator.allGather(slab.range, boundaries: [0, communicator.rank == 0 ? 4 : 3, 8], label: "w").wait()
    }
    #expect((error as? CommunicationError)?.kind == .sizesDiffer)
  }

  @Test("waiting for a rank that has returned is an error", arguments: [false, true])
  func earlyReturn(checks: Bool) throws {
    var options = Ranks.options
    options.checksCollectives = checks
    let error = try failure(2, options: options) { communicator in
      if communicator.rank == 0 { try communicator.barrier(label: "alone").wait() }
    }
    #expect((error as? CommunicationError)?.kind == (checks ? .collectivesDiffer : .peerFinished))
  }

  @Test("a collective that never completes ends at the deadline, with rank, label and sequence")
  func deadline() throws {
    var options = Ranks.options
    options.deadlineSeconds = 0.3
    let error = try failure(2, options: options) { communicator in
      if communicator.rank == 1 { Thread.sleep(forTimeInterval: 1.5) }
      try communicator.barrier(label: "blocks.3").wait()
    }
    let found = try #require(error as? CommunicationError)
    #expect(found.kind == .deadlineExpired)
    #expect(found.rank == 0 && found.collective == .barrier && found.label == "blocks.3" && found.sequence == 1)
    #expect(found.description.contains("rank 0, barrier 'blocks.3' (sequence 1): not complete after 0.3 s"))
  }

  @Test("every collective after a failed one fails with the first cause")
  func firstCauseStays() throws {
    let labels = Recorder<String>()
    let error = try failure(2) { communicator in
      let first = communicator.barrier(label: communicator.rank == 0 ? "a" : "b")
      let later = communicator.barrier(label: "later")
      for pending in [later, first] {
        do { try pending.wait() } catch let error as CommunicationError { labels.add(error.label) }
      }
      throw Broken(rank: communicator.rank)
    }
    #expect(labels.all.count == 4 && !labels.all.contains("later"))
    #expect((error as? CommunicationError)?.kind == .collectivesDiffer)
  }

  @Test("a communicator that outlives its world refuses")
  func closed() throws {
    let communicator = try World.inProcess(ranks: 1) { $0 }[0]
    let error = #expect(throws: CommunicationError.self) { try communicator.barrier(label: "late").wait() }
    #expect(error?.kind == .closed)
  }

  /// Collects from several ranks.
  final class Recorder<Value: Sendable>: @unchecked Sendable {
    private let lock = NSLock()
    private var values: [Value] = []
    func add(_ value: Value) { lock.withLock { values.append(value) } }
    var all: [Value] { lock.withLock { values } }
    var count: Int { lock.withLock { values.count } }
  }
}
