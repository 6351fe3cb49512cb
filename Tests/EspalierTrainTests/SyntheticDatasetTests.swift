import EspalierNN
import EspalierTensor
import EspalierTrain
import Testing

@Suite struct SyntheticDatasetTests {
  private func splits(_ kind: SyntheticSettings.Kind, context: Int = 9, seed: UInt64 = 1) throws -> DataSplits {
    var settings = SyntheticSettings()
    settings.kind = kind
    settings.seed = seed
    settings.noise = 0.1
    return try settings.open(context: context)
  }

  @Test("a sample is the same in every batch", arguments: SyntheticSettings.Kind.allCases)
  func keyed(kind: SyntheticSettings.Kind) throws {
    let data = try splits(kind).training
    let both = try data.batch(of: [7, 4000]), one = try data.batch(of: [4000])
    #expect(both.targets.values.suffix(one.targets.count) == one.targets.values[...])
    #expect(try data.batch(of: [7, 4000]) == both)
    #expect(try splits(kind, seed: 2).training.batch(of: [7, 4000]) != both)
    #expect(try splits(kind).training.contentHash == data.contentHash)
    #expect(try splits(kind, seed: 2).training.contentHash != data.contentHash)
    #expect(try splits(kind).validation?.contentHash != data.contentHash)
  }

  @Test("a shift adds one step each time, and asks from its second step on")
  func shift() throws {
    let batch = try splits(.shift).training.batch(of: Array(0..<50))
    guard case .tokens(let inputs) = batch.inputs else { return #expect(Bool(false), "tokens") }
    for row in 0..<50 {
      let tokens = inputs.values[row * 9..<(row + 1) * 9].map(Int.init),
        targets = batch.targets.values[row * 9..<(row + 1) * 9].map(Int.init)
      #expect(targets[0] == -1)
      for place in 1..<9 { #expect(targets[place] == (2 * tokens[place] - tokens[place - 1] + 32) % 32) }
    }
  }

  @Test("a copy repeats its first half, and asks for the second", arguments: [1, 2, 3, 8, 9])
  func copy(context: Int) throws {
    let batch = try splits(.copy, context: context).training.batch(of: [3])
    guard case .tokens(let inputs) = batch.inputs else { return #expect(Bool(false), "tokens") }
    let half = (context + 2) / 2
    for place in 0..<context {
      #expect(batch.targets.values[place] == (place + 1 < half ? -1 : inputs.values[place + 1 - half]))
    }
    #expect(batch.weight == context + 1 - half)
  }

  @Test("clouds of one class lie about one centre")
  func classes() throws {
    let batch = try splits(.classes).training.batch(of: Array(0..<200))
    guard case .features(let values, let shape) = batch.inputs else { return #expect(Bool(false), "features") }
    #expect(shape == [200, 32])
    #expect(Set(batch.targets.values) == Set(0..<10))
    func distance(_ a: Int, _ b: Int) -> Float {
      (0..<32).reduce(0) {
        $0 + (values[a * 32 + $1] - values[b * 32 + $1]) * (values[a * 32 + $1] - values[b * 32 + $1])
      }
    }
    // Noise 0.1: squared distances within a class are 32 · 2 · 0.01 = 0.64, between centres about 64.
    for sample in 1..<200 {
      #expect(
        (distance(0, sample) < 3) == (batch.targets.values[0] == batch.targets.values[sample]), "sample \(sample)")
    }
  }
}
