internal import EspalierState
internal import EspalierTensor
internal import Glibc

/// One rank's part of a large made-up state: one tensor of rows of 1024, with the slots of AdamW.
///
/// The numbers are distributed as those of a decoder after some hundred steps: weights normal around 0; gradients normal with a
/// scale that differs log-normally from row to row; m and v their running means. Each slot repeats after 1 Mi elements, which
/// gains nothing in a file, where chunks of 256 Ki elements are compressed each on its own.
final class SampledState {
  static let columns = 1024
  static let slots = ["value", "adamw.m", "adamw.v"]
  private static let period = 1 << 20

  let tensors: [TensorRecord]
  /// In elements of the tensor.
  let range: Range<Int>
  private var memory: [UnsafeMutableBufferPointer<Float>] = []

  /// - Parameter parameters: of all ranks; rounded down to whole rows, at least one a rank.
  init(parameters: Int, rank: Int, ranks: Int) {
    let rows = max(parameters / Self.columns, ranks)
    tensors = [TensorRecord(name: "weight", shape: [rows, Self.columns], trainable: true)]
    range = rows * rank / ranks * Self.columns..<rows * (rank + 1) / ranks * Self.columns
    let tables = Self.tables()
    for table in tables {
      let buffer = UnsafeMutableBufferPointer<Float>.allocate(capacity: range.count)
      for start in stride(from: 0, to: range.count, by: table.count) {
        let count = min(table.count, range.count - start)
        _ = UnsafeMutableBufferPointer(rebasing: buffer[start..<start + count]).initialize(from: table[..<count])
      }
      memory.append(buffer)
    }
  }

  deinit { for buffer in memory { buffer.deallocate() } }

  /// The elements of a slot.
  func elements(_ slot: Int) -> UnsafeMutableBufferPointer<Float> { memory[slot] }

  /// All three slots, or the weights alone, to be stored as `element`.
  func pieces(_ element: ElementType) -> [StatePiece] {
    let stored = element == .f32 ? Self.slots : [Self.slots[0]]
    return stored.indices.compactMap { slot in
      UnsafePointer(memory[slot].baseAddress).map {
        StatePiece(tensor: 0, slot: stored[slot], range: range, source: $0, element: element)
      }
    }
  }

  private static func tables() -> [[Float]] {
    let key = RandomKey(seed: 2026)
    func normal(_ name: String) -> (Int) -> Double {
      let key = key.child(name)
      return { i in
        let u = max(key.uniform(at: UInt64(2 * i)), .leastNormalMagnitude), v = key.uniform(at: UInt64(2 * i + 1))
        return (-2 * log(u)).squareRoot() * cos(2 * .pi * v)
      }
    }
    let weight = normal("value"), first = normal("m"), second = normal("v"), row = normal("row")
    var tables = Array(repeating: [Float](repeating: 0, count: period), count: 3)
    for i in 0..<period {
      let scale = 1e-3 * exp(0.7 * row(i / columns))
      tables[0][i] = Float(0.02 * weight(i))
      // Of running means with β 0.9 and 0.999 after 200 steps.
      tables[1][i] = Float(0.23 * scale * first(i))
      tables[2][i] = Float(0.18 * scale * scale * max(1 + 0.1 * second(i), 0.1))
    }
    return tables
  }
}
