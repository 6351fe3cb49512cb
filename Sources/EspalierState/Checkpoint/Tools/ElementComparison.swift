import EspalierTensor

/// Compares the elements of one slot in two checkpoints, a window at a time.
struct ElementComparison {
  private static let windowElements = 1 << 18

  private let first: ChunkCache
  private let second: ChunkCache
  private let a: (tensor: Manifest.Tensor, slot: Manifest.Slot)
  private let b: (tensor: Manifest.Tensor, slot: Manifest.Slot)

  init(
    _ first: ChunkCache, _ second: ChunkCache, _ a: (Manifest.Tensor, Manifest.Slot),
    _ b: (Manifest.Tensor, Manifest.Slot)
  ) {
    (self.first, self.second) = (first, second)
    (self.a, self.b) = (a, b)
  }

  /// - Returns: nil if all elements are the same to the bit.
  func run() throws -> CheckpointDiff.ElementDifference? {
    let total = a.tensor.record.elementCount
    let window = min(Self.windowElements, max(total, 1))
    let left = UnsafeMutableBufferPointer<Float>.allocate(capacity: window)
    let right = UnsafeMutableBufferPointer<Float>.allocate(capacity: window)
    defer {
      left.deallocate()
      right.deallocate()
    }
    left.initialize(repeating: 0)
    right.initialize(repeating: 0)
    var parting: (index: Int, first: Float, second: Float)?
    var count = 0
    var largest = 0.0
    for start in stride(from: 0, to: total, by: window) {
      let range = start..<min(start + window, total)
      guard let one = left.baseAddress, let other = right.baseAddress else { break }
      try first.read(a.tensor, a.slot, range, into: one)
      try second.read(b.tensor, b.slot, range, into: other)
      for i in 0..<range.count where left[i].bitPattern != right[i].bitPattern {
        if parting == nil { parting = (start + i, left[i], right[i]) }
        count += 1
        let distance = left[i] == right[i] ? 0 : abs(Double(left[i]) - Double(right[i]))
        // A distance that is not a number is the largest of all.
        if distance.isNaN || distance > largest { largest = distance }
      }
    }
    return parting.map { parting in
      CheckpointDiff.ElementDifference(
        flatIndex: parting.index, index: Self.index(parting.index, a.tensor.record.shape),
        first: "\(parting.first)", second: "\(parting.second)", firstBits: Self.bits(parting.first),
        secondBits: Self.bits(parting.second), count: count, total: total, largest: "\(largest)")
    }
  }

  /// The index by dimension of a row-major place.
  private static func index(_ flat: Int, _ shape: [Int]) -> [Int] {
    var rest = flat
    var index: [Int] = []
    for extent in shape.reversed() {
      index.append(rest % max(extent, 1))
      rest /= max(extent, 1)
    }
    return index.reversed()
  }

  private static func bits(_ value: Float) -> String { String(hexadecimal(UInt64(value.bitPattern)).suffix(8)) }
}
