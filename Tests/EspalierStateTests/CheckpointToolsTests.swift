import EspalierState
import Foundation
import Testing

/// Tools on the files of a checkpoint: cutting anew, comparing, mending.
@Suite struct CheckpointToolsTests {
  /// A scalar, one element, primes, nothing, several chunks.
  static let shapes = [[], [1], [7, 11], [0, 5], [9001], [3, 4099], [2, 0], [13]]

  func reshard(
    _ source: CheckpointReader, to path: String, ranks: Int, workers: Int = 2
  ) throws -> (CheckpointReader, Resharder.Counts) {
    let place = try CheckpointPlacement(path, step: source.step)
    let world = CheckpointWorld(ranks: ranks, hosts: 1, stage: 3, transport: "file")
    let job = try Resharder(source, world: world, state: source.state, saveID: place.saveID)
    let written = try job.write(ranks: Array(0..<ranks), to: place.folder, workers: workers)
    try job.requireSame(written.map(\.summary))
    _ = try place.commit(job.plan, summaries: written.map(\.summary))
    return (try CheckpointReader(place.path), written.reduce(Resharder.Counts()) { $0 + $1.counts })
  }

  @Test("odd shapes survive every cut to the bit", arguments: [1, 2, 3, 5, 8], [256, 4096, 1 << 20])
  func oddShapes(ranks: Int, chunkBytes: Int) throws {
    try withTemporaryRun { run in
      let state = SampleState(shapes: Self.shapes)
      let path = try state.save(to: CheckpointDirectory(run: run), step: 3, writers: 3, chunkBytes: chunkBytes).path
      let (reader, _) = try reshard(CheckpointReader(path), to: run + "/new", ranks: ranks)
      #expect(reader.verify(full: true) == [])
      #expect(try state.difference(from: reader) == nil)
      #expect(reader.manifest.shards.count == ranks && reader.world.ranks == ranks)
      #expect(reader.digest == (try CheckpointReader(path)).digest)
    }
  }

  @Test("shards that coincide are copied as they are stored, and nothing is encoded again")
  func copies() throws {
    try withTemporaryRun { run in
      let state = SampleState(shapes: [[300], [70_000], [5]])
      let path = try state.save(to: CheckpointDirectory(run: run), step: 3, chunkBytes: 64 << 10).path
      let (first, _) = try reshard(CheckpointReader(path), to: run + "/first", ranks: 4)
      let (second, counts) = try reshard(first, to: run + "/second", ranks: 4)
      #expect(counts.recodedChunks == 0 && counts.copiedBytes == first.manifest.rawBytes)
      #expect(try state.difference(from: second) == nil && second.verify(full: true) == [])
      #expect(second.saveID != first.saveID)
    }
  }

  @Test("nothing that exists is overwritten, and a name that lies about the step is refused")
  func placement() throws {
    try withTemporaryRun { run in
      let path = try SampleState(shapes: [[3]]).save(to: CheckpointDirectory(run: run), step: 3).path
      #expect(throws: CheckpointError.self) { try CheckpointPlacement(path, step: 3) }
      #expect(throws: CheckpointError.self) { try CheckpointPlacement(run, step: 3) }
      #expect(throws: CheckpointError.self) { try CheckpointPlacement(run + "/step-0000000004", step: 3) }
      #expect(throws: CheckpointError.self) { try CheckpointPlacement(run + "/.tmp-x", step: 3) }
      #expect(CheckpointReader.problems(at: path, full: true) == [])
    }
  }

