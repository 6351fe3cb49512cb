import EspalierState
import Foundation
import Synchronization
import Testing

/// Saves that fail at every point: the checkpoint before always loads, the message names the cause, and the next save succeeds.
@Suite struct CheckpointFailureTests {
  /// What befalls a save.
  enum Fault: Sendable, CaseIterable {
    /// One call fails.
    case inputOutput, diskFull
    /// One call that writes or reads does half of it, as the system may; others are spared.
    case half
    /// One call that writes does half of it, and the next finds the disk full.
    case halfThenFull
    /// One call does what it does, by half if it writes, and the process is dead.
    case crash
  }

  /// Strikes at one call, counted from 0.
  final class Trap: Sendable {
    private let count = Mutex((calls: 0, isHalf: false))
    private let strikes: Int
    private let fault: Fault

    init(_ fault: Fault, at call: Int) {
      self.fault = fault
      strikes = call
    }

    var calls: Int { count.withLock { $0.calls } }

    var fileSystem: FileSystem {
      .watched(answering: { call, _ in
        self.count.withLock { count in
          defer { count.calls += 1 }
          let distance = count.calls - self.strikes
          switch self.fault {
          case .inputOutput: return distance == 0 ? .fail(EIO) : .proceed
          case .diskFull: return distance == 0 ? .fail(ENOSPC) : .proceed
          case .half: return distance == 0 ? .partial : .proceed
          case .halfThenFull:
            if distance == 0 { count.isHalf = call == .write }
            return distance == 0 ? .partial : distance == 1 && count.isHalf ? .fail(ENOSPC) : .proceed
          case .crash: return distance < 0 ? .proceed : distance == 0 && call == .write ? .partial : .fail(EIO)
          }
        }
      })
    }
  }

  static let first = SampleState(shapes: [[3], [40]], seed: 1)
  static let second = SampleState(shapes: [[3], [40]], seed: 2)
  static let third = SampleState(shapes: [[3], [40]], seed: 3)

  func save(
    _ state: SampleState, _ step: Int, _ run: String, _ fileSystem: FileSystem, writers: Int = 2,
    noting note: (CheckpointError) -> Void = { _ in }
  ) throws -> CommittedCheckpoint {
    try state.save(
      to: CheckpointDirectory(run: run, fileSystem: fileSystem), step: step, writers: writers, chunkBytes: 64,
      retention: .last(1), fileSystem: fileSystem, noting: note)
  }

  @Test(
    "whatever befalls whichever call of a save, nothing that was committed is lost, and the message names the cause",
    arguments: Fault.allCases, [1, 2])
  func everyCall(fault: Fault, writers: Int) throws {
    var k = 0
    var wasReached = true
    while wasReached {
      try withTemporaryRun { run in
        _ = try save(Self.first, 9, run, .real)
        let trap = Trap(fault, at: k)
        var committed = false
        var told: [CheckpointError] = []
        do {
          _ = try save(Self.second, 10, run, trap.fileSystem, writers: writers) { told.append($0) }
          committed = true
        } catch let error as CheckpointError { told.append(error) }
        wasReached = trap.calls > k
        let isFull = fault == .diskFull || fault == .halfThenFull
        for error in told {
          #expect(error.kind == (isFull ? .diskFull : .inputOutput), "call \(k): \(error)")
          #expect(
            error.reason.contains(isFull ? "No space left on device" : "Input/output error"), "call \(k): \(error)")
          #expect(error.file.hasPrefix(run) || run.hasPrefix(error.file + "/"), "call \(k): \(error)")
        }
        #expect(!committed || fault != .half || told.isEmpty)
        #expect(committed || (fault != .half && !told.isEmpty), "call \(k): \(told)")
        if wasReached, [.inputOutput, .diskFull].contains(fault) { #expect(!told.isEmpty, "call \(k) failed unheard") }

        let (reader, refused) = try CheckpointDirectory(run: run).newestValid()
        let checkpoint = try #require(reader, "call \(k): no checkpoint is left")
        #expect(refused.isEmpty, "call \(k): \(refused)")
        #expect(!committed || checkpoint.step == 10, "call \(k): the committed checkpoint is gone")
        let expected = checkpoint.step == 10 ? Self.second : Self.first
        #expect(try expected.difference(from: checkpoint) == nil, "call \(k)")

        // The same step again, with the same state; then the next one, with another.
        #expect(try save(Self.second, 10, run, .real).step == 10)
        let last = try save(Self.third, 11, run, .real)
        #expect(last.notes.isEmpty)
        let directory = CheckpointDirectory(run: run)
        #expect(try directory.list().map(\.step) == [11], "call \(k)")
        #expect(try Self.third.difference(from: #require(try directory.newestValid().reader)) == nil, "call \(k)")
        let left = try FileManager.default.contentsOfDirectory(atPath: directory.path).sorted()
        #expect(left == ["LATEST", "step-0000000011"], "call \(k)")
      }
      k += 1
    }
    #expect(k > 80, "a save and the retirement of the one before make more calls than \(k)")
  }

