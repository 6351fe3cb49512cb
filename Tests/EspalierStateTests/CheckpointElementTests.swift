import EspalierState
import EspalierTensor
import Foundation
import Testing

/// Slots that are stored as bf16: what is written, and that every reader gets floats.
@Suite struct CheckpointElementTests {
  /// The nearest bfloat16, found without the code under test: of the two neighbours the nearer in double precision, of two
  /// equally near the one whose last bit is 0.
  static func nearest(_ value: Float) -> Float {
    guard value.isFinite else { return value }
    let low = Float(bitPattern: value.bitPattern & 0xffff_0000)
    let next = (value.bitPattern & 0xffff_0000) + 0x1_0000
    // Above the largest bfloat16 lies what would be the next, half-way to which infinity begins.
    let high = Float(bitPattern: next).isFinite ? Double(Float(bitPattern: next)) : (value < 0 ? -0x1p128 : 0x1p128)
    let below = abs(Double(value) - Double(low)), above = abs(high - Double(value))
    let takesHigh = above < below || (above == below && value.bitPattern & 0x1_0000 != 0)
    return takesHigh ? Float(bitPattern: next) : low
  }

  @Test("rounding takes the nearest bfloat16, halves to even, and keeps infinities and NaNs")
  func rounding() {
    let key = RandomKey(seed: 17)
    var values = (0..<20_000).map { Float(bitPattern: UInt32(truncatingIfNeeded: key.bits(at: UInt64($0)))) }
    values += [
      0, -0.0, 1, .infinity, -.infinity, .greatestFiniteMagnitude, -.greatestFiniteMagnitude, .leastNonzeroMagnitude,
    ]
    values += [0x3f80_8000, 0x3f81_8000, 0x3f80_8001, 0x3f80_7fff, 0x7f7f_8000, 0x7f7f_7fff].map {
      Float(bitPattern: $0)
    }
    for value in values {
      let rounded = ElementType.widened(ElementType.rounded(value))
      if value.isNaN {
        #expect(rounded.isNaN && rounded.sign == value.sign)
      } else {
        #expect(rounded.bitPattern == Self.nearest(value).bitPattern, "\(value) (\(value.bitPattern))")
      }
    }
    #expect(ElementType.widened(ElementType.rounded(Float(bitPattern: 0x7f80_0001))).isNaN, "not infinity")
  }

  /// Weights as bf16 beside moments as f32, of odd sizes, on two ranks.
  func withMixedCheckpoint(
    _ compression: Compression, _ body: (SampleState, CheckpointReader) throws -> Void
  ) throws {
    var state = SampleState(shapes: [[], [1], [7, 13], [2003], [0, 3]])
    for slot in state.slots.indices where slot % 3 == 0 {
      state.slots[slot].values = state.slots[slot].values.map { _ in 0.1 }
    }
    try withTemporaryRun { run in
      let directory = CheckpointDirectory(run: run)
      try state.save(
        to: directory, step: 3, writers: 2, chunkBytes: 512, compression: compression, element: Self.element)
      try body(state, #require(try directory.newestValid().reader))
    }
  }

  static func element(_ slot: String) -> ElementType { slot == "value" ? .bf16 : .f32 }

  @Test("bf16 slots are read as floats in any range, and their digest is of these", arguments: Compression.allCases)
  func reading(compression: Compression) throws {
    try withMixedCheckpoint(compression) { state, reader in
      #expect(reader.verify(full: true) == [])
      var total = 0
      for slot in state.slots {
        let name = state.tensors[slot.tensor].name
        let isRounded = slot.name == "value"
        total += slot.values.count * (isRounded ? 2 : 4)
        let expected = slot.values.map { value in
          isRounded && !value.isNaN ? Self.nearest(value) : value
        }
        let read = try reader.floats(name, slot.name, 0..<slot.values.count)
        for (a, b) in zip(read, expected) where a.bitPattern != b.bitPattern {
          #expect(a.isNaN && b.isNaN && isRounded, "'\(name)/\(slot.name)': \(a) ≠ \(b)")
        }
        #expect(
          try reader.digest(of: name, slot: slot.name)
            == read.withUnsafeBufferPointer { Digest(parameter: name, slot: slot.name, elements: $0) })
        for range in [0..<1, 1..<2, 255..<258, 3..<700, 2002..<2003] where range.upperBound <= slot.values.count {
          #expect(try reader.floats(name, slot.name, range).map(\.bitPattern) == read[range].map(\.bitPattern))
        }
      }
      #expect(reader.manifest.rawBytes == total)
    }
  }

