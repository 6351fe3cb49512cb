import EspalierTensor
import EspalierTesting
import Testing

/// Attention over more positions than one block of queries holds, too many for a difference for every element.
@Suite struct LongAttentionTests {
  @Test(arguments: [513, 577], [true, false]) func `equals the reference, and its slope along a direction`(
    _ time: Int, _ causal: Bool
  ) throws {
    let sizes = Reference.AttentionSizes(batch: 1, time: time, heads: 2, keyValueHeads: 1, width: 3)
    let shape = AttentionShape(batch: 1, time: time, heads: 2, keyValueHeads: 1, headWidth: 3)
    func values(_ name: String, _ count: Int) -> [Float] {
      let key = RandomKey(seed: 21).child(name)
      return (0..<count).map { Float(key.uniform(at: UInt64($0)) * 4 - 2) }
    }
    let (x, direction) = (values("x", time * sizes.fused), values("direction", time * sizes.fused))
    let seed = values("seed", time * 6)
    let tape = Tape(pool: Pool(poisons: true), mode: .recording)
    let variable = tape.variable(x, [time, sizes.fused])
    let y = variable.attention(shape, causal: causal, scale: 0.6)
    let expected = Reference.attention(x.map(Double.init), sizes, causal: causal, scale: 0.6)
    #expect(difference("output", y.values, expected, Tolerance(absolute: 3e-6, relative: 3e-6)) == nil)

    let gradient = try #require(
      tape.backward(from: y, seed: tape.constant(seed, [time, 6]), wanting: [variable])[0]?.values)
    func weighted(_ step: Double) -> Double {
      let moved = zip(x, direction).map { Double($0) + step * Double($1) }
      let output = Reference.attention(moved, sizes, causal: causal, scale: 0.6)
      return zip(output, seed).map { $0 * Double($1) }.reduce(0, +)
    }
    let slope = (weighted(1e-5) - weighted(-1e-5)) / 2e-5
    let actual = zip(gradient, direction).map { Double($0) * Double($1) }.reduce(0, +)
    let size = zip(gradient, direction).map { abs(Double($0) * Double($1)) }.reduce(0, +)
    #expect(abs(actual - slope) < 1e-6 * size, "\(actual) ≠ \(slope)")
  }
}
