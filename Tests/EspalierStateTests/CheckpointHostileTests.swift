import EspalierState
import Foundation
import Testing

/// Checkpoints whose checksums are right and whose content is not: made by a newer version, by a bug or by ill will.
@Suite struct CheckpointHostileTests {
  /// Runs `body` on a checkpoint of one shard: tensor "blocks.0.weight" [12], slots value and adamw.m, chunks of 16 bytes.
  func withCheckpoint(_ body: (Forger) throws -> Void) throws {
    try withTemporaryRun { run in
      let state = SampleState(shapes: [[12]])
      let path = try state.save(to: CheckpointDirectory(run: run), step: 3, chunkBytes: 16, compression: .zstd).path
      #expect(CheckpointReader.problems(at: path, full: true).isEmpty)
      try body(Forger(path: path))
    }
  }

  @Test(
    "a manifest that is not what it should be is refused for the right reason",
    arguments: [
      (#""version":[1,0]"#, #""version":[2,0]"#, .newerFormat),
      (#""format":"espalier-checkpoint""#, #""format":"other""#, .notACheckpoint),
      (#"[0,0,0,12]"#, #"[0,0,0,11]"#, .hole), (#"[0,0,0,12]"#, #"[0,0,1,12]"#, .hole),
      (#"[0,0,0,12]"#, #"[0,0,0,13]"#, .beyondShape), (#"[0,0,0,12]"#, #"[0,0,0,12],[0,1,0,12]"#, .overlap),
      (#"[0,0,0,12]"#, #"[0,0,0,12],[0,1,11,12]"#, .overlap), (#"[0,0,0,12]"#, #"[0,1,0,12]"#, .overlap),
      (#"[0,0,0,12]"#, "", .hole), (#"[0,0,0,12]"#, #"[0,7,0,12]"#, .indexDisagrees),
      (#"[0,0,0,12]"#, #"[1,0,0,12]"#, .invalidField), (#"[0,0,0,12]"#, #"[0,0,12,0]"#, .invalidField),
      (#"[0,0,0,12]"#, #"[0,0,0.0,12]"#, .invalidField), (#"[0,0,0,12]"#, #"[0,0,-1,12]"#, .invalidField),
      (#"[0,0,0,12]"#, #"[0,0,0,99999999999999999999]"#, .invalidField),
      (#"[0,0,0,12]"#, #"[0,0,0,12,0]"#, .invalidField),
      (#""shape":[12]"#, #""shape":[4611686018427387904,4]"#, .invalidField),
      (#""shape":[12]"#, #""shape":[1000000000000]"#, .hole), (#""shape":[12]"#, #""shape":[-12]"#, .invalidField),
      (#""shape":[12]"#, #""shape":[12.0]"#, .invalidField), (#""shape":[12]"#, #""shape":[1,12,0]"#, .beyondShape),
      (#""shape":[12]"#, #""shape":[12],"shape":[12]"#, .invalidJSON),
      (#""dtype":"f32""#, #""dtype":"f64""#, .invalidField),
      (#""step":3"#, #""step":3e0"#, .invalidField), (#""step":3"#, #""step":4"#, .wrongSave),
      (#""step":3,"#, "", .invalidField), (#""chunks":6"#, #""chunks":5"#, .invalidFooter),
      (#"shards/w00000.esp"#, #"shards/../COMMIT"#, .wrongName), (#"shards/w00000.esp"#, #"/etc/passwd"#, .wrongName),
      (#"shards/w00000.esp"#, #"shards/.."#, .wrongName), (#"shards/w00000.esp"#, #"shards/w0000é.esp"#, .wrongName),
      (#"shards/w00000.esp"#, #"shards/"#, .wrongName), (#"shards/w00000.esp"#, #"shards/w00001.esp"#, .missing),
      (#""name":"adamw.m""#, #""name":"value""#, .duplicateName),
      (#""name":"adamw.m""#, #""name":"ewc""#, .indexDisagrees),
      (#""rank":0"#, #""rank":1"#, .wrongSave), (#""trainable":true"#, #""trainable":1"#, .invalidField),
    ] as [(String, String, CheckpointError.Kind)])
  func manifests(old: String, new: String, kind: CheckpointError.Kind) throws {
    try withCheckpoint { forger in
      try forger.editManifest { $0 = try Forger.replace($0, old, with: new) }
      let problems = CheckpointReader.problems(at: forger.path, full: false)
      #expect(problems.map(\.kind) == [kind])
      if [.hole, .overlap, .beyondShape].contains(kind) {
        #expect(problems.first?.tensor?.hasPrefix("blocks.0.weight/") == true, "tensor and slot are named")
      }
    }
  }

  @Test("a newer major version says so, wherever it stands")
  func newerVersion() throws {
    let reason = "made by a newer Espalier: format 2.0, this build reads 1.x"
    try withCheckpoint { forger in
      try forger.edit("COMMIT") {
        $0 = Data(try Forger.replace(String(decoding: $0, as: UTF8.self), "[1,0]", with: "[2,0]").utf8)
      }
      #expect(CheckpointReader.problems(at: forger.path, full: false).map(\.reason) == [reason])
    }
    try withCheckpoint { forger in
      try forger.editManifest { $0 = try Forger.replace($0, #""version":[1,0]"#, with: #""version":[2,0]"#) }
      #expect(CheckpointReader.problems(at: forger.path, full: false).map(\.reason) == [reason])
    }
    try withCheckpoint { forger in
      try forger.editShard { $0.header.put(UInt16(2), at: 8) }
      #expect(CheckpointReader.problems(at: forger.path, full: false).map(\.reason) == [reason])
    }
  }

  @Test("a newer minor version is read, and what it adds is let be")
  func newerMinor() throws {
    try withCheckpoint { forger in
      try forger.editManifest(version: "[1,7]") {
        $0 = try Forger.replace($0, #""version":[1,0]"#, with: #""novelty":{"a":1},"version":[1,7]"#)
      }
      #expect(CheckpointReader.problems(at: forger.path, full: true) == [])
    }
  }

  @Test("a critical flag of a later version is refused")
  func criticalFlag() throws {
    try withCheckpoint { forger in
      try forger.editShard { $0.header.put(UInt32(4), at: 12) }
      #expect(CheckpointReader.problems(at: forger.path, full: false).map(\.kind) == [.criticalFlag])
    }
  }

  @Test("lengths that a shard only claims are refused before any memory is taken for them")
  func bombs() throws {
    let clock = ContinuousClock()
    let elapsed = try clock.measure {
      // In the footer: the index elsewhere or longer.
      for (offset, value) in [(0, UInt64.max), (8, 1 << 60), (8, 0), (0, 0), (24, 1 << 40), (32, 1 << 50)] {
        try withCheckpoint { forger in
          try forger.editShard { $0.footer.put(value, at: offset) }
          #expect(CheckpointReader.problems(at: forger.path, full: false).map(\.kind) == [.invalidFooter])
        }
      }
      // In the index: counts of pieces and slots, a piece's range and chunks, a chunk's offset, stored and raw length.
      let chunk = 24 + 2 * 48
      let edits: [(Int, UInt64, Int)] = [
        (8, .max, 4), (12, .max, 4), (16, 1 << 40, 8), (24 + 24, 1 << 60, 8), (24 + 16, .max, 8), (24 + 40, 1 << 40, 8),
        (24 + 40, 4, 8), (24 + 32, 1, 8), (24 + 8, 9, 4), (24 + 4, 1, 4), (chunk, 1 << 62, 8), (chunk, 0, 8),
        (chunk + 8, .max, 4), (chunk + 12, .max, 4), (chunk + 12, 0, 4), (chunk + 12, 15, 4), (chunk + 12, 1 << 25, 4),
        (chunk + 6 * 24, .max, 4),
      ]
      for (offset, value, size) in edits {
        try withCheckpoint { forger in
          try forger.editShard { shard in
            if size == 4 {
              shard.index.put(UInt32(truncatingIfNeeded: value), at: offset)
            } else {
              shard.index.put(value, at: offset)
            }
          }
          #expect(
            CheckpointReader.problems(at: forger.path, full: false).map(\.kind) == [.invalidIndex],
            "\(offset): \(value)")
        }
      }
    }
    #expect(elapsed < .seconds(5))
  }

  @Test("a huge file of holes in place of the manifest is refused by its length")
  func sparse() throws {
    try withCheckpoint { forger in
      #expect(truncate(forger.path + "/MANIFEST.json", 1 << 40) == 0)
      #expect(CheckpointReader.problems(at: forger.path, full: false).map(\.kind) == [.manifestTooLarge])
    }
    try withCheckpoint { forger in
      #expect(truncate(forger.path + "/COMMIT", 1 << 40) == 0)
      #expect(CheckpointReader.problems(at: forger.path, full: false).map(\.kind) == [.wrongLength])
    }
    try withCheckpoint { forger in
      #expect(truncate(forger.path + "/shards/w00000.esp", 1 << 40) == 0)
      #expect(CheckpointReader.problems(at: forger.path, full: false).map(\.kind) == [.wrongLength])
    }
  }

  @Test("a chunk that lies about itself is refused")
  func chunks() throws {
    // The first record is a header of 64 bytes, then a zstd frame (magic 4, descriptor 1, content size 1).
    let edits: [([(Int, UInt8)], CheckpointError.Kind)] = [
      ([(4, 2)], .unknownCodec), ([(4, 9)], .unknownCodec), ([(4, 0)], .unknownCodec), ([(4, 3)], .unknownCodec),
      ([(4, 0), (5, 0)], .invalidChunk), ([(4, 3), (5, 0)], .invalidChunk), ([(5, 1)], .unknownCodec),
      ([(5, 0)], .checksumMismatch), ([(6, 8)], .invalidChunk), ([(7, 1)], .invalidChunk), ([(8, 12)], .indexDisagrees),
      ([(16, 1)], .chunkMisplaced), ([(20, 1)], .chunkMisplaced), ([(24, 1)], .chunkMisplaced),
      ([(32, 0)], .indexDisagrees), ([(64, 0)], .invalidFrame), ([(68, 0x04)], .invalidFrame),
      ([(68, 0x24)], .invalidFrame), ([(68, 0x25)], .invalidFrame), ([(68, 0x2c)], .invalidFrame),
      ([(69, 12)], .invalidFrame), ([(69, 255)], .invalidFrame), ([(70, 0xff)], .invalidFrame),
    ]
    for (edit, kind) in edits {
      try withCheckpoint { forger in
        try forger.editShard { shard in
          for (offset, value) in edit {
            #expect(shard.chunks[offset] != value)
            shard.chunks[offset] = value
          }
          shard.sealFirstChunk()
        }
        let problems = CheckpointReader.problems(at: forger.path, full: true)
        #expect(problems.map(\.kind) == [kind], "\(edit): \(problems)")
        #expect(problems.first?.tensor == "blocks.0.weight/value")
      }
    }
  }
}

/// Changes the files of a checkpoint and makes the checksums right again.
struct Forger {
  let path: String

  static func replace(_ text: String, _ old: String, with new: String) throws -> String {
    let range = try #require(text.range(of: old), "'\(old)' is not in \(text)")
    return text.replacingCharacters(in: range, with: new)
  }

  func edit(_ file: String, _ change: (inout Data) throws -> Void) throws {
    let url = URL(fileURLWithPath: path + "/" + file)
    var data = try Data(contentsOf: url)
    try change(&data)
    try data.write(to: url)
  }

  func editManifest(version: String = "[1,0]", _ change: (inout String) throws -> Void) throws {
    var text = ""
    try edit("MANIFEST.json") { data in
      text = String(decoding: data, as: UTF8.self)
      try change(&text)
      data = Data(text.utf8)
    }
    try edit("COMMIT") { data in
      let old = try StrictJSON(parsing: Array(data))
      let saveID = try #require(old["saveID"]?.text)
      let checksum = Checksum(of: Array(text.utf8))
      data = Data(
        (#"{"format":"espalier-checkpoint","manifest":{"bytes":\#(text.utf8.count),"xxh3":"\#(checksum)"},"#
          + #""saveID":"\#(saveID)","step":3,"version":\#(version)}"#).utf8)
    }
  }

  /// The parts of the one shard.
  struct Shard {
    var header: Data
    var chunks: Data
    var index: Data
    var footer: Data

    /// Makes the checksums of the first chunk right.
    mutating func sealFirstChunk() {
      let stored = Int(index.number(at: 24 + 2 * 48 + 8, as: UInt32.self))
      chunks.put(Checksum(of: Array(chunks[64..<64 + stored])).value, at: 40)
      chunks.put(Checksum(of: Array(chunks[0..<56])).value, at: 56)
    }
  }

  func editShard(_ change: (inout Shard) throws -> Void) throws {
    var oldIndex = ""
    var newIndex = ""
    try edit("shards/w00000.esp") { data in
      let indexOffset = Int(data.number(at: data.count - 56, as: UInt64.self))
      var shard = Shard(
        header: Data(data[0..<64]), chunks: Data(data[64..<indexOffset]),
        index: Data(data[indexOffset..<data.count - 56]),
        footer: Data(data[(data.count - 56)...]))
      oldIndex = "\(Checksum(of: Array(shard.index)))"
      try change(&shard)
      newIndex = "\(Checksum(of: Array(shard.index)))"
      shard.header.put(Checksum(of: Array(shard.header[0..<56])).value, at: 56)
      shard.footer.put(Checksum(of: Array(shard.index)).value, at: 16)
      shard.footer.put(Checksum(of: Array(shard.footer[0..<40])).value, at: 40)
      data = shard.header + shard.chunks + shard.index + shard.footer
    }
    try editManifest { $0 = try Self.replace($0, oldIndex, with: newIndex) }
  }
}

extension Data {
  mutating func put(_ value: some FixedWidthInteger, at offset: Int) {
    Swift.withUnsafeBytes(of: value.littleEndian) { bytes in
      for (i, byte) in bytes.enumerated() { self[offset + i] = byte }
    }
  }

  func number<T: FixedWidthInteger>(at offset: Int, as: T.Type) -> T {
    (0..<MemoryLayout<T>.size).reversed().reduce(0) { $0 << 8 | T(self[offset + $1]) }
  }
}
