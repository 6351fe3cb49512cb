import EspalierState
import EspalierTensor
import Foundation
import Testing

/// Ten thousand times one bit of a checkpoint is turned over.
@Suite struct CheckpointFlipTests {
  static let flips = 10_000

  /// Where a shard keeps which piece, read from its index without the code under test.
  struct ShardMap {
    /// The bytes of the record of each chunk, and "tensor/slot" of its piece.
    let chunks: [(range: Range<Int>, subject: String)]

    init(_ bytes: Data, tensors: [String]) {
      let index = Int(bytes.number(at: bytes.count - 56, as: UInt64.self))
      let pieces = Int(bytes.number(at: index + 8, as: UInt32.self))
      let table = index + 24 + pieces * 48
      let count = Int(bytes.number(at: index + 16, as: UInt64.self))
      var slots: [String] = []
      var position = table + count * 24
      for _ in 0..<bytes.number(at: index + 12, as: UInt32.self) {
        let length = Int(bytes.number(at: position, as: UInt32.self))
        slots.append(String(decoding: bytes[position + 4..<position + 4 + length], as: UTF8.self))
        position += 4 + length
      }
      chunks = (0..<pieces).flatMap { piece in
        let at = index + 24 + piece * 48
        let subject =
          tensors[Int(bytes.number(at: at, as: UInt32.self))]
          + "/" + slots[Int(bytes.number(at: at + 8, as: UInt32.self))]
        let first = Int(bytes.number(at: at + 32, as: UInt64.self))
        return (first..<first + Int(bytes.number(at: at + 40, as: UInt64.self))).map { chunk in
          let offset = Int(bytes.number(at: table + chunk * 24, as: UInt64.self))
          let stored = Int(bytes.number(at: table + chunk * 24 + 8, as: UInt32.self))
          return (offset..<offset + 64 + (stored + 7) & ~7, subject)
        }
      }
    }
  }

  @Test(
    "10,000 random single bits in files of every kind are all found, with the file, and the tensor where one is hit")
  func flips() throws {
    try withTemporaryRun { run in
      var state = SampleState(shapes: [[30, 20], [501], [3]])
      for slot in state.slots.indices.dropFirst() {
        for i in state.slots[slot].values.indices { state.slots[slot].values[i] = slot == 3 ? 0.5 : 1 / Float(i + 3) }
      }
      let path = try state.save(
        to: CheckpointDirectory(run: run), step: 3, writers: 2, chunkBytes: 1024,
        element: { $0 == "adamw.m" ? .bf16 : .f32 }
      ).path
      #expect(CheckpointReader.problems(at: path, full: true) == [])
      let files = try #require(FileManager.default.subpaths(atPath: path)).sorted().filter { file in
        var isFolder: ObjCBool = false
        return FileManager.default.fileExists(atPath: "\(path)/\(file)", isDirectory: &isFolder) && !isFolder.boolValue
      }
      #expect(files.contains("COMMIT") && files.contains("MANIFEST.json") && files.count >= 4, "\(files)")
      let contents = try files.map { try Data(contentsOf: URL(fileURLWithPath: "\(path)/\($0)")) }
      let handles = try files.map { try FileHandle(forUpdating: URL(fileURLWithPath: "\(path)/\($0)")) }
      let maps = zip(files, contents).map { file, bytes in
        file.hasPrefix("shards/") ? ShardMap(bytes, tensors: state.tensors.map(\.name)) : nil
      }
      let key = RandomKey(seed: 11)
      var inChunks = 0
      for flip in 0..<Self.flips {
        let bits = key.bits(at: UInt64(flip))
        let file = flip % files.count
        let position = Int(bits >> 8) % contents[file].count
        try handles[file].seek(toOffset: UInt64(position))
        handles[file].write(Data([contents[file][position] ^ (1 << UInt8(bits % 8))]))
        let problems = CheckpointReader.problems(at: path, full: true)
        // Where COMMIT gives the manifest's length or checksum, nobody can tell which of the two is wrong.
        let named = files[file] == "COMMIT" ? ["\(path)/COMMIT", "\(path)/MANIFEST.json"] : ["\(path)/\(files[file])"]
        #expect(
          problems.first.map { named.contains($0.file) } == true, "bit \(bits % 8) of byte \(position): \(problems)")
        if let hit = maps[file]?.chunks.first(where: { $0.range.contains(position) }) {
          inChunks += 1
          #expect(problems.map(\.tensor) == [hit.subject], "byte \(position) of \(files[file]): \(problems)")
        }
        try handles[file].seek(toOffset: UInt64(position))
        handles[file].write(Data([contents[file][position]]))
      }
      #expect(inChunks > Self.flips / 10)
      for handle in handles { try handle.close() }
      #expect(CheckpointReader.problems(at: path, full: true) == [])
    }
  }
}
