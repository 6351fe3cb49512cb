import EspalierTesting
import Foundation
import Testing

/// `train` as a whole: one result for every way to start it, and exact resumes.
@Suite struct CommandLineTrainTests {
  @Test(
    "mpirun ends with the digest of in-process ranks",
    .enabled(if: MPIRun.runs, Comment(rawValue: MPIRun.skipReason)))
  func mpi() throws {
    try Command.inFolder { folder in
      for (run, arguments) in [("one", []), ("two", ["--ranks", "2", "--set", "stage=3"])] {
        let outcome = try Command.run(["train", "tiny.yaml", "--run", run] + arguments, in: folder)
        #expect(outcome.status == 0 && outcome.errors.isEmpty, "\(outcome)")
      }
      let outcome = try Command.mpirun(ranks: 2, ["train", folder + "/tiny.yaml", "--run", folder + "/mpi"])
      #expect(outcome.status == 0 && outcome.output.contains("on 2 ranks (mpi, "), "\(outcome)")
      let totals = try ["one", "two", "mpi"].map { try Command.total(of: $0, in: folder) }
      #expect(totals[0].hasPrefix("total ") && Set(totals).count == 1, "\(totals)")
    }
  }

  @Test(
    "SIGTERM and SIGUSR1 save and end with 75; the resumed run ends with the digest of the uninterrupted one",
    arguments: ["TERM", "USR1"])
  func signal(_ name: String) throws {
    // Long enough to be met while it runs, whatever else the machine does.
    let steps = ["--set", "schedule.0.train.steps=600", "--set", "save.every=0"]
    try Command.inFolder { folder in
      #expect(try Command.run(["train", "tiny.yaml", "--run", "whole"] + steps, in: folder).status == 0)
      let stopped = try Command.script(
        """
        "$espalier" train tiny.yaml --run cut --ranks 2 \(steps.joined(separator: " ")) & run=$!
        for ((i = 0; i < 400; i++)); do grep -q '"step":5,' cut/metrics.jsonl 2>/dev/null && break; sleep 0.02; done
        kill -\(name) "$run"; wait "$run"
        """, in: folder)
      #expect(stopped.status == 75 && stopped.output.contains("stopped as asked after step"), "\(stopped)")
      let checkpoints = try FileManager.default.contentsOfDirectory(atPath: folder + "/cut/checkpoints")
        .filter { $0.hasPrefix("step-") }
      #expect(checkpoints.count == 1 && checkpoints != ["step-0000000600"], "\(checkpoints)")

      let resumed = try Command.run(
        ["train", "tiny.yaml", "--run", "cut", "--resume", "--ranks", "3", "--set", "stage=2"] + steps, in: folder)
      #expect(resumed.status == 0 && resumed.output.contains("resuming after step"), "\(resumed)")
      let totals = try ["whole", "cut"].map { try Command.total(of: $0, in: folder) }
      #expect(totals[0].hasPrefix("total ") && totals[0] == totals[1], "\(totals)")
    }
  }

  @Test("SIGUSR1 to mpirun stops every rank with 75", .enabled(if: MPIRun.runs, Comment(rawValue: MPIRun.skipReason)))
  func signalUnderMPI() throws {
    try Command.inFolder { folder in
      let flags = MPIRun.flags.joined(separator: " ")
      let variables = MPIRun.environment.map { "\($0.key)=\($0.value)" }.joined(separator: " ")
      let outcome = try Command.script(
        """
        env \(variables) mpirun \(flags) -n 2 "$espalier" train tiny.yaml --set schedule.0.train.steps=20000 & run=$!
        for ((i = 0; i < 400; i++)); do grep -q '"step":5,' runs/tiny/metrics.jsonl 2>/dev/null && break; sleep 0.02; done
        kill -USR1 "$run"; wait "$run"
        """, in: folder)
      #expect(outcome.status == 75 && outcome.errorLines.isEmpty, "\(outcome)")
      #expect(try Command.run(["verify", "runs/tiny", "--full"], in: folder).status == 0)
    }
  }

  @Test("a lone process never starts MPI")
  func noMPI() throws {
    try Command.inFolder { folder in
      // A broken MPI installation: initialising it would fail.
      let outcome = try Command.run(
        ["train", "tiny.yaml"], in: folder, environment: ["OMPI_MCA_pml": "none-such", "OPAL_PREFIX": "/nowhere"])
      #expect(outcome.status == 0 && outcome.output.contains("on 1 rank (in-process, "), "\(outcome)")
    }
  }

  @Test("a cluster file gives ranks, and its threads must be the recipe's")
  func cluster() throws {
    try Command.inFolder { folder in
      try "{ nodes: 1, ranksPerNode: 2 }".write(toFile: folder + "/two.yaml", atomically: true, encoding: .utf8)
      try "{ threads: 4 }".write(toFile: folder + "/threads.yaml", atomically: true, encoding: .utf8)
      try "{ nodes: 2 }".write(toFile: folder + "/nodes.yaml", atomically: true, encoding: .utf8)
      let two = try Command.run(["train", "tiny.yaml", "--cluster", "two.yaml"], in: folder)
      #expect(two.status == 0 && two.output.contains("on 2 ranks"), "\(two)")
      let threads = try Command.run(["train", "tiny.yaml", "--cluster", "threads.yaml", "--run", "x"], in: folder)
      #expect(threads.status == 1 && threads.errors.contains("--set threads=4"), "\(threads)")
      let nodes = try Command.run(["train", "tiny.yaml", "--cluster", "nodes.yaml", "--run", "x"], in: folder)
      #expect(nodes.status == 1 && nodes.errors.contains("launch/mpirun -n 2"), "\(nodes)")
    }
  }
}
