import EspalierState
import EspalierTesting
import EspalierTrain
import Foundation
import Synchronization
import Testing

/// Saves that fail while a run trains: training goes on or ends as the recipe says, and nothing that was committed is lost.
@Suite struct SaveFailureTests {
  static let recipe = """
    model:     mlp
    optimizer: { adamw: { rate: 0.003 } }
    data:      { synthetic: { kind: classes, classes: 4, features: 8, noise: 0.5, samples: 96, validation: 16 } }
    batch:     { samples: 8, lanes: 4 }
    schedule:
      - train: { steps: 8, rate: { shape: constant, warmup: 2 } }
    evaluate:  { every: 0, batch: 16 }
    save:      { every: 2, keep: 1 }
    """

  static let undisturbed = Result {
    try Runs.inTemporaryDirectory { try Runs.train(recipe, in: $0 + "/run").digests.total }
  }

  enum Fault: Sendable, CaseIterable { case inputOutput, diskFull, half, crash }

  /// Strikes at one call of all ranks' saves together, counted from 0.
  final class Trap: Sendable {
    private let count = Atomic(0)
    private let strikes: Int
    private let fault: Fault

    init(_ fault: Fault, at call: Int) { (self.fault, strikes) = (fault, call) }

    var calls: Int { count.load(ordering: .relaxed) }

    func next() -> Int { count.add(1, ordering: .relaxed).newValue }

    var fileSystem: FileSystem {
      .watched(answering: { _, _ in
        let distance = self.next() - 1 - self.strikes
        switch self.fault {
        case .inputOutput: return distance == 0 ? .fail(EIO) : .proceed
        case .diskFull: return distance == 0 ? .fail(ENOSPC) : .proceed
        case .half: return distance == 0 ? .partial : .proceed
        case .crash: return distance >= 0 ? .fail(EIO) : .proceed
        }
      })
    }
  }

  @Test("training survives whatever befalls a call of its saves, and says what it was", arguments: Fault.allCases)
  func trainingGoesOn(fault: Fault) throws {
    let counter = Trap(.half, at: .max)
    try Runs.inTemporaryDirectory {
      _ = try Runs.train(Self.recipe, ranks: 2, in: $0 + "/run", fileSystem: counter.fileSystem)
    }
    #expect(counter.calls > 300)
    // The number is prime to those of the calls that a save makes again and again.
    for call in stride(from: 3, to: counter.calls, by: 41) {
      try Runs.inTemporaryDirectory { directory in
        let run = directory + "/run"
        var failure = ""
        do {
          let trained = try Runs.train(
            Self.recipe, ranks: 2, in: run, fileSystem: Trap(fault, at: call).fileSystem)
          #expect(try trained.digests.total == Self.undisturbed.get(), "call \(call)")
        } catch let error as RunError {
          #expect(error.kind == .saveFailed, "call \(call): \(error)")
          failure = error.description
        }
        let journal = try String(contentsOfFile: run + "/metrics.jsonl", encoding: .utf8)
        #expect(
          journal.contains(#""kind":"step","#) && journal.contains(#""step":8"#), "call \(call) ended the training")
        let cause = fault == .diskFull ? "No space left on device" : "Input/output error"
        #expect(
          (journal + failure).contains("failed: \(cause)") == (fault != .half), "call \(call): \(failure) \(journal)")
        #expect(journal.contains(run + "/checkpoints") || call == 3)

        // What is there is whole, and a run that ended without its last checkpoint gets there all the same.
        let directory = CheckpointDirectory(run: run)
        for entry in try directory.list() {
          #expect(CheckpointReader.problems(at: entry.path, full: true).isEmpty, "call \(call)")
        }
        if !failure.isEmpty {
          let isEmpty = try directory.list().isEmpty
          let resumed = try Runs.train(Self.recipe, in: run, resumes: !isEmpty)
          #expect(try resumed.digests.total == Self.undisturbed.get(), "call \(call)")
        }
        #expect(try directory.newestValid().reader?.step == 8)
        #expect(try directory.newestValid().reader?.digest == Self.undisturbed.get())
      }
    }
  }

  @Test("a save that fails is tried again at the next, and those before it stay")
  func triesAgain() throws {
    try Runs.inTemporaryDirectory { directory in
      let run = directory + "/run"
      let commits = Trap(.half, at: .max)
      // The second save of four cannot be committed.
      let isFull = FileSystem { call, path in
        guard call == .rename, path.hasSuffix("COMMIT.tmp") else { return 0 }
        return commits.next() == 2 ? ENOSPC : 0
      }
      _ = try Runs.train(Self.recipe, set: ["save.keep=9"], ranks: 2, in: run, fileSystem: isFull)
      #expect(try CheckpointDirectory(run: run).list().map(\.step) == [2, 6, 8])
      let journal = try String(contentsOfFile: run + "/metrics.jsonl", encoding: .utf8)
      #expect(journal.contains("the checkpoint of step 4 failed: "))
      #expect(journal.contains("rename failed: No space left on device; free some space; the next save will try again"))
    }
  }