  @Test("a weight that has changed its type between manifest and shard is refused")
  func disagreement() throws {
    try withMixedCheckpoint(.auto) { _, reader in
      let forger = Forger(path: reader.path)
      try forger.editManifest { $0 = try Forger.replace($0, #""dtype":"bf16","#, with: "") }
      #expect(CheckpointReader.problems(at: reader.path, full: false).map(\.kind) == [.indexDisagrees])
    }
  }

  @Test(
    "a frame with planes that are noise is whole, and holds those planes as they are",
    arguments: ElementType.allCases)
  func planeFrames(element: ElementType) throws {
    let key = RandomKey(seed: 6)
    var weights: [Float] = []
    for i in 0..<90_000 {
      var sum = -6.0
      for draw in 0..<12 { sum += key.uniform(at: UInt64(12 * i + draw)) }
      weights.append(Float(sum * 0.02))
    }
    var state = SampleState(shapes: [[weights.count]])
    state.slots = [.init(tensor: 0, name: "value", values: weights)]
    try withTemporaryRun { run in
      let path = try state.save(to: CheckpointDirectory(run: run), step: 1, element: { _ in element }).path
      #expect(CheckpointReader.problems(at: path, full: true) == [])
      let shard = Array(try Data(contentsOf: URL(fileURLWithPath: path + "/shards/w00000.esp")))
      // The one chunk: header at 64, its stored length at 12 in it, its frame after 64 bytes.
      let stored = Int(Data(shard).number(at: 64 + 12, as: UInt32.self))
      let frame = Array(shard[128..<128 + stored])
      #expect(frame[4] == 0xa0, "made of planes, without a checksum of zstd's")
      var planes: [UInt8] = []
      for byte in 0..<element.size {
        for weight in weights {
          let wide: UInt32 = weight.bitPattern
          let half: UInt16 = UInt16(Self.nearest(weight).bitPattern >> 16)
          let rotated: UInt32 = element == .f32 ? (wide << 1) | (wide >> 31) : UInt32((half << 1) | (half >> 15))
          planes.append(UInt8(truncatingIfNeeded: rotated >> (8 * UInt32(byte))))
        }
      }
      // The lowest plane comes first, in raw blocks of 128 KiB with three bytes before each.
      let first = min(weights.count, 128 << 10)
      #expect(Array(frame[12..<12 + first]) == Array(planes[..<first]))
    }
  }

  @Test("a constant takes the two bytes of an element, and normal weights shrink 1.45-fold and more")
  func sizes() throws {
    func stored(_ values: [Float]) throws -> Double {
      var state = SampleState(shapes: [[values.count]])
      state.slots = [.init(tensor: 0, name: "value", values: values)]
      return try withTemporaryRun { run in
        let directory = CheckpointDirectory(run: run)
        try state.save(to: directory, step: 1, element: Self.element)
        return Double(try #require(try directory.newestValid().reader).manifest.storedBytes)
      }
    }
    #expect(try stored([Float](repeating: 0.3, count: 600_000)) == 2 * 2)
    let key = RandomKey(seed: 5)
    for count in [5000, 1 << 16, 700_000] {
      let weights = (0..<count).map { i -> Float in
        Float((0..<12).reduce(-6.0) { $0 + key.uniform(at: UInt64(12 * i + $1)) } * 0.02)
      }
      #expect(Double(2 * count) / (try stored(weights)) > 1.45, "\(count) weights")
    }
  }
}