  @Test("a damaged source is named and nothing is committed")
  func damagedSource() throws {
    try withTemporaryRun { run in
      let path = try SampleState(shapes: [[9000]]).save(to: CheckpointDirectory(run: run), step: 3).path
      try flip(path + "/shards/w00000.esp", at: 64 + 64 + 100)
      let error = #expect(throws: CheckpointError.self) {
        _ = try reshard(CheckpointReader(path), to: run + "/new", ranks: 2)
      }
      #expect(error?.tensor?.hasPrefix("blocks.0.weight/") == true)
      #expect(!FileManager.default.fileExists(atPath: run + "/new"))
    }
  }

  @Test("diff names the first element that differs, the count and the largest distance")
  func diff() throws {
    try withTemporaryRun { run in
      let directory = CheckpointDirectory(run: run)
      var state = SampleState(shapes: [[4], [100, 50]])
      for slot in state.slots.indices { state.slots[slot].values = state.slots[slot].values.map { _ in 0.5 } }
      let first = try CheckpointReader(state.save(to: directory, step: 1, writers: 2, chunkBytes: 256).path)
      state.slots[2].values[2 * 50 + 7] = 2
      state.slots[2].values[99 * 50 + 49] = -1
      state.slots[3].values[0] = -0.5
      let second = try CheckpointReader(state.save(to: directory, step: 2, writers: 3, chunkBytes: 1024).path)
      let diff = try CheckpointDiff(first, second, readSlots: 1)
      #expect(!diff.isSame && diff.sameSlots == 2 && diff.slots.map(\.slot) == ["value", "adamw.m"])
      let elements = try #require(diff.slots[0].elements)
      #expect(elements.index == [2, 7] && elements.flatIndex == 107 && elements.count == 2 && elements.total == 5000)
      #expect(elements.first == "0.5" && elements.second == "2.0" && elements.largest == "1.5")
      #expect(elements.firstBits == "3f000000" && elements.secondBits == "40000000")
      #expect(diff.slots[1].elements == nil)
      #expect(try CheckpointDiff(first, first, readSlots: nil).isSame)

      let third = try CheckpointReader(SampleState(shapes: [[4], [50, 100], [2]]).save(to: directory, step: 3).path)
      let other = try CheckpointDiff(first, third, readSlots: 1)
      #expect(other.shapes.map(\.tensor) == ["blocks.1.weight"] && other.onlyInSecond == ["blocks.2.weight"])
    }
  }

  private func flip(_ path: String, at position: Int) throws {
    var bytes = try Data(contentsOf: URL(fileURLWithPath: path))
    bytes[position] ^= 1
    try bytes.write(to: URL(fileURLWithPath: path))
  }

  /// Every file below a folder, by name.
  private func files(_ path: String) throws -> [String: Data] {
    let names = try FileManager.default.subpathsOfDirectory(atPath: path)
    return Dictionary(
      uniqueKeysWithValues: names.compactMap { name in
        (try? Data(contentsOf: URL(fileURLWithPath: "\(path)/\(name)"))).map { (name, $0) }
      })
  }

  static let lost = ["shards/w00000.esp", "shards/w00001.esp", "shards/w00002.esp", "parity/p0.esp"]

  @Test("any one file that is lost, cut or flipped comes back bit for bit", arguments: lost)
  func repair(file: String) throws {
    try withTemporaryRun { run in
      let path = try SampleState(shapes: Self.shapes).save(
        to: CheckpointDirectory(run: run), step: 3, writers: 3, chunkBytes: 4096, parity: true
      ).path
      let before = try files(path)
      let url = URL(fileURLWithPath: "\(path)/\(file)")
      #expect(try ShardRepair(path).run().file == "")
      let harms: [() throws -> Void] = [
        { try FileManager.default.removeItem(at: url) },
        { try before[file]?.prefix(100).write(to: url) },
        { try self.flip(url.path, at: 130) },
      ]
      for harm in harms {
        try harm()
        #expect(!CheckpointReader.problems(at: path, full: true).isEmpty)
        #expect(try ShardRepair(path).run().file == url.path)
        #expect(try files(path) == before)
      }
    }
  }

  @Test("with two files lost repair says which, and touches nothing; without parity it says so")
  func twoLost() throws {
    try withTemporaryRun { run in
      let directory = CheckpointDirectory(run: run)
      let state = SampleState(shapes: Self.shapes)
      let path = try state.save(to: directory, step: 3, writers: 3, parity: true).path
      try flip(path + "/shards/w00001.esp", at: 130)
      try flip(path + "/" + "parity/p0.esp", at: 3)
      let before = try files(path)
      let error = #expect(throws: CheckpointError.self) { try ShardRepair(path).run() }
      #expect(error?.kind == .cannotRepair && error?.reason.contains("w00001.esp") == true)
      #expect(error?.reason.contains("p0.esp") == true)
      #expect(try files(path) == before)

      let plain = try state.save(to: directory, step: 4, writers: 2).path
      try flip(plain + "/shards/w00001.esp", at: 130)
      #expect(throws: CheckpointError.self) { try ShardRepair(plain).run() }
    }
  }

  @Test("verify names every faulty file, tensor and slot")
  func allProblems() throws {
    try withTemporaryRun { run in
      let path = try SampleState(shapes: [[5], [900], [900]]).save(
        to: CheckpointDirectory(run: run), step: 3, writers: 3, chunkBytes: 256, compression: .none
      ).path
      let manifest = try CheckpointReader(path).manifest
      for shard in ["w00000.esp", "w00001.esp"] { try flip("\(path)/shards/\(shard)", at: 64 + 70) }
      try FileManager.default.removeItem(atPath: path + "/shards/w00002.esp")
      let problems = CheckpointReader.problems(at: path, full: true, workers: 2)
      #expect(manifest.shards.count == 3)
      #expect(Set(problems.map { String($0.file.suffix(10)) }) == ["w00000.esp", "w00001.esp", "w00002.esp"])
      #expect(problems.filter { $0.tensor?.contains("/") == true }.count == 2)
    }
  }

  @Test("a lost or damaged manifest comes back byte for byte, and a good one is let be", arguments: [false, true])
  func recover(parity: Bool) throws {
    try withTemporaryRun { run in
      let state = SampleState(shapes: Self.shapes)
      let path = try state.save(to: CheckpointDirectory(run: run), step: 3, writers: 3, parity: parity).path
      let before = try files(path)
      #expect(try !ManifestRecovery(path).run().wasNeeded)
      for harmed in [["MANIFEST.json"], ["COMMIT"], ["MANIFEST.json", "COMMIT"]] {
        for file in harmed { try FileManager.default.removeItem(atPath: "\(path)/\(file)") }
        let outcome = try ManifestRecovery(path).run()
        #expect(outcome.wasNeeded && outcome.matchesCommit == (harmed.contains("COMMIT") ? nil : true))
        #expect(outcome.shards == 3 && outcome.setAside == [])
        #expect(try files(path) == before)
      }
      try flip(path + "/MANIFEST.json", at: 20)
      let outcome = try ManifestRecovery(path).run()
      #expect(outcome.setAside.count == 1)
      for file in outcome.setAside { try FileManager.default.removeItem(atPath: file) }
      #expect(try files(path) == before)
      #expect(try state.difference(from: CheckpointReader(path)) == nil)
    }
  }

  @Test("recover refuses what is not complete, names what is damaged, and writes nothing")
  func recoverRefuses() throws {
    try withTemporaryRun { run in
      let directory = CheckpointDirectory(run: run)
      let path = try SampleState(shapes: [[5], [900]]).save(to: directory, step: 3, writers: 2).path
      try FileManager.default.removeItem(atPath: path + "/MANIFEST.json")
      try flip(path + "/shards/w00001.esp", at: 64 + 70)
      let damaged = try files(path)
      #expect(throws: CheckpointError.self) { try ManifestRecovery(path).run() }
      #expect(try files(path) == damaged)
      try FileManager.default.removeItem(atPath: path + "/shards/w00001.esp")
      let error = #expect(throws: CheckpointError.self) { try ManifestRecovery(path).run() }
      #expect(error?.kind == .cannotRecover && error?.reason.contains("1 of 2") == true)
    }
  }
}
