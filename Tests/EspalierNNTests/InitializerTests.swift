import EspalierNN
import EspalierTensor
import EspalierTesting
import Testing

/// First weights depend on the seed, the name and the element, not on who fills them.
@Suite struct InitializerTests {
  private func filled(_ initializer: Initializer, _ range: Range<Int>, key: RandomKey) -> [Float] {
    Array(unsafeUninitializedCapacity: range.count) { buffer, count in
      if let start = buffer.baseAddress { initializer.fill(range, of: key, into: start) }
      count = range.count
    }
  }

  @Test(
    "parts are parts of the whole, bit for bit", arguments: [Initializer.normal(standardDeviation: 0.3), .constant(2)])
  func parts(_ initializer: Initializer) {
    let key = RandomKey(seed: 9).child("blocks.0.weight")
    let whole = filled(initializer, 0..<1001, key: key)
    for range in [0..<1, 1..<2, 3..<500, 500..<1001] {
      #expect(bitDifference("\(range)", filled(initializer, range, key: key), Array(whole[range])) == nil)
    }
    #expect(whole.allSatisfy { $0.isFinite })
  }

  @Test("a normal has mean 0, its deviation, and tails like a normal's")
  func moments() {
    let values = filled(.normal(standardDeviation: 0.5), 0..<100_000, key: RandomKey(seed: 1)).map(Double.init)
    let count = Double(values.count)
    let mean = values.reduce(0, +) / count
    let deviation = (values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / count).squareRoot()
    #expect(abs(mean) < 0.005 && abs(deviation - 0.5) < 0.005)
    // 4.55 % of a normal lie outside of two deviations; the share's own deviation here is 0.07 %.
    let outside = Double(values.count { abs($0) > 1 }) / count
    #expect(abs(outside - 0.0455) < 0.003)
  }

  @Test("names and seeds have streams of their own")
  func streams() {
    let first = filled(.normal(standardDeviation: 1), 0..<64, key: RandomKey(seed: 1).child("a"))
    #expect(filled(.normal(standardDeviation: 1), 0..<64, key: RandomKey(seed: 1).child("b")) != first)
    #expect(filled(.normal(standardDeviation: 1), 0..<64, key: RandomKey(seed: 2).child("a")) != first)
  }

  @Test("small is √(2 / (5·inputs)), and scaling scales")
  func small() {
    #expect(Initializer.small(inputs: 40) == .normal(standardDeviation: 0.1))
    #expect(Initializer.normal(standardDeviation: 0.5).scaled(by: 4) == .normal(standardDeviation: 2))
    #expect(Initializer.ones.scaled(by: 3) == .constant(3))
  }
}
