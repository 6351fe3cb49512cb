import EspalierTesting
import Foundation
import Testing

/// What goes wrong is said in one sentence with its remedy, ends with an exit code other than 0, and writes over nothing.
@Suite struct CommandLineErrorTests {
  /// A command line that must fail, and what its one sentence must hold.
  struct Mistake: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let arguments: [String]
    let says: [String]
    var recipe = Command.recipe
  }

  static let mistakes = [
    Mistake(
      testDescription: "missing recipe", arguments: ["train", "tine.yaml"],
      says: ["tine.yaml", "there is no such file", "did you mean 'tiny.yaml'?"]),
    Mistake(
      testDescription: "bad value", arguments: ["train", "tiny.yaml", "--set", "batch.samples=many"],
      says: ["batch.samples", "'many'"]),
    Mistake(
      testDescription: "value out of range", arguments: ["check", "tiny.yaml", "--set", "stage=4"],
      says: ["stage", "from 0 to 3"]),
    Mistake(
      testDescription: "unknown key", arguments: ["train", "tiny.yaml"],
      says: ["tiny.yaml line 11", "unknown key 'evalute'", "did you mean 'evaluate'?"],
      recipe: Command.recipe + "\n\nevalute: { every: 3 }"),
    Mistake(
      testDescription: "width that does not divide into heads",
      arguments: ["train", "tiny.yaml", "--set", "model.decoder.heads=3"],
      says: ["width of 16 does not divide into 3 heads", "choose heads among"]),
    Mistake(
      testDescription: "missing data", arguments: ["train", "tiny.yaml", "--set", "data.text.path=nowhere.txt"],
      says: ["nowhere.txt"]),
    Mistake(
      testDescription: "data that is no zstd", arguments: ["data", "tiny.yaml", "--set", "data.text.path=broken.zst"],
      says: ["broken.zst"]),
    Mistake(
      testDescription: "more ranks than lanes", arguments: ["train", "tiny.yaml", "--ranks", "5"],
      says: ["5 ranks cannot share 4 lanes", "start at most 4 ranks"]),
    Mistake(
      testDescription: "nothing to resume", arguments: ["train", "tiny.yaml", "--resume"],
      says: ["runs/tiny", "there is no checkpoint to resume from", "start without --resume"]),
    Mistake(
      testDescription: "threads of in-process ranks",
      arguments: ["train", "tiny.yaml", "--ranks", "2", "--set", "threads=2"],
      says: ["threads", "set threads to 1", "launch/mpirun -n 2"]),
    Mistake(
      testDescription: "no ranks", arguments: ["train", "tiny.yaml", "--ranks", "0"], says: ["--ranks", "at least one"]),
    Mistake(
      testDescription: "plan of too many ranks", arguments: ["plan", "tiny.yaml", "--ranks", "9"],
      says: ["9 ranks cannot share 4 lanes", "plan 1 to 4 ranks"]),
    Mistake(
      testDescription: "checkpoint that is not there", arguments: ["digest", "runs/none"], says: ["runs/none"]),
    Mistake(
      testDescription: "unknown name", arguments: ["describe", "adamv"], says: ["'adamv'", "did you mean 'adamw'?"]),
    Mistake(
      testDescription: "unknown model", arguments: ["init", "--model", "decodr"], says: ["did you mean 'decoder'?"]),
    Mistake(
      testDescription: "file that exists", arguments: ["init", "tiny.yaml"], says: ["tiny.yaml", "left alone"]),
  ]

  @Test("a mistake is one sentence with its remedy and trains nothing", arguments: mistakes)
  func mistake(_ mistake: Mistake) throws {
    try Command.inFolder(mistake.recipe) { folder in
      try "no zstd".write(toFile: folder + "/broken.zst", atomically: true, encoding: .utf8)
      let outcome = try Command.run(mistake.arguments, in: folder)
      #expect(outcome.status == 1, "\(outcome)")
      #expect(outcome.errors.split(separator: "\n").count == 1 && outcome.errorLines.count == 1, "\(outcome)")
      for words in mistake.says {
        #expect(outcome.errors.contains(words), "'\(words)' is missing in \(outcome.errors)")
      }
      #expect(!FileManager.default.fileExists(atPath: folder + "/runs/tiny/checkpoints"))
      #expect(try String(contentsOfFile: folder + "/tiny.yaml", encoding: .utf8) == mistake.recipe)
    }
  }

  @Test(
    "a command line that makes no sense ends with 64 and shows the usage",
    arguments: [
      ["train"], ["train", "tiny.yaml", "--rank", "2"], ["sample", "x"], ["trian"], ["list", "models", "x"],
    ])
  func usage(_ arguments: [String]) throws {
    try Command.inFolder { folder in
      let outcome = try Command.run(arguments, in: folder)
      #expect(outcome.status == 64, "\(outcome)")
      #expect(outcome.errors.contains("Usage: espalier"), "\(outcome)")
    }
  }

  @Test("a run that has checkpoints is neither begun anew nor resumed with another seed; nothing of it changes")
  func runExists() throws {
    try Command.inFolder { folder in
      #expect(try Command.run(["train", "tiny.yaml"], in: folder).status == 0)
      let before = try Command.total(of: "runs/tiny", in: folder)
      let metrics = try Data(contentsOf: URL(filePath: folder + "/runs/tiny/metrics.jsonl"))

      let again = try Command.run(["train", "tiny.yaml"], in: folder)
      #expect(again.status == 1 && again.errorLines.count == 1, "\(again)")
      #expect(again.errors.contains("go on with --resume, or choose another --run directory"), "\(again)")

      let otherSeed = try Command.run(["train", "tiny.yaml", "--resume", "--set", "seed=6"], in: folder)
      #expect(otherSeed.status == 1 && otherSeed.errors.contains("--allow seed"), "\(otherSeed)")

      #expect(try Command.total(of: "runs/tiny", in: folder) == before && before.hasPrefix("total "))
      #expect(try Data(contentsOf: URL(filePath: folder + "/runs/tiny/metrics.jsonl")) == metrics)
    }
  }

  @Test("a second trainer on a live run is refused and told who holds it; the first goes on")
  func secondTrainer() throws {
    try Command.inFolder { folder in
      let outcome = try Command.script(
        """
        "$espalier" train tiny.yaml --set schedule.0.train.steps=20000 --set save.every=0 >/dev/null & first=$!
        for ((i = 0; i < 200; i++)); do [[ -s runs/tiny/metrics.jsonl ]] && break; sleep 0.05; done
        "$espalier" train tiny.yaml; echo "second $?"
        "$espalier" train tiny.yaml --resume; echo "third $?"
        kill -TERM "$first"; wait "$first"; echo "first $? $first"
        """, in: folder)
      let pid = outcome.lines.last?.split(separator: " ").last ?? "?"
      #expect(outcome.lines.contains("second 1") && outcome.lines.contains("third 1"), "\(outcome)")
      #expect(outcome.lines.contains("first 75 \(pid)"), "\(outcome)")
      #expect(
        outcome.errorLines.count == 2 && outcome.errorLines.allSatisfy { $0.contains("process \(pid) ") }, "\(outcome)")
    }
  }

  @Test("a disk that is full names the file, ends with 1, and leaves the checkpoint before it")
  func diskFull() throws {
    try Command.inFolder { folder in
      #expect(try Command.run(["train", "tiny.yaml"], in: folder).status == 0)
      let before = try Command.total(of: "runs/tiny", in: folder)
      // A limit on the size of files stands in for the disk: root cannot be refused otherwise, and a small one needs a mount.
      let outcome = try Command.script(
        """
        trap '' XFSZ; ulimit -f 24
        exec "$espalier" train tiny.yaml --resume --set schedule.0.train.steps=14 --set save.every=0
        """, in: folder)
      #expect(outcome.status == 1, "\(outcome)")
      #expect(outcome.errorLines.count == 1 && outcome.errors.contains("step 14"), "\(outcome)")
      #expect(outcome.errors.contains("/shards/") && outcome.errors.contains("--resume"), "\(outcome)")
      #expect(try Command.total(of: "runs/tiny", in: folder) == before)
      let left = try FileManager.default.contentsOfDirectory(atPath: folder + "/runs/tiny/checkpoints")
      #expect(left.filter { $0.hasPrefix("step-") }.sorted() == ["step-0000000006", "step-0000000012"])
    }
  }

  @Test("a damaged checkpoint is refused by name", arguments: ["verify", "digest"])
  func damaged(_ command: String) throws {
    try Command.inFolder { folder in
      #expect(try Command.run(["train", "tiny.yaml"], in: folder).status == 0)
      let newest = folder + "/runs/tiny/checkpoints/step-0000000012"
      let shard = try #require(FileManager.default.contentsOfDirectory(atPath: newest + "/shards").first)
      var bytes = try Data(contentsOf: URL(filePath: newest + "/shards/" + shard))
      bytes[bytes.count / 3] ^= 1
      try bytes.write(to: URL(filePath: newest + "/shards/" + shard))

      let named = try Command.run([command, newest] + (command == "verify" ? ["--full"] : []), in: folder)
      #expect(named.status == 1 && named.errors.contains(shard), "\(named)")
      #expect(named.errorLines.allSatisfy { $0.contains("tensor '") }, "\(named)")
      if command != "verify" {
        let newestValid = try Command.run([command, "runs/tiny"], in: folder)
        #expect(newestValid.status == 0 && newestValid.errors.contains("using runs/tiny/checkpoints/step-0000000006"))
      }
    }
  }

  @Test("under mpirun one rank speaks", .enabled(if: MPIRun.runs, Comment(rawValue: MPIRun.skipReason)))
  func oneVoice() throws {
    try Command.inFolder { folder in
      let recipe = folder + "/tiny.yaml", run = folder + "/run"
      for (arguments, words) in [
        (["train", folder + "/none.yaml"], "there is no such file"),
        (["train", recipe, "--run", run, "--ranks", "3"], "an MPI job of 2 ranks, not 3"),
        (["train", recipe, "--run", run, "--resume"], "there is no checkpoint to resume from"),
        (["train", recipe, "--run", run, "--set", "batch.lanes=1"], "2 ranks cannot share 1 lanes"),
      ] {
        let outcome = try Command.mpirun(ranks: 2, arguments)
        #expect(outcome.status == 1, "\(outcome)")
        #expect(outcome.errorLines.count == 1 && outcome.errors.contains(words), "\(outcome)")
      }
      #expect(!FileManager.default.fileExists(atPath: run + "/checkpoints"))
    }
  }
}
