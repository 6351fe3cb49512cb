import EspalierTensor
import EspalierTesting
import Testing

/// The largest logit of each head, as the softmax of an attention notes it.
@Suite struct LogitPeaksTests {
  @Test("peaks are the largest logits that a query may see, over samples, blocks and passes", arguments: [true, false])
  func peaks(causal: Bool) throws {
    // Two blocks of queries, and two query heads share a key.
    let (batch, time, heads, width) = (2, 41, 2, 3)
    let shape = AttentionShape(batch: batch, time: time, heads: heads, keyValueHeads: 1, headWidth: width)
    let fused = shape.fusedWidth
    let key = RandomKey(seed: 8)
    func rows(_ pass: Int) -> [Float] {
      (0..<batch * time * fused).map { Float(key.child("\(pass)").uniform(at: UInt64($0)) * 4 - 2) }
    }
    func largest(_ x: [Float], _ head: Int) -> Double {
      var largest = -Double.infinity
      for sample in 0..<batch {
        for query in 0..<time {
          for other in 0..<(causal ? query + 1 : time) {
            let logit = (0..<width).reduce(0.0) { sum, i in
              let q = x[(sample * time + query) * fused + head * width + i]
              return sum + Double(q) * Double(x[(sample * time + other) * fused + heads * width + i])
            }
            largest = max(largest, 0.7 * logit)
          }
        }
      }
      return largest
    }
    let peaks = LogitPeaks(heads: heads)
    #expect(peaks.values == [-.infinity, -.infinity])
    for pass in 0..<2 {
      let tape = Tape(pool: Pool(poisons: true), mode: .recording)
      let x = tape.variable(rows(pass), [batch * time, fused])
      let noted = x.attention(shape, causal: causal, scale: 0.7, peaks: peaks)
      #expect(bitDifference("output", noted.values, x.attention(shape, causal: causal, scale: 0.7).values) == nil)
    }
    let expected = (0..<heads).map { head in max(largest(rows(0), head), largest(rows(1), head)) }
    #expect(difference("peak", peaks.values, expected, Tolerance(absolute: 0, relative: 1e-6)) == nil)
    peaks.clear()
    #expect(peaks.values == [-.infinity, -.infinity])
  }
}
