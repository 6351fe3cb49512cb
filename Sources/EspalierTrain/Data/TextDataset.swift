public import EspalierNN
import EspalierTensor

/// Windows of a text, byte by byte: each asks for the next byte at every place.
///
/// Within a run of bytes b₀ … bₙ₋₁, sample i has the inputs b[ic ..< ic + c] and the targets b[ic + 1 ..< ic + c + 1], with c the
/// context: windows do not overlap but for the byte that is one window's last target and the next one's first input. A run has
/// ⌊(n − 1) / c⌋ samples, what is left of it has none.
public struct TextDataset: Dataset {
  public let description: String
  public let sampleCount: Int
  public let contentHash: UInt64
  private let bytes: TextBytes
  private let context: Int
  private let runs: [Range<Int>]
  /// The index of each run's first sample.
  private let firstSamples: [Int]

  /// - Throws: `DataError` of kind `.tooShort` when no run holds a window.
  package init(_ name: String, _ bytes: TextBytes, runs: [Range<Int>], context: Int) throws {
    require(context > 0, "a window has at least one byte, got a context of \(context)")
    let runs = runs.filter { $0.count > context }
    var firstSamples: [Int] = [], count = 0
    for run in runs {
      firstSamples.append(count)
      count += (run.count - 1) / context
    }
    guard count > 0 else {
      throw DataError(
        .tooShort, subject: name,
        reason: "the text has no \(context + 1) bytes on end, the least for a context of \(context)",
        remedy: "use more text or a shorter context")
    }
    self.bytes = bytes
    self.runs = runs
    self.context = context
    self.firstSamples = firstSamples
    sampleCount = count
    description = "\(name): \(runs.reduce(0) { $0 + $1.count }) bytes, \(count) samples of \(context)"
    var hash = ContentHash(seed: 3)
    hash.add(bytes.hash())
    hash.add(UInt64(context))
    for run in runs {
      hash.add(UInt64(run.lowerBound))
      hash.add(UInt64(run.upperBound))
    }
    contentHash = hash.value
  }

  public var inputs: DatasetInputs { .tokens(vocabulary: 256, time: context) }
  public var classCount: Int { 256 }
  public var targetsAreBytes: Bool { true }
  public var bytesPerSample: Int { 2 * context * MemoryLayout<Int32>.size }

  /// The first byte of a sample in the text.
  /// - Complexity: log runs.
  package func firstByte(of sample: UInt64) -> Int {
    require(sample < UInt64(sampleCount), "sample \(sample) is none of \(sampleCount)")
    let sample = Int(sample)
    var low = 0, high = runs.count
    while high - low > 1 {
      let middle = (low + high) / 2
      if firstSamples[middle] <= sample { low = middle } else { high = middle }
    }
    return runs[low].lowerBound + (sample - firstSamples[low]) * context
  }

  public func batch(of indices: [UInt64]) throws -> Batch {
    let count = indices.count * context
    var inputs = [Int32](repeating: 0, count: count), targets = [Int32](repeating: 0, count: count)
    for (row, index) in indices.enumerated() {
      let first = firstByte(of: index)
      let start = row * context
      bytes.forEach(in: first..<first + context + 1) { place, byte in
        if place < context { inputs[start + place] = Int32(byte) }
        if place > 0 { targets[start + place - 1] = Int32(byte) }
      }
    }
    let shape: Shape = [indices.count, context]
    return Batch(
      inputs: .tokens(Indices(inputs, shape: shape)), targets: Indices(targets, shape: shape), samples: indices)
  }
}
