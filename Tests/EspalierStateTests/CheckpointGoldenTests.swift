import EspalierState
import EspalierTensor
import Foundation
import Testing

/// Checkpoints of format 1.0 that stay in the repository for ever: every later version must read them, to the bit.
@Suite struct CheckpointGoldenTests {
  struct Golden: Sendable, CustomTestStringConvertible {
    let name: String
    let ranks: Int
    let compression: Compression
    let hasWeightsOfHalfSize: Bool

    var testDescription: String { name }

    func element(_ slot: String) -> ElementType { hasWeightsOfHalfSize && slot == "value" ? .bf16 : .f32 }

    /// Scalars, one element, primes, an empty tensor; slots that are constant, noise, and smooth.
    var state: SampleState {
      var state = SampleState(shapes: [[], [1], [7, 13], [1009], [0, 5], [3, 5, 2], [640]], seed: 4)
      for slot in state.slots.indices {
        for i in state.slots[slot].values.indices {
          switch slot % 3 {
          case 0: state.slots[slot].values[i] = 1 / Float(i + 3 + slot)
          case 1: state.slots[slot].values[i] = 0.375
          default: if state.slots[slot].values[i].isNaN { state.slots[slot].values[i] = -0.0 }
          }
        }
      }
      return state
    }
  }

  static let goldens = [
    Golden(name: "three-ranks", ranks: 3, compression: .auto, hasWeightsOfHalfSize: false),
    Golden(name: "weights-bf16", ranks: 2, compression: .auto, hasWeightsOfHalfSize: true),
    Golden(name: "uncompressed", ranks: 1, compression: .none, hasWeightsOfHalfSize: false),
  ]

  static func folder() throws -> URL {
    try #require(Bundle.module.url(forResource: "Goldens", withExtension: nil))
  }

  @Test("a checkpoint kept from format 1.0 is whole, has its digests, and holds every bit", arguments: goldens)
  func reading(golden: Golden) throws {
    let folder = try Self.folder()
    let reader = try CheckpointReader(folder.appending(path: golden.name).path)
    #expect(reader.verify(full: true) == [])
    #expect(reader.manifest.version == (1, 0) && reader.step == 12 && reader.world.ranks == golden.ranks)
    let recorded = try String(contentsOf: folder.appending(path: "\(golden.name).digests"), encoding: .utf8)
    #expect(Self.digests(reader) == recorded)
    #expect(reader.tensors == golden.state.tensors)
    for slot in golden.state.slots {
      let name = golden.state.tensors[slot.tensor].name
      let values = try reader.floats(name, slot.name, 0..<slot.values.count)
      let expected = golden.element(slot.name) == .f32 ? slot.values : slot.values.map(CheckpointElementTests.nearest)
      #expect(values.map(\.bitPattern) == expected.map(\.bitPattern), "'\(name)/\(slot.name)'")
    }
  }

  /// A line for each slot, and the total.
  static func digests(_ reader: CheckpointReader) -> String {
    let lines = reader.manifest.tensors.flatMap { tensor in
      tensor.slots.map { "\(tensor.record.name)/\($0.name) \($0.digest)\n" }
    }
    return lines.joined() + "total \(reader.digest)\n"
  }

  @Test(
    "writes the goldens anew",
    .enabled(if: ProcessInfo.processInfo.environment["ESPALIER_WRITE_GOLDENS"] != nil, "only when they are asked for"))
  func writing() throws {
    let folder = try #require(ProcessInfo.processInfo.environment["ESPALIER_WRITE_GOLDENS"])
    for golden in Self.goldens {
      try withTemporaryRun { run in
        let path = try golden.state.save(
          to: CheckpointDirectory(run: run), step: 12, writers: golden.ranks, chunkBytes: 512,
          compression: golden.compression, element: golden.element
        ).path
        try? FileManager.default.removeItem(atPath: "\(folder)/\(golden.name)")
        try FileManager.default.copyItem(atPath: path, toPath: "\(folder)/\(golden.name)")
        try Self.digests(CheckpointReader(path)).write(
          toFile: "\(folder)/\(golden.name).digests", atomically: true, encoding: .utf8)
      }
    }
  }
}
