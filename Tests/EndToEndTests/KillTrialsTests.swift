import EspalierTesting
import Foundation
import Testing

/// Runs that are killed, through the command itself. The script has the trials; more of them run in .ci/run and by hand.
@Suite(.serialized) struct KillTrialsTests {
  private static let script = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent().appending(path: "launch/testing/kill-trials").path

  @Test(
    "runs that are killed at any instant lose nothing that was announced, and end as if nobody had disturbed them",
    arguments: MPIRun.runs ? [["-n", "7"], ["-n", "3", "--no-mpi"]] : [["-n", "10", "--no-mpi"]])
  func trials(options: [String]) throws {
    let outcome = try ProcessRunner.run(
      Self.script, options, environment: ["ESPALIER": try ProcessRunner.product("espalier")], timeoutSeconds: 120)
    #expect(outcome.status == 0, "\(outcome)")
    let count = options[1]
    #expect(outcome.lines.last?.hasPrefix("kill-trials: \(count)/\(count) right, ") == true, "\(outcome)")
  }
}
