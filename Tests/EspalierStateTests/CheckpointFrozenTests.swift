import EspalierState
import Foundation
import Testing

/// Files of frozen tensors, shared by checkpoints: what becomes of them when calls fail, files are harmed, or checkpoints go.
@Suite struct CheckpointFrozenTests {
  typealias Trap = CheckpointFailureTests.Trap

  static let first = SampleState(shapes: [[3], [40], [300]], seed: 1)
  static let second = SampleState(shapes: [[3], [40], [300]], seed: 2).withFrozen(of: first)
  static let third = SampleState(shapes: [[3], [40], [300]], seed: 3).withFrozen(of: first)

  private func save(
    _ state: SampleState, _ step: Int, _ run: String, sharing: Int? = nil, retention: Retention = .last(1),
    _ fileSystem: FileSystem = .real
  ) throws -> CommittedCheckpoint {
    try state.saveSharing(
      sharing.flatMap { FrozenShards(at: path($0, run)) },
      to: CheckpointDirectory(run: run, fileSystem: fileSystem), step: step, writers: 2, retention: retention,
      fileSystem: fileSystem)
  }

  private func path(_ step: Int, _ run: String) -> String {
    let digits = String(step)
    return "\(run)/checkpoints/step-\(String(repeating: "0", count: 10 - digits.count))\(digits)"
  }

  /// By name, the inode and the number of names of each file of frozen tensors.
  private func frozenFiles(_ step: Int, _ run: String) throws -> [String: [Int]] {
    let folder = path(step, run) + "/frozen"
    var files: [String: [Int]] = [:]
    for name in try FileManager.default.contentsOfDirectory(atPath: folder) {
      let attributes = try FileManager.default.attributesOfItem(atPath: "\(folder)/\(name)")
      files[name] = [.systemFileNumber, .referenceCount].compactMap {
        (attributes[$0 as FileAttributeKey] as? NSNumber)?.intValue
      }
    }
    return files
  }

