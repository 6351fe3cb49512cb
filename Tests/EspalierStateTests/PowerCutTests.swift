import EspalierState
import Foundation
import Synchronization
import Testing

/// Power cuts at every instant of saving and retiring, on a simulated disk: what was announced is there, and nothing that is
/// there is damaged. And each sync is needed: without it, some cut breaks that.
@Suite struct PowerCutTests {
  /// All calls of a history of saves, and which were announced when.
  struct History: Sendable {
    var events: [FileSystem.Event] = []
    /// How many events came before a step was announced, and what is kept from then on.
    var announced: [(events: Int, steps: [Int])] = []
  }

  /// From step 20 on, of a run with a frozen tensor.
  static func state(_ step: Int) -> SampleState {
    let state = SampleState(shapes: step < 20 ? [[3], [40]] : [[3], [20], [30]], seed: UInt64(step))
    return step > 20 ? state.withFrozen(of: self.state(20)) : state
  }

  /// Writes down what processes do, one after the other.
  final class Recorder: Sendable {
    private struct State {
      var history = History()
      var isDead = false
    }
    private let state = Mutex(State())

    var history: History { state.withLock { $0.history } }

    func announce(_ steps: [Int]) { state.withLock { $0.history.announced.append(($0.history.events.count, steps)) } }

    /// A process that dies behind the first event for which `isLast` is true.
    func process(
      dyingAfter isLast: (@Sendable (FileSystem.Event) -> Bool)? = nil, _ body: (FileSystem) throws -> Void
    ) throws {
      state.withLock { $0.isDead = false }
      let fileSystem = FileSystem.watched(
        answering: { _, _ in self.state.withLock { $0.isDead } ? .fail(EIO) : .proceed },
        observing: { event in
          self.state.withLock {
            $0.history.events.append(event)
            $0.isDead = isLast?(event) == true
          }
        })
      do { try body(fileSystem) } catch  where state.withLock({ $0.isDead }) {}
      #expect(state.withLock { $0.isDead } == (isLast != nil), "a process outlived its end, or died of something else")
    }
  }

  /// Saves with every kind of interruption between them, in `base`.
  static func history(in base: String) throws -> History {
    let run = base + "/run"
    let recorder = Recorder()
    func save(_ step: Int, _ retention: Retention, _ fileSystem: FileSystem) throws {
      _ = try state(step).save(
        to: CheckpointDirectory(run: run, fileSystem: fileSystem), step: step, writers: 2, chunkBytes: 64,
        retention: retention, fileSystem: fileSystem)
    }

    // Processes that die as soon as they have made a folder: the next one finds it, and must not take it for safe.
    try recorder.process(dyingAfter: { $0.call == .makeDirectory && $0.path == run }) { try save(9, .all, $0) }
    try recorder.process(dyingAfter: { $0.call == .makeDirectory && $0.path.hasSuffix("checkpoints") }) {
      try save(9, .all, $0)
    }
    try recorder.process { try save(9, .last(1), $0) }
    recorder.announce([9])
    try recorder.process { try save(10, .last(1), $0) }
    recorder.announce([10])
    // One that dies between shards and manifest, one behind the rename that makes the checkpoint, and one behind the
    // rename that takes an old one away.
    try recorder.process(dyingAfter: { $0.call == .sync && $0.path.hasSuffix("w00001.esp") }) {
      try save(11, .last(1), $0)
    }
    try recorder.process(dyingAfter: { $0.call == .rename && $0.target.hasSuffix("step-0000000011") }) {
      try save(11, .last(1), $0)
    }
    try recorder.process { try save(12, .last(3), $0) }
    recorder.announce([10, 11, 12])
    try recorder.process(dyingAfter: { $0.call == .rename && $0.target.contains(".trash-step-0000000010") }) {
      try save(13, .last(2), $0)
    }
    try recorder.process { try save(14, .last(3), $0) }
    recorder.announce([12, 13, 14])
    return recorder.history
  }

  /// Saves that link what an earlier one wrote, which is retired.
  static func sharing(in base: String) throws -> History {
    let run = base + "/run"
    let recorder = Recorder()
    var newest: String?
    for step in 20...22 {
      try recorder.process {
        newest = try state(step).saveSharing(
          newest.flatMap { FrozenShards(at: $0) }, to: CheckpointDirectory(run: run, fileSystem: $0), step: step,
          writers: 2, retention: .last(1), fileSystem: $0
        ).path
      }
      recorder.announce([step])
    }
    return recorder.history
  }

