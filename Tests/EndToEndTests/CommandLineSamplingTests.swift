import EspalierTrain
import Testing

/// How bytes are drawn from odds.
@Suite struct CommandLineSamplingTests {
  private func sampling(temperature: Double) -> Sampling {
    Sampling(prompt: [], count: 0, temperature: temperature)
  }

  @Test("a temperature of 0 takes the largest logit, of equals the first")
  func coldest() {
    #expect(sampling(temperature: 0).draw([1, 3, 3, -2], 0.99) == 1)
  }

  @Test("bytes are drawn by their share")
  func shares() {
    // exp(0), exp(ln 2), exp(ln 5): shares 1/8, 2/8, 5/8.
    let logits: [Float] = [0, 0.6931472, 1.609438]
    let drawn = [0, 0.1249, 0.1251, 0.3749, 0.3751, 0.9999].map { sampling(temperature: 1).draw(logits, $0) }
    #expect(drawn == [0, 0, 1, 1, 2, 2])
    // Half the temperature squares the odds: 1/30, 4/30, 25/30.
    #expect([0.03, 0.04, 0.16, 0.17].map { sampling(temperature: 0.5).draw(logits, $0) } == [0, 1, 1, 2])
  }

  @Test("odds that are not finite draw nothing")
  func notFinite() {
    #expect(sampling(temperature: 1).draw([0, .nan], 0.5) == nil)
    #expect(sampling(temperature: 0).draw([.infinity, 0], 0.5) == nil)
    #expect(sampling(temperature: 1).draw([], 0.5) == nil)
  }

  @Test("the model sees no more than its context, and a text without a beginning begins a line")
  func window() throws {
    var seen: [[UInt8]] = []
    let sampling = Sampling(prompt: [], count: 4, temperature: 0)
    let text = try sampling.write(context: 3) { window in
      seen.append(Array(window))
      return (0..<256).map { $0 == Int(window.last ?? 0) + 1 ? 1 : 0 }
    }
    #expect(text == [11, 12, 13, 14])
    #expect(seen == [[10], [10, 11], [10, 11, 12], [11, 12, 13]])
  }
}
