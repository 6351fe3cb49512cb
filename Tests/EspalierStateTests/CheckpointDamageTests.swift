import EspalierState
import EspalierTensor
import Foundation
import Testing

/// What happens to files after they were written: every change is found, and the previous checkpoint is used.
@Suite struct CheckpointDamageTests {
  /// Runs `body` on a small checkpoint of two shards, with chunks that are filled, compressed and raw.
  func withSmallCheckpoint(_ body: (_ path: String, _ files: [String]) throws -> Void) throws {
    try withTemporaryRun { run in
      var state = SampleState(shapes: [[5], [67], [2, 3]])
      state.slots[1].values = [0, 0, 0, 0, 0]
      state.slots[2].values = (0..<67).map { Float($0 % 3) }
      let path = try state.save(to: CheckpointDirectory(run: run), step: 3, writers: 2, chunkBytes: 256).path
      try body(path, ["COMMIT", "MANIFEST.json", "shards/w00000.esp", "shards/w00001.esp"])
    }
  }

  func isRefused(_ path: String) -> Bool { !CheckpointReader.problems(at: path, full: true).isEmpty }

  @Test("a flip of any single bit of any file is refused")
  func flips() throws {
    try withSmallCheckpoint { path, files in
      #expect(!isRefused(path))
      for file in files {
        let url = URL(fileURLWithPath: path + "/" + file)
        let original = try Data(contentsOf: url)
        let handle = try FileHandle(forUpdating: url)
        for position in original.indices {
          for flip in [UInt8(1) << UInt8(position % 8), UInt8(0x20), UInt8(0xff)] {
            try handle.seek(toOffset: UInt64(position))
            handle.write(Data([original[position] ^ flip]))
            #expect(isRefused(path), "byte \(position) of \(file) ^ \(flip)")
          }
          try handle.seek(toOffset: UInt64(position))
          handle.write(Data([original[position]]))
        }
        try handle.close()
      }
      #expect(!isRefused(path))
    }
  }

  @Test("every shorter length of any file is refused, and so are bytes after its end")
  func lengths() throws {
    try withSmallCheckpoint { path, files in
      for file in files {
        let original = try Data(contentsOf: URL(fileURLWithPath: path + "/" + file))
        for length in (0..<original.count).reversed() {
          #expect(truncate(path + "/" + file, length) == 0)
          let problems = CheckpointReader.problems(at: path, full: true)
          #expect(problems.first?.file == path + "/" + file, "\(length) bytes of \(file): \(problems)")
        }
        for more in [Data([0]), Data([0x20]), original] {
          try (original + more).write(to: URL(fileURLWithPath: path + "/" + file))
          #expect(isRefused(path), "\(more.count) bytes after \(file)")
        }
        try original.write(to: URL(fileURLWithPath: path + "/" + file))
      }
      #expect(!isRefused(path))
    }
  }

  @Test("a missing file, a link, a folder or a pipe in its place is refused at once and named")
  func replacedFiles() throws {
    try withSmallCheckpoint { path, files in
      for file in files {
        let full = path + "/" + file
        let away = path + "/" + file + ".away"
        try FileManager.default.moveItem(atPath: full, toPath: away)
        func problem() throws -> CheckpointError {
          try #require(CheckpointReader.problems(at: path, full: false).first)
        }
        #expect(try problem().kind == (file == "COMMIT" ? .notCommitted : .missing))
        #expect(try problem().file == full)
        try FileManager.default.createSymbolicLink(atPath: full, withDestinationPath: away)
        #expect(try problem().kind == .symbolicLink)
        try FileManager.default.removeItem(atPath: full)
        try FileManager.default.createDirectory(atPath: full, withIntermediateDirectories: false)
        #expect(try problem().kind == .notRegularFile)
        try FileManager.default.removeItem(atPath: full)
        #expect(mkfifo(full, 0o600) == 0)
        #expect(try problem().kind == .notRegularFile)
        try FileManager.default.removeItem(atPath: full)
        try FileManager.default.moveItem(atPath: away, toPath: full)
      }
      try FileManager.default.moveItem(atPath: path + "/shards", toPath: path + "/away")
      try FileManager.default.createSymbolicLink(atPath: path + "/shards", withDestinationPath: path + "/away")
      #expect(isRefused(path))
    }
  }

  @Test("shards that have changed places are refused")
  func exchangedShards() throws {
    try withSmallCheckpoint { path, files in
      let manager = FileManager.default
      try manager.moveItem(atPath: path + "/" + files[2], toPath: path + "/third")
      try manager.moveItem(atPath: path + "/" + files[3], toPath: path + "/" + files[2])
      try manager.moveItem(atPath: path + "/third", toPath: path + "/" + files[3])
      #expect(isRefused(path))
    }
  }

  @Test("a flipped byte in a chunk is named with file, tensor and slot, and the checkpoint before it is used")
  func previousIsUsed() throws {
    try withTemporaryRun { run in
      let directory = CheckpointDirectory(run: run)
      let old = SampleState(shapes: [[11], [300]], seed: 1)
      try old.save(to: directory, step: 10)
      let path = try SampleState(shapes: [[11], [300]], seed: 2).save(to: directory, step: 20).path
      let url = URL(fileURLWithPath: path + "/shards/w00000.esp")
      var bytes = try Data(contentsOf: url)
      bytes[64 + 64 + 20] ^= 1
      try bytes.write(to: url)

      let quick = try #require(try directory.newestValid(full: false).reader)
      #expect(quick.step == 20, "a quick look does not read chunks")
      let error = #expect(throws: CheckpointError.self) { _ = try quick.floats("blocks.0.weight", "value", 0..<1) }
      #expect(error?.kind == .checksumMismatch)
      #expect(error?.tensor == "blocks.0.weight/value")
      #expect(error?.file == url.path)

      let (reader, refused) = try directory.newestValid()
      #expect(reader?.step == 10)
      #expect(refused.map(\.name) == ["step-0000000020"])
      #expect(refused.first?.problems.map(\.tensor) == ["blocks.0.weight/value"])
      #expect(try old.difference(from: #require(reader)) == nil)
    }
  }
}
