import EspalierComm
import EspalierTesting
import Foundation
import Testing

/// Ranks that hang, through the command itself: what it says, how it ends, and what `espalier status` shows afterwards.
@Suite(.serialized) struct WatchdogEndToEndTests {
  private static let script = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent().appending(path: "launch/testing/hang-trials").path

  @Test(
    "a killed, a stopped and a looping MPI rank are named with the collective that they owe, and nothing is left of the job",
    .enabled(if: MPIRun.runs, Comment(rawValue: MPIRun.skipReason)), arguments: ["kill", "stop", "loop"])
  func trials(kind: String) throws {
    let outcome = try ProcessRunner.run(
      Self.script, ["-n", "1", "--kinds", kind, "--deadline", "3"],
      environment: ["ESPALIER": try ProcessRunner.product("espalier")], timeoutSeconds: 90)
    #expect(outcome.status == 0, "\(outcome)")
    #expect(outcome.lines.last?.hasPrefix("hang-trials: \(kind) 1/1 right") == true, "\(outcome)")
  }

  @Test("ranks that are threads of one process are watched as well, and status shows them when it is over")
  func inProcess() throws {
    try Runs.inTemporaryDirectory { directory in
      let espalier = try ProcessRunner.product("espalier")
      let recipe = directory + "/recipe.yaml", run = directory + "/run"
      try TinyRuns.decoder.write(toFile: recipe, atomically: true, encoding: .utf8)
      let hung = try ProcessRunner.run(
        espalier, ["train", recipe, "--run", run, "--ranks", "2", "--deadline", "1"],
        environment: ["ESPALIER_TEST_HANG": "rank=1 step=3 segment=blocks.1"], timeoutSeconds: 40)
      #expect(hung.status == 1, "\(hung)")
      let verdict = try #require(hung.errors.split(separator: "\n").first { $0.hasPrefix("verdict: ") }, "\(hung)")
      #expect(verdict.hasPrefix("verdict: rank 1 on ") && verdict.contains("stands still"))
      #expect(verdict.contains("it was in backward 'blocks.1' of step 3"))

      let status = try ProcessRunner.run(espalier, ["status", run])
      #expect(status.status == 0 && status.output.hasPrefix(String(verdict)), "\(status)")
      #expect(
        status.output.contains("ended by the watchdog") && status.output.contains("backward 'blocks.1' of step 3"))
      let json = try ProcessRunner.run(espalier, ["status", run, "--json", "--last", "3"])
      let table = try JSONDecoder().decode(Table.self, from: Data(json.output.utf8))
      #expect(table.ranks.map(\.rank) == [0, 1])
      #expect(table.ranks.allSatisfy { $0.collectives.count == 3 && $0.step == 3 && $0.progress > 0 })
      #expect(table.ranks[0].collectives.last?.state == "under way")
      #expect(table.ranks[1].collectives.last?.state == "done")
    }
  }

  /// What `espalier status --json` promises, as far as the test reads it.
  private struct Table: Decodable {
    struct Entry: Decodable {
      let sequence: Int
      let label: String
      let state: String
    }
    struct Rank: Decodable {
      let rank: Int
      let step: Int
      let progress: UInt64
      let collectives: [Entry]
    }
    let ranks: [Rank]
  }

  @Test("a run that ends well leaves recordings that say so, and no verdict")
  func calm() throws {
    try Runs.inTemporaryDirectory { directory in
      let espalier = try ProcessRunner.product("espalier")
      let recipe = directory + "/recipe.yaml", run = directory + "/run"
      try TinyRuns.decoder.write(toFile: recipe, atomically: true, encoding: .utf8)
      let trained = try ProcessRunner.run(
        espalier, ["train", recipe, "--run", run, "--ranks", "3", "--deadline", "10"], timeoutSeconds: 60)
      #expect(trained.status == 0, "\(trained)")
      let flights = Flight.all(run: run).flights
      #expect(flights.map(\.status.rank) == [0, 1, 2] && flights.allSatisfy { $0.status.end == .finished })
      #expect(flights.allSatisfy { $0.status.phase == .ending && $0.status.step == 20 })
      #expect(!FileManager.default.fileExists(atPath: Watchdog.verdictPath(run)))
      let status = try ProcessRunner.run(espalier, ["status", run])
      #expect(status.status == 0 && status.output.contains("finished") && !status.output.contains("verdict"))
    }
  }

  @Test("status of a directory without recordings says so")
  func nothing() throws {
    try Runs.inTemporaryDirectory { directory in
      let status = try ProcessRunner.run(try ProcessRunner.product("espalier"), ["status", directory])
      #expect(status.status == 1 && status.errors.contains("there are no recordings in"), "\(status)")
    }
  }
}
