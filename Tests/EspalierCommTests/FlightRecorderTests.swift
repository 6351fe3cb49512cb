import EspalierComm
import EspalierTesting
import Foundation
import Testing

@Suite("The flight recorder")
struct FlightRecorderTests {
  private func collective(_ sequence: Int, _ label: String = "values of blocks.3", _ boundaries: [Int] = [0, 10, 20])
    -> Collective
  {
    Collective(kind: .allGather, label: label, sequence: sequence, boundaries: boundaries)
  }

  private func live(_ recorder: FlightRecorder, _ collective: Collective, _ moments: [CollectiveMoment]) {
    for moment in moments { recorder.note(moment, collective) }
  }

  @Test("keeps the last 256 collectives in order, with kind, label, bytes and state")
  func ring() throws {
    let recorder = FlightRecorder(rank: 1, size: 2)
    for sequence in 0..<300 { live(recorder, collective(sequence), [.requested, .began, .ended]) }
    live(recorder, collective(300, "gradients of head"), [.requested, .began])
    live(recorder, collective(301, "failing"), [.requested, .began, .failed])
    let flight = try #require(recorder.flight)
    #expect(flight.entries.map(\.place.sequence) == Array(46...301))
    #expect(flight.entries.first?.state == .ended)
    #expect(flight.entries.first?.place.kind == "allGather")
    #expect(flight.entries.first?.place.label == "values of blocks.3")
    #expect(flight.entries.allSatisfy { $0.bytes == 80 })
    #expect(flight.entries.suffix(2).map(\.state) == [.began, .failed])
    for entry in flight.entries.dropLast(2) {
      #expect(entry.requestedAt <= entry.beganAt && entry.beganAt <= entry.endedAt && entry.requestedAt > 0)
    }
  }

  @Test("tells what the rank is in, waits for and owes")
  func status() {
    let recorder = FlightRecorder(rank: 1, size: 2)
    #expect(recorder.now.owesNext && recorder.now.requested == 0 && recorder.now.phase == .starting)
    live(recorder, collective(0), [.requested])
    #expect(!recorder.now.owesNext)
    live(recorder, collective(0), [.began, .waitBegan])
    var now = recorder.now
    #expect(now.current == FlightStatus.Place(kind: "allGather", label: "values of blocks.3", sequence: 0))
    #expect(now.waited == 0 && now.began == 1 && now.ended == 0)
    live(recorder, collective(0), [.ended, .waitEnded])
    recorder.enter(.backward, "blocks.1", step: 12)
    now = recorder.now
    #expect(now.owesNext && now.current == nil && now.waited == nil && now.last?.sequence == 0)
    #expect(now.activity == "in backward 'blocks.1' of step 12")
    #expect(now.pid == Int(ProcessInfo.processInfo.processIdentifier) && now.rank == 1 && now.size == 2)
  }

  @Test("progress is a counter that has changed, a collective or a phase, but no beat")
  func progress() throws {
    let recorder = FlightRecorder(rank: 0, size: 1)
    recorder.pulse(ticks: 5)
    let first = recorder.now
    Thread.sleep(forTimeInterval: 0.02)
    recorder.pulse(ticks: 5, fileOperations: 1)
    let second = recorder.now
    #expect(second.movedAt == first.movedAt && second.beatAt > first.beatAt && second.fileOperations == 1)
    #expect(second.standing(at: second.beatAt) >= 0.02)
    recorder.pulse(ticks: 6)
    #expect(recorder.now.movedAt > first.movedAt)
    Thread.sleep(forTimeInterval: 0.002)
    recorder.enter(.saving)
    #expect(recorder.now.standing(at: recorder.now.notedAt) == 0)
  }

  @Test("names longer than their place are cut, at any character")
  func longNames() throws {
    let recorder = FlightRecorder(rank: 0, size: 2)
    let label = String(repeating: "é", count: 200)
    live(recorder, collective(0, label), [.requested, .began])
    recorder.enter(.forward, label)
    let flight = try #require(recorder.flight)
    let kept = try #require(flight.entries.first).place.label
    #expect(kept.hasPrefix(String(repeating: "é", count: 39)) && kept.utf8.count <= 82)
    #expect(flight.status.place.hasPrefix("ééé"))
  }

  @Test("a file holds what was noted before and after it was attached, and the end with its last words")
  func file() throws {
    try Runs.inTemporaryDirectory { run in
      try FileManager.default.createDirectory(atPath: Flight.folder(run), withIntermediateDirectories: true)
      let path = Flight.path(run: run, rank: 7)
      #expect(path.hasSuffix("/flight/rank-00007"))
      let recorder = FlightRecorder(rank: 7, size: 8)
      live(recorder, collective(0, boundaries: 9), [.requested, .began, .ended])
      try recorder.attach(to: path)
      live(recorder, collective(1, boundaries: 9), [.requested, .began])
      recorder.enter(.updating, step: 3)
      recorder.end(.failed, words: "the disk is full")
      recorder.end(.finished)
      let flight = try Flight(path: path)
      #expect(flight.entries.map(\.place.sequence) == [0, 1])
      #expect(flight.entries.map(\.state) == [.ended, .began])
      #expect(flight.status.phase == .updating && flight.status.step == 3)
      #expect(flight.status.end == .failed && flight.words == "the disk is full")
      #expect(Flight.all(run: run).flights.map(\.status.rank) == [7])
    }
  }