  @Test(
    "whatever befalls whichever call of a save that links, nothing is lost",
    arguments: CheckpointFailureTests.Fault.allCases)
  func everyCall(fault: CheckpointFailureTests.Fault) throws {
    var k = 0
    var wasReached = true
    while wasReached {
      try withTemporaryRun { run in
        _ = try save(Self.first, 9, run)
        let trap = Trap(fault, at: k)
        var committed = false
        do {
          _ = try save(Self.second, 10, run, sharing: 9, trap.fileSystem)
          committed = true
        } catch let error as CheckpointError {
          let isFull = fault == .diskFull || fault == .halfThenFull
          #expect(fault != .half && error.kind == (isFull ? .diskFull : .inputOutput), "call \(k): \(error)")
        }
        wasReached = trap.calls > k
        let (reader, refused) = try CheckpointDirectory(run: run).newestValid()
        let checkpoint = try #require(reader, "call \(k): no checkpoint is left")
        #expect(refused.isEmpty, "call \(k): \(refused)")
        #expect(!committed || checkpoint.step == 10, "call \(k): the committed checkpoint is gone")
        let expected = checkpoint.step == 10 ? Self.second : Self.first
        #expect(try expected.difference(from: checkpoint) == nil, "call \(k)")
        // The next save shares what there is, and the one before goes.
        let last = try save(Self.third, 11, run, sharing: checkpoint.step)
        #expect(last.notes.isEmpty)
        #expect(try CheckpointDirectory(run: run).list().map(\.step) == [11], "call \(k)")
        #expect(
          try Self.third.difference(from: #require(try CheckpointDirectory(run: run).newestValid().reader)) == nil)
        #expect(try frozenFiles(11, run).values.allSatisfy { $0[1] == 1 }, "call \(k)")
      }
      k += 1
    }
    #expect(k > 80, "a save that links makes more calls than \(k)")
  }

  @Test(
    "a file that cannot have a second name is copied, whatever the reason",
    arguments: [EXDEV, EPERM, EMLINK, EOPNOTSUPP, EIO, ENOSYS])
  func copies(code: Int32) throws {
    try withTemporaryRun { run in
      _ = try save(Self.first, 1, run)
      let before = try frozenFiles(1, run)
      let noLinks = FileSystem { call, _ in call == .link ? code : 0 }
      _ = try save(Self.second, 2, run, sharing: 1, retention: .all, noLinks)
      let after = try frozenFiles(2, run)
      #expect(before.keys.sorted() == after.keys.sorted() && !after.isEmpty)
      for (name, file) in after { #expect(file[1] == 1 && file[0] != before[name]?[0]) }
      let reader = try CheckpointReader(path(2, run))
      #expect(reader.verify(full: true).isEmpty)
      #expect(try Self.second.difference(from: reader) == nil)
    }
  }

  @Test("the number of names is the number of checkpoints, any of which can go", arguments: 1...3)
  func anyCanGo(step: Int) throws {
    try withTemporaryRun { run in
      _ = try save(Self.first, 1, run, retention: .all)
      _ = try save(Self.second, 2, run, sharing: 1, retention: .all)
      _ = try save(Self.third, 3, run, sharing: 2, retention: .all)
      #expect(try frozenFiles(3, run).values.allSatisfy { $0[1] == 3 })
      #expect(try frozenFiles(1, run) == frozenFiles(3, run))
      try FileManager.default.removeItem(atPath: path(step, run))
      for (other, state) in [(1, Self.first), (2, Self.second), (3, Self.third)] where other != step {
        let reader = try CheckpointReader(path(other, run))
        #expect(reader.verify(full: true).isEmpty)
        #expect(try state.difference(from: reader) == nil)
      }
    }
  }

  @Test("changed values, and a checkpoint that has lost a file, are never linked")
  func writtenAnew() throws {
    try withTemporaryRun { run in
      _ = try save(Self.first, 1, run, retention: .all)
      let other = SampleState(shapes: [[3], [40], [300]], seed: 4)
      _ = try save(other, 2, run, sharing: 1, retention: .all)
      #expect(try other.difference(from: CheckpointReader(path(2, run))) == nil)
      #expect(try frozenFiles(2, run).values.allSatisfy { $0[1] == 1 })
      let shards = try #require(FrozenShards(at: path(2, run)))
      let name = try #require(try frozenFiles(2, run).keys.first)
      try FileManager.default.removeItem(atPath: path(2, run) + "/frozen/" + name)
      let directory = CheckpointDirectory(run: run)
      try other.saveSharing(shards, to: directory, step: 3, writers: 3)
      #expect(try other.difference(from: CheckpointReader(path(3, run))) == nil)
    }
  }

  @Test("a shared file whose index was harmed is not linked into a checkpoint that looks good")
  func harmed() throws {
    try withTemporaryRun { run in
      _ = try save(Self.first, 1, run, retention: .all)
      let shards = try #require(FrozenShards(at: path(1, run)))
      let name = try #require(try frozenFiles(1, run).keys.first)
      let file = path(1, run) + "/frozen/" + name
      var bytes = try Data(contentsOf: URL(filePath: file))
      bytes[bytes.count - 100] ^= 1
      try bytes.write(to: URL(filePath: file))
      let error = #expect(throws: CheckpointError.self) {
        try Self.second.saveSharing(shards, to: CheckpointDirectory(run: run), step: 2, writers: 2)
      }
      #expect(error?.kind == .checksumMismatch && error?.file.contains("/frozen/") == true)
      #expect(try CheckpointDirectory(run: run).list().map(\.step) == [1])
    }
  }

  /// Every file below a folder, by name.
  private func files(_ path: String) throws -> [String: Data] {
    let names = try FileManager.default.subpathsOfDirectory(atPath: path)
    return Dictionary(
      uniqueKeysWithValues: names.compactMap { name in
        (try? Data(contentsOf: URL(filePath: "\(path)/\(name)"))).map { (name, $0) }
      })
  }

  private func flip(_ path: String) throws {
    let file = try FileHandle(forUpdating: URL(filePath: path))
    defer { try? file.close() }
    try file.seek(toOffset: 130)
    let byte = try #require(try file.read(upToCount: 1)?.first)
    try file.seek(toOffset: 130)
    try file.write(contentsOf: Data([byte ^ 1]))
  }

  /// A second checkpoint with parity that shares the first one's files.
  private func shared(_ body: (_ run: String, _ path: String, _ before: [String: Data]) throws -> Void) throws {
    try withTemporaryRun { run in
      _ = try save(Self.first, 1, run, retention: .all)
      try Self.second.saveSharing(
        FrozenShards(at: path(1, run)), to: CheckpointDirectory(run: run), step: 2, writers: 2, parity: true)
      #expect(try frozenFiles(2, run).values.allSatisfy { $0[1] == 2 })
      try body(run, path(2, run), files(path(2, run)))
    }
  }

  @Test("a lost manifest comes back byte for byte though files are shared, and they stay shared")
  func recover() throws {
    try shared { run, path, before in
      for lost in [["MANIFEST.json"], ["COMMIT"], ["MANIFEST.json", "COMMIT"]] {
        for file in lost { try FileManager.default.removeItem(atPath: "\(path)/\(file)") }
        #expect(try ManifestRecovery(path).run().wasNeeded)
        #expect(try files(path) == before)
        #expect(try Self.second.difference(from: CheckpointReader(path)) == nil)
      }
      #expect(try frozenFiles(2, run) == frozenFiles(1, run))
    }
  }

  @Test("recover refuses a checkpoint that has lost a shared file, or has a harmed one, and writes nothing")
  func recoverRefuses() throws {
    try shared { run, path, _ in
      try FileManager.default.removeItem(atPath: path + "/MANIFEST.json")
      let name = try #require(try frozenFiles(2, run).keys.min())
      try FileManager.default.removeItem(atPath: "\(path)/frozen/\(name)")
      let left = try files(path)
      #expect(throws: CheckpointError.self) { try ManifestRecovery(path).run() }
      #expect(try files(path) == left)
      try FileManager.default.linkItem(
        atPath: "\(self.path(1, run))/frozen/\(name)", toPath: "\(path)/frozen/\(name)")
      try flip("\(path)/frozen/\(name)")
      let harmed = try files(path)
      let error = #expect(throws: CheckpointError.self) { try ManifestRecovery(path).run() }
      #expect(error?.file.hasSuffix(name) == true, "\(error)")
      #expect(try files(path) == harmed)
    }
  }

  @Test("parity repairs what is not shared, and repair names a harmed shared file and touches nothing")
  func repair() throws {
    try shared { run, path, before in
      #expect(try ShardRepair(path).run().file == "")
      for file in ["shards/w00000.esp", "shards/w00001.esp", "parity/p0.esp"] {
        try flip("\(path)/\(file)")
        #expect(try ShardRepair(path).run().file == "\(path)/\(file)")
        try FileManager.default.removeItem(atPath: "\(path)/\(file)")
        #expect(try ShardRepair(path).run().file == "\(path)/\(file)")
        #expect(try files(path) == before)
      }
      #expect(try frozenFiles(2, run) == frozenFiles(1, run))
      let name = try #require(try frozenFiles(2, run).keys.min())
      try flip("\(path)/frozen/\(name)")
      let harmed = try files(path)
      let error = #expect(throws: CheckpointError.self) { try ShardRepair(path).run() }
      #expect(error?.kind == .cannotRepair && error?.description.contains(name) == true)
      #expect(try files(path) == harmed)
    }
  }

  @Test("a limit of bytes counts shared files once")
  func limit() throws {
    for spare in [0, -1] {
      try withTemporaryRun { run in
        _ = try save(Self.first, 1, run, retention: .all)
        _ = try save(Self.second, 2, run, sharing: 1, retention: .all)
        // What the third adds beside shared files is what the second has.
        func bytes(_ step: Int, _ folder: String) throws -> Int {
          try files("\(path(step, run))/\(folder)").values.reduce(0) { $0 + $1.count }
        }
        _ = try save(Self.third, 3, run, sharing: 2, retention: .all)
        var retention = Retention.all
        retention.maximumBytes =
          try bytes(1, "frozen") + bytes(1, "shards") + bytes(2, "shards") + bytes(3, "shards") + spare
        let kept = try CheckpointDirectory(run: run).kept(by: retention).keys.sorted()
        #expect(kept == (spare == 0 ? [1, 2, 3] : [2, 3]))
      }
    }
  }

  @Test("a shared file must be of the save that the manifest and its name say, and hold frozen values alone")
  func refusals() throws {
    try withTemporaryRun { run in
      _ = try save(Self.first, 1, run, retention: .all)
      _ = try save(Self.second, 2, run, sharing: 1, retention: .all)
      let folder = path(2, run)
      let original = try String(contentsOfFile: folder + "/MANIFEST.json", encoding: .utf8)
      let reader = try CheckpointReader(folder)
      let (own, old) = (reader.saveID.description, try CheckpointReader(path(1, run)).saveID.description)
      func kind(_ manifest: String) throws -> CheckpointError.Kind? {
        try manifest.write(toFile: folder + "/MANIFEST.json", atomically: true, encoding: .utf8)
        let bytes = Array(manifest.utf8)
        let commit =
          #"{"format":"espalier-checkpoint","manifest":{"bytes":\#(bytes.count),"xxh3":"\#(Checksum(of: bytes))"},"#
          + #""saveID":"\#(own)","step":2,"version":[1,0]}"#
        try commit.write(toFile: folder + "/COMMIT", atomically: true, encoding: .utf8)
        return CheckpointReader.problems(at: folder, full: true).first?.kind
      }
      #expect(try kind(original) == nil)
      #expect(original.contains(#""firstSaved":"\#(old)""#))
      #expect(
        try kind(original.replacing(#""firstSaved":"\#(old)""#, with: #""firstSaved":"\#(own)""#)) == .invalidField)
      #expect(try kind(original.replacing(#""firstSaved":"\#(old)","#, with: "")) == .invalidField)
      #expect(
        try kind(original.replacing(#""trainable":false"#, with: #""trainable":true"#)) == .invalidField)
      #expect(try kind(original.replacing("frozen/\(old)", with: "frozen/../\(old)")) == .wrongName)
      let name = try #require(try frozenFiles(2, run).keys.first)
      try FileManager.default.removeItem(atPath: "\(folder)/frozen/\(name)")
      try FileManager.default.createSymbolicLink(
        atPath: "\(folder)/frozen/\(name)", withDestinationPath: "\(path(1, run))/frozen/\(name)")
      #expect(try kind(original) == .symbolicLink)
    }
  }
}