  @Test("what cannot be opened does not become a checkpoint")
  func damagedBeforeCommit() throws {
    try withTemporaryRun { run in
      let directory = CheckpointDirectory(run: run)
      _ = try Self.first.save(to: directory, step: 1)
      let prepared = try directory.prepare(.random())
      let plan = Self.second.plan(prepared.saveID, step: 2, ranks: 1)
      let summary = try ShardWriter.write(
        Self.second.snapshot(Self.second.parts(writers: 1)[0], chunkBytes: 64), to: prepared.path, rank: 0,
        world: plan.world, saveID: prepared.saveID)
      try FileHandle(forUpdating: URL(filePath: "\(prepared.path)/\(summary.file)")).truncate(atOffset: 100)
      let error = #expect(throws: CheckpointError.self) {
        _ = try directory.commit(plan, summaries: [summary], retention: .last(1))
      }
      #expect(error?.kind == .truncated || error?.kind == .wrongLength, "\(error)")
      #expect(try directory.list().map(\.step) == [1])
    }
  }

  @Test("a checkpoint of the same step that cannot be read just now does not give way")
  func unreadable() throws {
    try withTemporaryRun { run in
      _ = try save(Self.first, 7, run, .real)
      let failing = FileSystem { call, path in call == .read && path.contains("step-0000000007/shards") ? EIO : 0 }
      let error = #expect(throws: CheckpointError.self) { _ = try save(Self.second, 7, run, failing) }
      #expect(error?.kind == .inputOutput && error?.reason == "read failed: Input/output error")
      #expect(try Self.first.difference(from: #require(CheckpointDirectory(run: run).newestValid().reader)) == nil)
    }
  }

  @Test("a full disk is named as such, with the path")
  func diskFull() throws {
    try withTemporaryRun { run in
      _ = try save(Self.first, 1, run, .real)
      let full = FileSystem { call, path in call == .write && path.hasSuffix("w00001.esp") ? ENOSPC : 0 }
      let error = #expect(throws: CheckpointError.self) { _ = try save(Self.second, 2, run, full) }
      #expect(error?.kind == .diskFull)
      #expect(error?.file.hasSuffix("/shards/w00001.esp") == true)
      #expect(error?.reason == "write failed: No space left on device")
      #expect(error?.errorNumber == ENOSPC)
      #expect(try CheckpointDirectory(run: run).newestValid().reader?.step == 1)
      _ = try save(Self.second, 2, run, .real)
      #expect(try CheckpointDirectory(run: run).newestValid().reader?.step == 2)
    }
  }

  @Test("a rank that does not see the folder of the save says that the file system is not shared")
  func notShared() throws {
    try withTemporaryRun { run in
      let snapshot = Self.first.snapshot(Self.first.parts(writers: 1)[0], chunkBytes: 64)
      let error = #expect(throws: CheckpointError.self) {
        _ = try ShardWriter.write(
          snapshot, to: run + "/elsewhere", rank: 3,
          world: CheckpointWorld(ranks: 4, hosts: 2, stage: 1, transport: "mpi"), saveID: .random())
      }
      #expect(error?.kind == .notShared)
      #expect(error?.reason.contains("rank 3 on ") == true)
    }
  }

  @Test("a save in which a rank's pieces are missing is not committed")
  func missingRank() throws {
    try withTemporaryRun { run in
      let directory = CheckpointDirectory(run: run)
      let prepared = try directory.prepare(.random())
      let plan = Self.first.plan(prepared.saveID, step: 1, ranks: 2)
      let parts = Self.first.parts(writers: 2)
      let summary = try ShardWriter.write(
        Self.first.snapshot(parts[0], chunkBytes: 64), to: prepared.path, rank: 0, world: plan.world,
        saveID: prepared.saveID)
      let error = #expect(throws: CheckpointError.self) { _ = try directory.commit(plan, summaries: [summary]) }
      #expect(error?.kind == .hole)
      #expect(try directory.newestValid().reader == nil)
    }
  }
}
