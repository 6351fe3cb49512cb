import EspalierState
import Foundation
import Synchronization
import Testing

/// Saves that fail at every point: the checkpoint before always loads, and the next save succeeds.
@Suite struct CheckpointFailureTests {
  /// Fails the calls whose numbers are in `failing`, counted from 0.
  final class Trap: Sendable {
    private let count = Mutex(0)
    private let failing: Range<Int>
    private let code: Int32

    init(failing: Range<Int>, code: Int32) {
      self.failing = failing
      self.code = code
    }

    var calls: Int { count.withLock { $0 } }

    var fileSystem: FileSystem {
      FileSystem { _, _ in
        self.count.withLock { count in
          defer { count += 1 }
          return self.failing.contains(count) ? self.code : 0
        }
      }
    }
  }

  static let first = SampleState(shapes: [[3], [40]], seed: 1)
  static let second = SampleState(shapes: [[3], [40]], seed: 2)
  static let third = SampleState(shapes: [[3], [40]], seed: 3)

  func save(_ state: SampleState, _ step: Int, _ run: String, _ fileSystem: FileSystem) throws -> CommittedCheckpoint {
    try state.save(
      to: CheckpointDirectory(run: run, fileSystem: fileSystem), step: step, writers: 2, chunkBytes: 64,
      retention: .last(1), fileSystem: fileSystem)
  }

  /// - Parameter dies: every call after the failed one fails too, as if the process had been killed there.
  @Test("whichever call of a save fails, or is the last, nothing that was committed is lost", arguments: [false, true])
  func everyCall(dies: Bool) throws {
    var k = 0
    var wasReached = true
    while wasReached {
      try withTemporaryRun { run in
        _ = try save(Self.first, 9, run, .real)
        let trap = Trap(failing: k..<(dies ? Int.max : k + 1), code: EIO)
        var committed = false
        do {
          _ = try save(Self.second, 10, run, trap.fileSystem)
          committed = true
        } catch let error as CheckpointError {
          #expect(error.kind == .inputOutput || error.kind == .notShared, "call \(k): \(error)")
          #expect(error.file.hasPrefix(run), "call \(k): \(error)")
        }
        wasReached = trap.calls > k

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
