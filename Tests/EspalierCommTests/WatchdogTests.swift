import EspalierComm
import EspalierTesting
import Foundation
import Synchronization
import Testing

@Suite("The watchdog among threads")
struct WatchdogTests {
  /// What the watchdog said, and whether it has ended the run.
  private final class Court: Sendable {
    let said = Mutex<[String]>([])
    let sentence = Mutex<String?>(nil)
    let ticks = Atomic<UInt64>(0)

    func options(deadline: Double) -> Watchdog.Options {
      var options = Watchdog.Options()
      options.limits.deadlineSeconds = deadline
      options.beatSeconds = 0.05
      options.progress = { (self.ticks.load(ordering: .relaxed), 0) }
      options.report = { text in self.said.withLock { $0.append(text) } }
      options.end = { sentence in self.sentence.withLock { $0 = sentence } }
      return options
    }

    var isOver: Bool { sentence.withLock { $0 != nil } }
  }

  private func run(
    _ watchdog: Watchdog, ranks: Int, in directory: String, _ body: @escaping @Sendable (Communicator) throws -> Void
  ) throws {
    var options = Ranks.options
    options.observers = watchdog.observers
    Watchdog.prepare(run: directory)
    _ = try World.inProcess(ranks: ranks, options: options) { communicator in
      try watchdog.begin(communicator)
      watchdog.record(in: directory, rank: communicator.rank)
      try body(communicator)
      try communicator.barrier(label: "end").wait()
      watchdog.finish(communicator.rank)
    }
  }

  @Test("a rank that stands still while others wait is named with phase and collective, once, and in verdict.txt")
  func stuck() throws {
    try Runs.inTemporaryDirectory { directory in
      let court = Court()
      let watchdog = Watchdog(court.options(deadline: 0.4))
      try run(watchdog, ranks: 3, in: directory) { communicator in
        watchdog.recorder(of: communicator.rank)?.enter(.backward, "blocks.1", step: 5)
        let started = ContinuousClock().now
        while communicator.rank == 1, !court.isOver, started.duration(to: ContinuousClock().now) < .seconds(20) {
          Thread.sleep(forTimeInterval: 0.01)
        }
        try communicator.barrier(label: "losses of the step").wait()
      }
      let said = court.said.withLock { $0 }
      #expect(said.count == 1)
      let first = try #require(said.first)
      #expect(first.hasPrefix("verdict: rank 1 on "))
      #expect(first.contains("stands still: no progress for"))
      #expect(first.contains("it was in backward 'blocks.1' of step 5"))
      #expect(first.contains("ranks 0 and 2 wait in barrier 'losses of the step' (sequence 2), which is owed"))
      #expect(try String(contentsOfFile: Watchdog.verdictPath(directory), encoding: .utf8) == first)
      let flights = Flight.all(run: directory).flights
      #expect(flights.count == 3 && flights.allSatisfy { $0.status.end == .condemned && !$0.words.isEmpty })
    }
  }

  @Test("a slow rank that ticks is left in peace, and a run that ends leaves no verdict")
  func slow() throws {
    try Runs.inTemporaryDirectory { directory in
      let court = Court()
      let watchdog = Watchdog(court.options(deadline: 0.3))
      try run(watchdog, ranks: 2, in: directory) { communicator in
        for _ in 0..<60 where communicator.rank == 1 {
          court.ticks.wrappingAdd(1, ordering: .relaxed)
          Thread.sleep(forTimeInterval: 0.02)
        }
        try communicator.barrier(label: "losses of the step").wait()
      }
      #expect(court.said.withLock { $0 } == [])
      #expect(!FileManager.default.fileExists(atPath: Watchdog.verdictPath(directory)))
      let flights = Flight.all(run: directory).flights
      #expect(flights.map(\.status.end) == [.finished, .finished])
    }
  }

  @Test("a mismatch that the checks found is recorded with both sides")
  func mismatch() throws {
    try Runs.inTemporaryDirectory { directory in
      let court = Court()
      let watchdog = Watchdog(court.options(deadline: 60))
      let error = #expect(throws: CommunicationError.self) {
        try run(watchdog, ranks: 2, in: directory) { communicator in
          try communicator.barrier(label: communicator.rank == 0 ? "blocks.5" : "blocks.6").wait()
        }
      }
      watchdog.fail(try #require(error))
      let verdict = try String(contentsOfFile: Watchdog.verdictPath(directory), encoding: .utf8)
      #expect(verdict.contains("barrier 'blocks.5'") && verdict.contains("barrier 'blocks.6'"))
      let flights = Flight.all(run: directory).flights
      #expect(flights.allSatisfy { $0.status.end == .failed && $0.words.contains("blocks.5") })
      #expect(flights.allSatisfy { $0.entries.last?.state == .failed })
    }
  }

  @Test("what an earlier run left behind is gone when the next begins")
  func prepare() throws {
    try Runs.inTemporaryDirectory { run in
      Watchdog.prepare(run: run)
      try FlightRecorder(rank: 3, size: 4).attach(to: Flight.path(run: run, rank: 3))
      try "old".write(toFile: Watchdog.verdictPath(run), atomically: false, encoding: .utf8)
      Watchdog.prepare(run: run)
      #expect(Flight.all(run: run).flights.isEmpty)
      #expect(!FileManager.default.fileExists(atPath: Watchdog.verdictPath(run)))
    }
  }

  @Test("the kernel tells a running process from a stopped, an ended and a later one")
  func looks() throws {
    let own = Int(ProcessInfo.processInfo.processIdentifier)
    let ticks = try #require(PeerProcess.startTicks(of: own))
    #expect(PeerProcess.look(pid: own, startTicks: ticks) == .running)
    #expect(PeerProcess.look(pid: own, startTicks: ticks + 1) == .gone)
    let child = Process()
    child.executableURL = URL(filePath: "/bin/sleep")
    child.arguments = ["60"]
    try child.run()
    let pid = Int(child.processIdentifier)
    let born = try #require(PeerProcess.startTicks(of: pid))
    kill(child.processIdentifier, SIGSTOP)
    let limit = ContinuousClock().now + .seconds(10)
    while PeerProcess.look(pid: pid, startTicks: born) != .stopped, ContinuousClock().now < limit { usleep(1000) }
    #expect(PeerProcess.look(pid: pid, startTicks: born) == .stopped)
    kill(child.processIdentifier, SIGKILL)
    child.waitUntilExit()
    #expect(PeerProcess.look(pid: pid, startTicks: born) == .gone)
  }
}
