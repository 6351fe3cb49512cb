import EspalierTensor
import EspalierTesting
import Testing

@Suite struct DropoutTests {
  private let key = RandomKey(seed: 4).child("blocks.0")

  private func run(
    _ samples: [UInt64], perSample: Int, rate: Float = 0.3, mode: Tape.Mode = .recording
  ) -> (output: [Float], gradient: [Float]) {
    let tape = Tape(pool: Pool(poisons: true), mode: mode, samples: samples)
    let count = samples.count * perSample
    let x = tape.variable((0..<count).map { Float($0 % perSample + 1) }, [count, 1])
    let y = x.dropout(rate, key: key)
    if mode == .inference { return (y.values, []) }
    let seed = tape.constant([Float](repeating: 2, count: count), [count, 1])
    return (y.values, tape.backward(from: y, seed: seed, wanting: [x])[0]?.values ?? [])
  }

  @Test func `what a sample loses does not depend on how the batch is cut`() {
    let whole = run([7, 3, 11, 5], perSample: 37)
    let parts = [run([7], perSample: 37), run([3, 11], perSample: 37), run([5], perSample: 37)]
    #expect(whole.output == parts.flatMap(\.output))
    #expect(whole.gradient == parts.flatMap(\.gradient))
    let turned = run([5, 11, 3, 7], perSample: 37)
    #expect(Array(turned.output[..<37]) == Array(whole.output[111...]))
  }

  @Test func `keeps elements by the bits of the key, scaled to keep the mean`() {
    let result = run([9, 2], perSample: 50)
    for (position, sample) in [UInt64(9), 2].enumerated() {
      for i in 0..<50 {
        let kept = key.child(sample).uniform(at: UInt64(i)) >= Double(Float(0.3))
        let factor = kept ? Float(1 / (1 - Double(Float(0.3)))) : 0
        #expect(result.output[position * 50 + i] == Float(i + 1) * factor)
        #expect(result.gradient[position * 50 + i] == 2 * factor)
      }
    }
  }

  @Test func `drops about the share that it is told`() {
    let dropped = run(Array(0..<20), perSample: 1000).output.count { $0 == 0 }
    #expect(abs(dropped - 6000) < 4 * 65)  // √(20000 · 0.3 · 0.7) = 65
  }

  @Test func `does nothing at rate zero, nor on a tape for inference`() {
    let x = (0..<6).map { Float($0 % 3 + 1) }
    #expect(run([1, 2], perSample: 3, rate: 0).output == x)
    #expect(run([1, 2], perSample: 3, mode: .inference).output == x)
    #expect(run([], perSample: 3).output.isEmpty)
  }
}
