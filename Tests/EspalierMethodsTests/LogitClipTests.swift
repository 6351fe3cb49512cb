import EspalierMethods
import EspalierNN
import EspalierTesting
import EspalierTrain
import Testing

/// QK-clip: what a step leaves of queries and keys whose logits grew too large. The optimizer itself stands still here.
@Suite struct LogitClipTests {
  private static func recipe(keyValueHeads: Int) -> String {
    """
    model:     { decoder: { width: 16, depth: 1, heads: 4, keyValueHeads: \(keyValueHeads), context: 8, bias: true, hidden: 32 } }
    optimizer: { sgd: { rate: 0 } }
    data:      { synthetic: { kind: shift, samples: 64, vocabulary: 13 } }
    batch:     { samples: 8, lanes: 4 }
    """
  }

  private func step(
    _ keyValueHeads: Int, limit: Double, _ weights: [String: [Float]]? = nil, ranks: Int = 1
  ) throws -> OneStep {
    let run = try OneStep.open(Self.recipe(keyValueHeads: keyValueHeads), set: ["model.decoder.qkClip=\(limit)"])
    return try OneStep(run, ranks: ranks, weights: weights ?? ReferenceDecoderTests.weights(run.blueprint))
  }

  @Test(
    "the same batch then reaches the limit in heads that were above it, and what it did in the others",
    arguments: [4, 2, 1], [1, 3])
  func clips(keyValueHeads: Int, ranks: Int) throws {
    let before = try step(keyValueHeads, limit: 1e9, ranks: ranks)
    try #require(before.peaks.count == 4 && before.clippedHeads == 0)
    let sorted = before.peaks.sorted()
    let limit = (sorted[1] + sorted[2]) / 2
    try #require(limit > 0)
    let clipping = try step(keyValueHeads, limit: limit, ranks: ranks)
    #expect(clipping.peaks == before.peaks && clipping.clippedHeads == 2)
    let weights = Dictionary(
      uniqueKeysWithValues: clipping.slots.filter { $0.key.hasSuffix("/value") }.map {
        (String($0.key.dropLast("/value".count)), $0.value)
      })
    let after = try step(keyValueHeads, limit: limit, weights, ranks: ranks)
    let expected = before.peaks.map { min($0, limit) }
    #expect(difference("peak", after.peaks, expected, Tolerance(absolute: 0, relative: 1e-5)) == nil)

    // Queries and keys take a root each, or shared keys nothing and queries all; nothing else moves.
    for (name, values) in clipping.slots where name.hasSuffix("/value") {
      let old = try #require(before.slots[name])
      let isFused = name.contains(".qkv."), width = name.hasSuffix(".bias/value") ? 1 : 16
      let factors = values.indices.map { index -> Double in
        let head = index / width / 4
        guard isFused, head < 4 || (keyValueHeads == 4 && head < 8) else { return 1 }
        let factor = expected[head % 4] / before.peaks[head % 4]
        return keyValueHeads == 4 ? factor.squareRoot() : factor
      }
      let scaled = zip(old, factors).map { Double($0) * $1 }
      #expect(difference(name, values, scaled, Tolerance(absolute: 0, relative: 3e-7)) == nil)
    }
  }

  @Test("a limit below zero is refused by its name, and without one nothing is noted")
  func off() throws {
    #expect(try step(4, limit: 0).peaks.isEmpty)
    let error = #expect(throws: ModelError.self) { try step(4, limit: -1) }
    #expect(error?.subject == "qkClip")
  }
}
