import EspalierTesting
import Testing

@Suite("ProcessRunner")
struct ProcessRunnerTests {
  @Test("output, errors, status and environment are kept apart")
  func captures() throws {
    let outcome = try ProcessRunner.run(
      "sh", ["-c", "echo out $NAME; echo err >&2; exit 7"], environment: ["NAME": "value"])
    #expect(outcome.status == 7 && outcome.output == "out value\n" && outcome.errors == "err\n" && !outcome.isTimedOut)
  }

  @Test("a command that does not end is ended")
  func watchdog() throws {
    let outcome = try ProcessRunner.run("sleep", ["30"], timeoutSeconds: 0.3)
    #expect(outcome.isTimedOut && outcome.status != 0 && outcome.seconds < 10)
  }
}