  @Test("onFailure: stop ends all ranks at the failed save, and the checkpoint before it stays")
  func stops() throws {
    try Runs.inTemporaryDirectory { directory in
      let run = directory + "/run"
      let failing = FileSystem { _, path in
        FileManager.default.fileExists(atPath: run + "/checkpoints/step-0000000004") && path.hasSuffix("w00001.esp")
          ? EIO : 0
      }
      let error = #expect(throws: RunError.self) {
        _ = try Runs.train(
          Self.recipe, set: ["save.onFailure=stop", "save.keep=9"], ranks: 2, in: run, fileSystem: failing)
      }
      #expect(error?.kind == .saveFailed && error?.reason.contains("rank 1: ") == true, "\(error)")
      #expect(error?.reason.contains("w00001.esp: ") == true && error?.reason.contains("Input/output error") == true)
      let left = try CheckpointDirectory(run: run).list().map(\.step)
      #expect(left == [2, 4])
      let resumed = try Runs.train(Self.recipe, in: run, resumes: true)
      #expect(try resumed.digests.total == Self.undisturbed.get())
    }
  }

  @Test("a resumed run keeps what the run before it would have kept", arguments: 1..<11)
  func sameRetention(stop: Int) throws {
    let recipe = Self.recipe.replacing("train: { steps: 8,", with: "train: { steps: 5 }\n  - train: { steps: 7,")
      .replacing("every: 0, batch", with: "every: 3, batch").replacing(
        "keep: 1", with: "keep: 2, keepEvery: 4, keepBest: 1")
    func kept(_ run: String) throws -> [Int] {
      // One that was made because the run was stopped is an extra one, if it stays.
      try CheckpointDirectory(run: run).list().map(\.step).filter { $0 % 2 == 0 || $0 == 5 }
    }
    try Runs.inTemporaryDirectory { directory in
      _ = try Runs.train(recipe, in: directory + "/whole")
      _ = try Runs.train(recipe, ranks: 2, in: directory + "/run", stopsAfter: stop)
      _ = try Runs.train(recipe, ranks: 1 + stop % 3, in: directory + "/run", resumes: true)
      let whole = try kept(directory + "/whole")
      #expect(whole.starts(with: [4, 5]) && whole.suffix(2) == [10, 12], "\(whole)")
      #expect(try kept(directory + "/run") == whole)
      let border = try CheckpointReader(directory + "/run/checkpoints/step-0000000005")
      #expect(border.marks.border == "end of phase 0 (train)" && border.marks.evaluation?.step == 3)
      let why = try CheckpointDirectory(run: directory + "/run").kept(by: retention)
      #expect(why[5] == [.border] && why[4] == [.every] && why[12]?.contains(.newest) == true)
    }
  }

  private var retention: Retention {
    var retention = Retention.last(2)
    (retention.every, retention.best, retention.borders) = (4, 1, true)
    return retention
  }

  /// A file stands where the folder of checkpoints would be, so that every save fails, for root as well.
  private func blocked(_ folder: String, _ onFailure: String) throws -> String {
    let run = "\(folder)/\(onFailure)"
    try FileManager.default.createDirectory(atPath: run, withIntermediateDirectories: true)
    try Data().write(to: URL(filePath: run + "/checkpoints"))
    return run
  }

  @Test(
    "the command ends with 1 where its last save failed, and at the first that does where onFailure is stop",
    arguments: ["warn", "stop"], [false, true])
  func command(onFailure: String, isMPI: Bool) throws {
    guard MPIRun.runs || !isMPI else { return }
    try Command.inFolder(Self.recipe) { folder in
      let run = try blocked(folder, onFailure)
      let arguments = ["train", folder + "/tiny.yaml", "--run", run, "--set", "save.onFailure=\(onFailure)"]
      let ended =
        isMPI ? try Command.mpirun(ranks: 2, arguments) : try Command.run(arguments + ["--ranks", "2"], in: folder)
      #expect(ended.status == 1, "\(ended)")
      #expect(ended.errorLines.count == 1 && ended.errors.contains(run + "/checkpoints"), "\(ended)")
      let journal = try String(contentsOfFile: run + "/metrics.jsonl", encoding: .utf8)
      #expect(journal.matches(of: /"kind":"step"/).count == (onFailure == "warn" ? 8 : 2))
    }
  }
}
