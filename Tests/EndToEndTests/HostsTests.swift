import EspalierTesting
import Foundation
import Testing

/// launch/testing/hosts: network namespaces of this machine as hosts, with TCP between them.
private enum Hosts {
  static let script = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent().appending(path: "launch/testing/hosts").path

  /// Why hosts cannot be made here; nil where they can.
  static let obstacle: String? = {
    do {
      let outcome = try ProcessRunner.run(script, ["--check"])
      return outcome.status == 0 ? nil : outcome.errors.split(separator: "\n").joined(separator: " ")
    } catch { return "\(error)" }
  }()
}

@Suite(.enabled(if: Hosts.obstacle == nil, Comment(rawValue: Hosts.obstacle ?? "")), .serialized) struct HostsTests {
  @Test("two hosts over a shaped link end with the digest of one in-process rank, on one clock")
  func twoHosts() throws {
    try Runs.inTemporaryDirectory { directory in
      let recipe = directory + "/recipe.yaml", run = directory + "/run"
      try TinyRuns.decoder.write(toFile: recipe, atomically: true, encoding: .utf8)
      let espalier = try ProcessRunner.product("espalier")
      let trained = try ProcessRunner.run(
        Hosts.script,
        [
          "--hosts", "2", "--slots", "1", "--rate", "1gbit", espalier, "train", recipe, "--run", run, "--trace",
          "--trace-steps", "5",
        ])
      try #require(trained.status == 0, "\(trained)")
      #expect(trained.output.contains("on node-1: rank 0 pid") && trained.output.contains("on node-2: rank 1 pid"))
      let digest = try ProcessRunner.run(espalier, ["digest", run])
      let reference = try OneDigestTests.reference.get().prefix { $0 != " " }
      #expect(digest.lines.last == "total \(reference)")

      try TraceTests.check(try TraceTests.events(run), ranks: 2, steps: 5, tolerance: 500)
      // Both hosts are this machine, so the offset that was estimated between their clocks is all error.
      let trace = try String(contentsOfFile: run + "/trace.json", encoding: .utf8)
      let offsets = trace.matches(of: /clock (-?\d+) ns/).compactMap { Int($0.1) }
      #expect(offsets.count == 2 && offsets[0] == 0)
      #expect(abs(offsets.last ?? .max) < 2_000_000, "off by \(offsets) ns")
    }
  }

  @Test("hosts have names, networks and shared memory of their own, and the command's exit code is kept")
  func separate() throws {
    let outcome = try ProcessRunner.run(
      Hosts.script,
      [
        "--hosts", "2", "--slots", "2", "sh", "-c",
        "echo $OMPI_COMM_WORLD_RANK $(hostname) $(ip -o -4 address show dev eth0 | awk '{ print $4 }') $PWD",
      ])
    let here = FileManager.default.currentDirectoryPath
    #expect(
      outcome.lines.sorted() == [
        "0 node-1 10.77.0.1/24 \(here)", "1 node-1 10.77.0.1/24 \(here)", "2 node-2 10.77.0.2/24 \(here)",
        "3 node-2 10.77.0.2/24 \(here)",
      ], "\(outcome)")
    #expect(outcome.status == 0)
    let failing = try ProcessRunner.run(Hosts.script, ["sh", "-c", "exit $((7 * OMPI_COMM_WORLD_RANK))"])
    #expect(failing.status == 7, "\(failing)")
  }

  @Test("nothing is left when the script is killed", arguments: ["KILL", "TERM"])
  func cleanUp(signal: String) throws {
    try Runs.inTemporaryDirectory { directory in
      let mark = "sleep 31.\(ProcessInfo.processInfo.processIdentifier)\(signal.count)"
      // The script is killed by its pid from outside once the ranks sleep.
      let outcome = try ProcessRunner.run(
        "/bin/bash",
        [
          "-c",
          """
          export TMPDIR=\(directory)
          '\(Hosts.script)' sh -c ': > \(directory)/up-$OMPI_COMM_WORLD_RANK; exec \(mark)' & job=$!
          for try in $(seq 200); do [ -e \(directory)/up-1 ] && break; sleep 0.05; done
          [ -e \(directory)/up-1 ] || { echo 'the ranks did not start'; exit 9; }
          # mpirun passes signals on when all ranks are up.
          sleep 1
          kill -\(signal) $job; wait $job 2>/dev/null
          for try in $(seq 200); do pgrep -f '^\(mark)' >/dev/null || exit 0; sleep 0.05; done
          pgrep -af '\(mark)'; exit 8
          """,
        ], timeoutSeconds: 40)
      #expect(outcome.status == 0, "\(outcome)")
      #expect(outcome.seconds < 25, "it ended because the ranks did")
      let links = try ProcessRunner.run("ip", ["-o", "link"])
      #expect(!links.output.contains("port-1") && !links.output.contains("switch"))
    }
  }

  @Test(
    "a command line that makes no sense is refused",
    arguments: [["--hosts", "5", "true"], ["--cut", "3:1", "true"], []])
  func refused(arguments: [String]) throws {
    let outcome = try ProcessRunner.run(Hosts.script, arguments)
    #expect(outcome.status == 64 && outcome.errors.hasPrefix("launch/testing/hosts: "), "\(outcome)")
  }
}