  /// What is wrong after some power cut; nil if nothing is.
  /// - Parameter start: the first event behind which the power may go.
  static func firstFault(_ history: History, base: String, from start: Int = 0) throws -> String? {
    var seen: [Int: Set<[String: [UInt8]?]>] = [:]
    for count in start...history.events.count {
      let disk = SimulatedDisk(base: base, replaying: history.events.prefix(count))
      // What was announced before the last one may be retired by the save after it.
      let announced = history.announced.last { $0.events <= count }
      let newest = announced?.steps.last ?? 0
      for (number, cut) in disk.cuts.enumerated() {
        let contents = disk.contents(after: cut)
        guard seen[newest, default: []].insert(contents).inserted || announced?.events == count else { continue }
        let fault = try withTemporaryRun { folder -> String? in
          try SimulatedDisk.write(contents, to: folder)
          return try Self.problem(
            in: folder + "/run", newest: newest, all: announced?.events == count ? announced?.steps : nil)
        }
        if let fault {
          let last =
            count > 0 ? "\(history.events[count - 1].call.rawValue) \(history.events[count - 1].path)" : "nothing"
          return "cut \(number) after \(last): \(fault)"
        }
      }
    }
    return nil
  }

  private static func problem(in run: String, newest: Int, all: [Int]?) throws -> String? {
    let directory = CheckpointDirectory(run: run)
    var steps: [Int] = []
    for entry in try directory.list() {
      if let problem = CheckpointReader.problems(at: entry.path, full: true).first { return "\(problem)" }
      if let difference = try state(entry.step).difference(from: CheckpointReader(entry.path)) {
        return "step \(entry.step) differs: \(difference)"
      }
      steps.append(entry.step)
    }
    if let all, !Set(steps).isSuperset(of: all) { return "announced \(all), left \(steps)" }
    if newest > 0, (steps.last ?? 0) < newest { return "announced step \(newest), left \(steps)" }
    if let advice = try? String(contentsOfFile: directory.path + "/LATEST", encoding: .utf8),
      advice.wholeMatch(of: /step-\d{10}\n/) == nil
    {
      return "LATEST says '\(advice)'"
    }
    // And life goes on.
    if newest == 0, steps.isEmpty {
      _ = try state(9).save(to: directory, step: 9)
      if try directory.newestValid().reader?.step != 9 { return "the next save left nothing" }
    }
    return nil
  }

  /// Where in the protocol a sync stands: what is synced, and what was done before it.
  static func site(_ events: [FileSystem.Event], _ index: Int) -> String {
    func name(_ path: String) -> String {
      path.replacing(/^.*\/run/, with: "run").replacing(/[0-9a-f]{32}/, with: "ID").replacing(
        /step-\d{10}/, with: "STEP"
      )
      .replacing(/-[0-9a-f]{16}$/, with: "").replacing(/w\d{5}/, with: "w").replacing(/^\/.*/, with: "parent")
    }
    let before = index > 0 ? events[index - 1] : .init(.sync, "")
    return
      "\(name(events[index].path)) after \(before.call.rawValue) \(name(before.target.isEmpty ? before.path : before.target))"
  }

  @Test("after a power cut at any instant, what was announced is there and nothing that is there is damaged")
  func anyInstant() throws {
    try withTemporaryRun { base in
      let history = try Self.history(in: base)
      #expect(history.announced.count == 4 && history.events.count > 250, "\(history.events.count) events")
      #expect(try Self.firstFault(history, base: base) == nil)
    }
  }

  @Test("so it is where frozen tensors are linked from one checkpoint to the next")
  func linked() throws {
    try withTemporaryRun { base in
      let history = try Self.sharing(in: base)
      #expect(history.events.contains { $0.call == .link })
      #expect(try Self.firstFault(history, base: base) == nil)
      // Names of linked files that are not safe when the checkpoint is.
      var mutant = history
      mutant.events.removeAll { $0.call == .sync && $0.path.hasSuffix("/frozen") }
      mutant.announced = []
      #expect(try Self.firstFault(mutant, base: base) != nil)
    }
  }

  @Test("every sync is needed: without it some power cut loses what was announced, or leaves something damaged")
  func everySync() throws {
    try withTemporaryRun { base in
      let history = try Self.history(in: base)
      var sites: [String: [Int]] = [:]
      for (index, event) in history.events.enumerated() where event.call == .sync {
        sites[Self.site(history.events, index), default: []].append(index)
      }
      var idle: [String] = []
      for (site, indices) in sites {
        var mutant = history
        for index in indices.reversed() {
          mutant.events.remove(at: index)
          mutant.announced = mutant.announced.map { ($0.events > index ? $0.events - 1 : $0.events, $0.steps) }
        }
        if try Self.firstFault(mutant, base: base, from: indices[0]) == nil { idle.append(site) }
      }
      #expect(idle.sorted() == Self.idle)
    }
  }

  /// Syncs that a later one of the same save repeats. They stay: a save under way is then seen after a power cut, and removed by
  /// its name and not by chance. (The second is the same line as one that is needed, where it had nothing to make safe.)
  static let idle = [
    "run/checkpoints after sync run/checkpoints/.tmp-ID",
    "run/checkpoints after sync run/checkpoints/.tmp-ID/shards/w.esp",
    "run/checkpoints/.tmp-ID after makeDirectory run/checkpoints/.tmp-ID/shards",
  ]
}