  private func collective(_ sequence: Int, boundaries count: Int) -> Collective {
    collective(sequence, "w", Array(0..<count))
  }

  @Test("survives a process that is killed with SIGKILL between two notes")
  func killed() throws {
    try Runs.inTemporaryDirectory { directory in
      let path = directory + "/rank-00000"
      let outcome = try ProcessRunner.run(
        try ProcessRunner.product("espalier-conformance"), ["--case", "flight", "--file", path], timeoutSeconds: 20)
      #expect(outcome.status == 128 + SIGKILL, "\(outcome)")
      let flight = try Flight(path: path)
      #expect(flight.status.end == .none && flight.status.pid != Int(ProcessInfo.processInfo.processIdentifier))
      #expect(flight.status.phase == .backward && flight.status.place == "blocks.2")
      #expect(flight.entries.last?.state == .began)
      #expect(flight.entries.last?.place.label == "gradients of blocks.2")
      #expect(PeerProcess.look(pid: flight.status.pid, startTicks: flight.status.startTicks) == .gone)
    }
  }

  @Test("bytes that are no flight file are refused by kind")
  func hostile() throws {
    try Runs.inTemporaryDirectory { directory in
      let recorder = FlightRecorder(rank: 0, size: 1)
      let good = directory + "/good"
      try recorder.attach(to: good)
      let bytes = try Data(contentsOf: URL(filePath: good))
      func kind(_ change: (inout Data) -> Void) throws -> FlightError.Kind? {
        var changed = bytes
        change(&changed)
        let path = directory + "/changed"
        try changed.write(to: URL(filePath: path))
        do {
          _ = try Flight(path: path)
          return nil
        } catch let error as FlightError { return error.kind }
      }
      #expect(try kind { _ in } == nil)
      #expect(try kind { $0[0] ^= 1 } == .notAFlight)
      #expect(try kind { $0[8] = 9 } == .otherVersion)
      #expect(try kind { $0.removeLast() } == .truncated)
      #expect(try kind { $0 = $0.prefix(100) } == .truncated)
      // Nonsense in status and ring is read as far as it makes sense, and never traps.
      #expect(
        try kind { data in for index in 64..<data.count { data[index] = UInt8(truncatingIfNeeded: index &* 31) } }
          == nil)
      #expect(throws: FlightError.self) { try Flight(path: directory + "/absent") }
    }
  }

  @Test("a file that cannot be made is an error that names it, and the recording goes on")
  func unattachable() throws {
    let recorder = FlightRecorder(rank: 0, size: 1)
    let error = #expect(throws: FlightError.self) { try recorder.attach(to: "/nonexistent/flight/rank-00000") }
    #expect(error?.kind == .cannotMake && error?.subject.hasPrefix("/nonexistent/") == true)
    live(recorder, collective(0), [.requested])
    #expect(recorder.now.requested == 1)
  }

  @Test("follows the collectives of real ranks through the communicator, failures included")
  func inWorld() throws {
    let recorders = Recorders()
    var options = Ranks.options
    options.observers = { rank, size in [recorders.make(rank, size)] }
    #expect(throws: CommunicationError.self) {
      _ = try World.inProcess(ranks: 2, options: options) { communicator in
        try communicator.barrier(label: "before").wait()
        try communicator.barrier(label: communicator.rank == 0 ? "left" : "right").wait()
      }
    }
    for rank in 0..<2 {
      let flight = try #require(recorders.all[rank]?.flight)
      #expect(flight.entries.map(\.place.label) == ["members", "before", rank == 0 ? "left" : "right"])
      #expect(flight.entries.map(\.state) == [.ended, .ended, .failed])
      #expect(flight.status.ended == 2 && flight.status.requested == 3)
    }
  }

  @Test("a million notes take less than ten seconds")
  func cheap() {
    let recorder = FlightRecorder(rank: 0, size: 2)
    let clock = ContinuousClock()
    let count = 250_000
    let time = clock.measure {
      for sequence in 0..<count { live(recorder, collective(sequence), [.requested, .began, .ended]) }
      for _ in 0..<count { recorder.enter(.forward, "blocks.11", step: 4) }
    }
    print("flight recorder: \(time / (4 * count)) a note")
    #expect(time < .seconds(10))
  }

  final class Recorders: @unchecked Sendable {
    private let lock = NSLock()
    private var recorders: [Int: FlightRecorder] = [:]
    func make(_ rank: Int, _ size: Int) -> FlightRecorder {
      let recorder = FlightRecorder(rank: rank, size: size)
      lock.withLock { recorders[rank] = recorder }
      return recorder
    }
    var all: [Int: FlightRecorder] { lock.withLock { recorders } }
  }
}
