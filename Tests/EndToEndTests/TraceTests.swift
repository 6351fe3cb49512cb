import EspalierState
import EspalierTesting
import EspalierTrain
import Foundation
import Testing

/// `train --trace`: what all ranks did, on one clock.
@Suite struct TraceTests {
  static let steps = 3
  static let recipe = TinyRuns.decoder.replacing("steps: 20", with: "steps: 6")

  /// A complete event of trace.json; times in microseconds.
  struct Event: Decodable {
    struct Arguments: Decodable {
      let sequence: Int?
      let bytes: Int?
    }

    let ph: String
    let name: String
    let cat: String?
    let pid: Int
    let tid: Int
    let ts: Double?
    let dur: Double?
    let args: Arguments

    var begin: Double { ts ?? .nan }
    var end: Double { begin + (dur ?? .nan) }
  }

  static func events(_ run: String) throws -> [Event] {
    try JSONDecoder().decode([Event].self, from: Data(contentsOf: URL(filePath: run + "/trace.json")))
  }

  /// What must hold of any trace.
  /// - Parameter tolerance: microseconds that clocks of different hosts may be apart.
  static func check(_ all: [Event], ranks: Int, steps: Int, tolerance: Double = 0) throws {
    let events = all.filter { $0.ph == "X" }
    #expect(Set(events.map(\.pid)) == Set(0..<ranks))
    for rank in 0..<ranks {
      let own = events.filter { $0.pid == rank }
      #expect(own.filter { $0.name.hasPrefix("step ") }.map(\.name) == (1...steps).map { "step \($0)" })
      for name in ["update", "forward embed", "backward blocks.1"] {
        #expect(own.contains { $0.name == name }, "rank \(rank) has no '\(name)'")
      }
      // What happens on one thread nests: of two spans one holds the other, or they do not touch.
      for row in [0, 1] {
        var open: [Event] = []
        for event in own.filter({ $0.tid == row }) {
          while let last = open.last, last.end <= event.begin { open.removeLast() }
          if let last = open.last {
            #expect(event.end <= last.end, "rank \(rank): '\(event.name)' outlives '\(last.name)' that it began in")
          }
          open.append(event)
        }
      }
    }
    // A collective that every rank waits in cannot end anywhere before it began everywhere: the clocks are one.
    let gathers = events.filter { $0.name == "gatherValues losses and norms of the step" && $0.tid == 1 }
    let bySequence = Dictionary(grouping: gathers) { $0.args.sequence ?? -1 }
    #expect(bySequence.count == steps)
    for (sequence, parts) in bySequence {
      #expect(parts.count == ranks, "sequence \(sequence)")
      let lastBegin = parts.map(\.begin).max() ?? 0, firstEnd = parts.map(\.end).min() ?? 0
      #expect(
        lastBegin <= firstEnd + tolerance, "sequence \(sequence) begins at \(lastBegin) µs and ends at \(firstEnd) µs")
    }
  }

  @Test(
    "a trace has steps, segments, collectives and waits of every rank, and changes no bit",
    arguments: [(1, 1), (3, 1), (2, 3)])
  func inProcess(ranks: Int, stage: Int) throws {
    try Runs.inTemporaryDirectory { directory in
      let overrides = ["stage=\(stage)"]
      let plain = try Runs.train(Self.recipe, set: overrides, ranks: 1, in: directory + "/plain")
      let traced = try Runs.train(
        Self.recipe, set: overrides, ranks: ranks, in: directory + "/traced", traceSteps: Self.steps)
      #expect(plain.digests.total == traced.digests.total)
      #expect(!FileManager.default.fileExists(atPath: directory + "/plain/trace.json"))
      let events = try Self.events(directory + "/traced")
      try Self.check(events, ranks: ranks, steps: Self.steps)
      if ranks > 1 {
        let gather = try #require(events.first { $0.name == "allGather values of embed" && $0.tid == 1 })
        #expect((gather.args.bytes ?? 0) >= 256 * 48 * 4)
        let wait = try #require(events.first { $0.cat == "wait" && $0.tid == 0 })
        #expect(events.contains { $0.tid == 1 && $0.args.sequence == wait.args.sequence && $0.pid == wait.pid })
      }
    }
  }

  @Test("a trace that is longer than the run holds its evaluations and saves")
  func whole() throws {
    try Runs.inTemporaryDirectory { directory in
      _ = try Runs.train(
        Self.recipe, set: ["evaluate.every=3", "save.every=3"], ranks: 2, in: directory + "/run", traceSteps: 50)
      let events = try Self.events(directory + "/run")
      try Self.check(events, ranks: 2, steps: 6)
      let own = events.filter { $0.pid == 0 && $0.tid == 0 }
      #expect(own.filter { $0.name == "evaluation" }.count == 2)
      #expect(own.filter { $0.name == "save" }.count >= 2)
      #expect(own.filter { $0.name == "forward embed" }.count > 6 * 4, "evaluation passes are in it as well")
    }
  }

  @Test("the journal says for every step how much of the communication was hidden, without a trace")
  func hidden() throws {
    try Runs.inTemporaryDirectory { directory in
      for ranks in [1, 2] {
        _ = try Runs.train(Self.recipe, ranks: ranks, in: directory + "/\(ranks)")
        let steps = JournalReader(run: directory + "/\(ranks)").lines(of: .step)
        #expect(steps.count == 6)
        for line in steps {
          let share = line["communicationHidden"]?.double, busy = line["secondsCommunicating"]?.double
          let waited = line["secondsWaited"]?.double
          guard ranks > 1 else {
            #expect(share == nil && busy == nil && waited == nil)
            continue
          }
          // The step's two small gathers are always waited for.
          #expect((busy ?? 0) > 0 && (waited ?? 0) > 0 && (0...1).contains(share ?? -1))
          #expect((busy ?? .infinity) <= (line["secondsPerStep"]?.double ?? 0) * 1.5 + 0.05)
        }
      }
    }
  }

  @Test(
    "under MPI a trace comes from every process", .enabled(if: MPIRun.runs, Comment(rawValue: MPIRun.skipReason)))
  func underMPI() throws {
    try Runs.inTemporaryDirectory { directory in
      let recipe = directory + "/recipe.yaml", run = directory + "/run"
      try Self.recipe.write(toFile: recipe, atomically: true, encoding: .utf8)
      let trained = try MPIRun.run(
        ranks: 3, product: "espalier", ["train", recipe, "--run", run, "--trace", "--trace-steps", "\(Self.steps)"])
      try #require(trained.status == 0, "\(trained)")
      #expect(trained.output.contains("trace of 3 steps: \(run)/trace.json"))
      try Self.check(try Self.events(run), ranks: 3, steps: Self.steps)
    }
  }
}
