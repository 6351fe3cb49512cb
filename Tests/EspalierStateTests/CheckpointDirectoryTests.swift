import EspalierState
import Foundation
import Testing

@Suite struct CheckpointDirectoryTests {
  static func state(_ seed: UInt64) -> SampleState { SampleState(shapes: [[5], [8]], seed: seed) }

  func damage(_ path: String) throws {
    let handle = try FileHandle(forUpdating: URL(fileURLWithPath: path + "/MANIFEST.json"))
    handle.write(Data("?".utf8))
    try handle.close()
  }

  @Test("the newest so many are kept, by number and not by name")
  func retention() throws {
    try withTemporaryRun { run in
      let directory = CheckpointDirectory(run: run)
      var retired: [String] = []
      for step in [9, 10, 100, 9_999_999_999, 10_000_000_000] {
        retired += try Self.state(1).save(to: directory, step: step, retention: .last(3)).retired
      }
      #expect(try directory.list().map(\.step) == [100, 9_999_999_999, 10_000_000_000])
      #expect(retired == ["step-0000000009", "step-0000000010"])
      #expect(try String(contentsOfFile: directory.path + "/LATEST", encoding: .utf8) == "step-10000000000\n")
    }
  }

  @Test("faulty checkpoints do not count as kept ones")
  func retentionCountsValid() throws {
    try withTemporaryRun { run in
      let directory = CheckpointDirectory(run: run)
      for step in 1...4 {
        try Self.state(1).save(to: directory, step: step)
      }
      try damage(directory.list()[3].path)
      try damage(directory.list()[0].path)
      // 5 and 3 are kept; 4 is faulty and newer than one that is kept, 2 and 1 go.
      #expect(try Self.state(1).save(to: directory, step: 5, retention: .last(2)).retired.sorted().count == 2)
      #expect(try directory.list().map(\.step) == [3, 4, 5])
    }
  }

  @Test("steps beyond the one just saved neither count as kept nor go")
  func olderStep() throws {
    try withTemporaryRun { run in
      let directory = CheckpointDirectory(run: run)
      for step in [10, 50] { try Self.state(1).save(to: directory, step: step) }
      #expect(try Self.state(1).save(to: directory, step: 20, retention: .last(2)).retired == [])
      #expect(try Self.state(1).save(to: directory, step: 30, retention: .last(1)).retired.count == 2)
      #expect(try directory.list().map(\.step) == [30, 50])
    }
  }

  @Test("faulty newer checkpoints are passed over with their reasons, whatever LATEST says")
  func newestValid() throws {
    try withTemporaryRun { run in
      let directory = CheckpointDirectory(run: run)
      for step in [1, 2, 3] { try Self.state(UInt64(step)).save(to: directory, step: step) }
      try damage(directory.list()[2].path)
      try FileManager.default.removeItem(atPath: directory.list()[1].path + "/COMMIT")
      try Data("step-0000000003\n".utf8).write(to: URL(fileURLWithPath: directory.path + "/LATEST"))
      let (reader, refused) = try directory.newestValid()
      #expect(reader?.step == 1)
      #expect(refused.map(\.name) == ["step-0000000003", "step-0000000002"])
      #expect(refused.flatMap(\.problems).map(\.kind) == [.checksumMismatch, .notCommitted])
    }
  }

  @Test("unfinished saves and other names are not checkpoints, and cleaning removes only what is unfinished")
  func leftovers() throws {
    try withTemporaryRun { run in
      let directory = CheckpointDirectory(run: run)
      #expect(try directory.newestValid().reader == nil)
      #expect(directory.cleanUp().isEmpty)
      let path = try Self.state(1).save(to: directory, step: 7).path
      let manager = FileManager.default
      for name in [".tmp-0123456789abcdef0123456789abcdef", ".trash-step-0000000006-0", "step-8", "step-00000000x9"] {
        try manager.copyItem(atPath: path, toPath: directory.path + "/" + name)
      }
      try Data().write(to: URL(fileURLWithPath: directory.path + "/step-0000000099"))
      try Data("step-0000".utf8).write(to: URL(fileURLWithPath: directory.path + "/LATEST.tmp"))
      try manager.createSymbolicLink(atPath: directory.path + "/step-0000000098", withDestinationPath: path)
      #expect(try directory.list().map(\.step) == [7])
      #expect(throws: CheckpointError.self) { try CheckpointReader(directory.path + "/.trash-step-0000000006-0") }
      #expect(directory.cleanUp().isEmpty)
      #expect(
        try manager.contentsOfDirectory(atPath: directory.path).sorted() == [
          "LATEST", "step-0000000007", "step-0000000098", "step-0000000099", "step-00000000x9", "step-8",
        ])
    }
  }

  @Test("a checkpoint under the name of another step is refused; under a name of the user's it is read")
  func renamed() throws {
    try withTemporaryRun { run in
      let directory = CheckpointDirectory(run: run)
      let path = try Self.state(1).save(to: directory, step: 7).path
      try FileManager.default.copyItem(atPath: path, toPath: directory.path + "/step-0000000008")
      try FileManager.default.copyItem(atPath: path, toPath: run + "/best")
      #expect(
        CheckpointReader.problems(at: directory.path + "/step-0000000008", full: false).map(\.kind) == [.wrongName])
      #expect(try CheckpointReader(run + "/best").step == 7)
      #expect(try CheckpointReader(run + "/best/").step == 7)
    }
  }

  @Test("a faulty checkpoint of the same step is replaced, a good one of another state is not")
  func sameStep() throws {
    try withTemporaryRun { run in
      let directory = CheckpointDirectory(run: run)
      let path = try Self.state(1).save(to: directory, step: 7).path
      let error = #expect(throws: CheckpointError.self) { try Self.state(2).save(to: directory, step: 7) }
      #expect(error?.kind == .alreadyExists)
      #expect(try Self.state(1).difference(from: CheckpointReader(path)) == nil)
      try damage(path)
      try Self.state(2).save(to: directory, step: 7)
      #expect(try Self.state(2).difference(from: CheckpointReader(path)) == nil)
    }
  }

  @Test("what is not in a checkpoint is named together with what is")
  func unknownNames() throws {
    try withTemporaryRun { run in
      let path = try Self.state(1).save(to: CheckpointDirectory(run: run), step: 7).path
      let reader = try CheckpointReader(path)
      let tensor = #expect(throws: CheckpointError.self) { _ = try reader.slots(of: "blocks.9.weight") }
      #expect(tensor?.kind == .unknownTensor)
      let slot = #expect(throws: CheckpointError.self) { _ = try reader.digest(of: "blocks.0.weight", slot: "muon.m") }
      #expect(slot?.reason == "it has no slot 'muon.m', only value, adamw.m")
    }
  }
}
