import EspalierState
import EspalierTrain
import Foundation
import Testing

@Suite struct RunComparisonTests {
  private typealias Curve = RunComparison.Curve

  private func words(_ difference: RunComparison.Difference?) -> String? {
    difference.map { "\($0.step): \($0.first), \($0.second)" }
  }

  @Test("curves are compared by bits at the steps that both have")
  func curves() {
    let same = Curve([1: 2.5, 2: .nan, 3: 1], [1: 2.5, 2: .nan, 9: 4])
    #expect(
      same.commonSteps == 2 && same.lastSameStep == 2 && same.firstDifference == nil && same.largestDifference == nil)
    let parted = Curve([1: 3, 2: 2, 3: 1, 4: 0.5], [1: 3, 2: 2.0.nextUp, 3: 2, 4: 0.75])
    #expect(parted.lastSameStep == 1)
    #expect(words(parted.firstDifference) == "2: 2.0, 2.0000000000000004")
    #expect(words(parted.largestDifference) == "3: 1.0, 2.0")
    #expect(Curve([1: 0.0], [1: -0.0]).firstDifference?.step == 1)
    #expect(words(Curve([1: 1, 2: .infinity], [1: 2, 2: .nan]).largestDifference) == "2: inf, nan")
    #expect(Curve([:], [1: 1]).commonSteps == 0)
  }

  private func digests(_ values: [(String, UInt64)]) -> StepDigests {
    let segments = values.map { StepDigests.Segment(name: $0, digest: Digest(low: $1, high: 1)) }
    return StepDigests(total: segments.reduce(.zero) { $0 + $1.digest }, segments: segments)
  }

  @Test("the first step whose digests differ is named with its segments in the order of the model")
  func digestsPart() {
    let start = digests([("embedding", 1), ("blocks.0", 2), ("head", 3)])
    let a = [10: start, 20: digests([("embedding", 4), ("blocks.0", 5), ("head", 6)]), 30: digests([("x", 1)])]
    let b = [10: start, 20: digests([("embedding", 4), ("blocks.0", 9), ("head", 7)]), 25: start, 30: start]
    let found = RunComparison.Digests(a, b)
    #expect(found.commonSteps == 3 && found.lastSameStep == 10 && found.firstDifferentStep == 20)
    #expect(found.segments == ["blocks.0", "head"])
    #expect(RunComparison.Digests(a, a).firstDifferentStep == nil)
    // A segment that one model lacks.
    #expect(RunComparison.Digests([1: digests([("a", 1)])], [1: digests([("a", 1), ("b", 2)])]).segments == ["b"])
  }

  @Test("digests survive the journal")
  func journal() throws {
    let folder = try TemporaryFolder()
    let written = digests([("embedding", 1), ("blocks.0", .max)])
    let journal = try Journal(path: folder.path + "/metrics.jsonl", completed: 0)
    try journal.append(.digest(step: 20, written))
    try journal.append(.step(21, loss: .nan, rate: 0, gradientNorm: 1, tokens: 1, seconds: 1))
    let read = JournalReader(run: folder.path)
    #expect(read.digests == [20: written])
    #expect(read.curve(.step, "loss")[21]?.isNaN == true && read.lastStep == 21)
  }

  @Test("a line says how much of the communication was hidden, and nothing of it for a single rank")
  func communication() throws {
    let entry = JournalEntry.step(
      1, loss: 1, rate: 1, gradientNorm: 1, tokens: 1, seconds: 1,
      communication: CommunicationTime(busy: 2, waited: 0.5))
    #expect(entry.fields["communicationHidden"] == .number(0.75))
    #expect(entry.fields["secondsCommunicating"] == .number(2) && entry.fields["secondsWaited"] == .number(0.5))
    let single = JournalEntry.step(1, loss: 1, rate: 1, gradientNorm: 1, tokens: 1, seconds: 1)
    #expect(single.fields["communicationHidden"] == nil && single.fields["secondsWaited"] == nil)
  }

  @Test("a folder without a run is refused by name")
  func noRun() throws {
    let folder = try TemporaryFolder()
    let error = #expect(throws: RunError.self) { try RunComparison(folder.path, folder.path) }
    #expect(error?.kind == .noRun && error?.subject == folder.path)
  }
}

@Suite struct RunListingTests {
  private func run(_ folder: TemporaryFolder, _ name: String, _ entries: [JournalEntry]) throws {
    try folder.write("\(name)/metrics.jsonl", "")
    let journal = try Journal(path: "\(folder.path)/\(name)/metrics.jsonl", completed: 0)
    for entry in entries { try journal.append(entry) }
  }

  private func step(_ number: Int, loss: Double) -> JournalEntry {
    .step(number, loss: loss, rate: 1, gradientNorm: 1, tokens: 1, seconds: 1)
  }

  @Test("what became of a run follows from its journal and its lock")
  func states() throws {
    let folder = try TemporaryFolder()
    try run(folder, "a/done", [step(4, loss: 2), .finish(step: 4, reason: "done", seconds: 1)])
    try run(folder, "a/stopped", [step(3, loss: 2), .finish(step: 3, reason: "stopped", seconds: 1)])
    // It was resumed after a stop and then crashed.
    try run(folder, "crashed", [.finish(step: 3, reason: "stopped", seconds: 1), step(4, loss: 1.5)])
    try run(folder, "killed", [step(9, loss: .nan)])
    try run(folder, "living", [step(7, loss: 1.25)])
    try run(folder, "far", [step(1, loss: 1)])
    func lock(_ run: String, host: String, start: Int) throws {
      try folder.write(
        "\(run)/lock", #"{"host":"\#(host)","pid":\#(getpid()),"start":\#(start),"since":"2026-01-01T00:00:00Z"}"#)
    }
    let living = try CheckpointDirectory(run: folder.path + "/living").lock()
    // The same pid at another start time is another process.
    try lock("killed", host: living.holder.host, start: living.holder.startTicks - 1)
    try lock("far", host: living.holder.host + "-2", start: living.holder.startTicks)

    let runs = try RunListing(below: folder.path).runs
    let byName = Dictionary(uniqueKeysWithValues: runs.map { (URL(filePath: $0.path).lastPathComponent, $0) })
    #expect(
      byName.mapValues(\.state) == [
        "done": .finished, "stopped": .stopped, "crashed": .failed, "killed": .failed, "living": .running,
        "far": .elsewhere,
      ])
    #expect(byName["done"]?.step == 4 && byName["done"]?.loss == 2 && byName["killed"]?.loss == nil)
    #expect(byName["living"]?.holder?.contains("\(getpid())") == true && byName["done"]?.holder == nil)
    #expect((byName["done"]?.bytes ?? 0) > 100)

    try living.release()
    #expect(try RunListing(below: folder.path + "/living").runs.map(\.state) == [.failed])
  }

  @Test("looking at a run does not keep a trainer from taking it")
  func harmless() throws {
    let folder = try TemporaryFolder()
    try run(folder, "r", [step(1, loss: 1)])
    let directory = CheckpointDirectory(run: folder.path + "/r")
    let lock = try directory.lock()
    _ = try RunListing(below: folder.path)
    try lock.release()
    _ = try RunListing(below: folder.path)
    try directory.lock().release()
  }
}
