import EspalierMethods
import EspalierNN
import EspalierTensor
import EspalierTesting
import EspalierTrain
import Testing

/// The decoder and a whole training step of it, held against double precision.
@Suite struct ReferenceDecoderTests {
  /// A decoder's options in a recipe, and on how many lanes and ranks it takes its step.
  struct Case: Sendable, CustomTestStringConvertible {
    let name: String
    let model: String
    var lanes = 4
    var ranks = 2
    var clip = 1.0
    var testDescription: String { name }

    /// ε of 1e-3 instead of 1e-8: the first update of Adam is g/(|g| + ε), which for a gradient that is zero but for rounding,
    /// such as that of a key's bias, is a sign made of noise.
    var recipe: String {
      """
      model:     { decoder: { \(model) } }
      optimizer: { adamw: { rate: 1e-2, decay: 0.1, epsilon: 1e-3 } }
      data:      { synthetic: { kind: shift, samples: 64, vocabulary: 13 } }
      batch:     { samples: 8, lanes: \(lanes) }
      clip:      \(clip)
      """
    }
  }

  static let cases = [
    Case(name: "defaults", model: "width: 16, depth: 1, heads: 2, context: 8"),
    Case(
      name: "LayerNorm, learned positions, GELU, tied, biases",
      model: "width: 16, depth: 2, heads: 2, context: 8, hidden: 24, normalization: layer, positions: learned, "
        + "activation: gelu, tied: true, bias: true"),
    Case(
      name: "erf GELU, LayerNorm, no positions, unclipped",
      model: "width: 12, depth: 1, heads: 2, context: 6, hidden: 20, normalization: layer, positions: none, "
        + "activation: geluErf, bias: true", lanes: 2, ranks: 1, clip: 0),
    Case(
      name: "grouped queries", model: "width: 24, depth: 1, heads: 6, keyValueHeads: 2, context: 8, hidden: 32",
      lanes: 8,
      ranks: 2, clip: 0.05),
    Case(name: "odd context", model: "width: 16, depth: 2, heads: 4, context: 7, hidden: 16", lanes: 8, ranks: 1),
    Case(
      name: "one head", model: "width: 12, depth: 1, heads: 1, context: 5, hidden: 16, tied: true", lanes: 1, ranks: 1),
    Case(name: "depth 0", model: "width: 16, depth: 0, heads: 2, context: 8", lanes: 4, ranks: 2),
  ]

  /// Weights at which no symmetry hides a mistake: the first ones, moved, so that gains are not 1 and biases not 0.
  static func weights(_ blueprint: Blueprint) -> [String: [Float]] {
    Dictionary(
      uniqueKeysWithValues: blueprint.parameters.map { spec in
        let key = RandomKey(seed: 5).child(spec.name)
        let isGain = spec.name.hasSuffix(".gain")
        return (
          spec.name,
          (0..<spec.count).map { Float((isGain ? 1 : 0) + (key.uniform(at: UInt64($0)) - 0.5) * (isGain ? 0.5 : 0.8)) }
        )
      })
  }

  static func reference(_ run: ResolvedRun) throws -> (decoder: ReferenceDecoder, samples: [ReferenceDecoder.Sample]) {
    let configuration = try #require(run.model.configuration as? Decoder.Configuration)
    let samples = try (0..<run.settings.batch.samples).map { index in
      let batch = try run.data.training.batch(of: [UInt64(index)])
      guard case .tokens(let tokens) = batch.inputs else { throw BrokenLaw("a decoder reads tokens") }
      return ReferenceDecoder.Sample(tokens: tokens.values.map(Int.init), targets: batch.targets.values.map(Int.init))
    }
    return (ReferenceDecoder(configuration), samples)
  }

  @Test("the reference's gradients are its central differences", arguments: cases)
  func centralDifferences(_ example: Case) throws {
    let run = try OneStep.open(example.recipe)
    let (decoder, all) = try Self.reference(run)
    let samples = Array(all.prefix(2))
    var weights = Self.weights(run.blueprint).mapValues { $0.map(Double.init) }
    let gradients = decoder.run(samples, weights).gradients
    for (name, values) in weights.sorted(by: { $0.key < $1.key }) {
      // Three elements of each weight: both ends and one between.
      for index in Set([0, values.count * 3 / 7, values.count - 1]) {
        let step = 1e-5
        weights[name]?[index] = values[index] + step
        let above = decoder.run(samples, weights).loss
        weights[name]?[index] = values[index] - step
        let below = decoder.run(samples, weights).loss
        weights[name]?[index] = values[index]
        let expected = (above - below) / (2 * step), found = gradients[name]?[index] ?? .nan
        #expect(abs(found - expected) <= 1e-8 + 1e-6 * abs(expected), "\(name) at \(index): \(found) ≠ \(expected)")
      }
    }
  }

  @Test("a training step is that of the reference within 1e-5 of each slot's largest element", arguments: cases)
  func oneStep(_ example: Case) throws {
    for stage in [1, 3] {
      let run = try OneStep.open(example.recipe, set: ["stage=\(stage)"])
      let weights = Self.weights(run.blueprint)
      let step = try OneStep(run, ranks: example.ranks, weights: weights)
      let (decoder, samples) = try Self.reference(run)
      let options: AdamW.Options = try run.settings.optimizer.settings()
      let expected = ReferenceDecoderStep(
        decoder, samples, weights.mapValues { $0.map(Double.init) }, options, clip: run.settings.clip)
      #expect(abs(step.loss - expected.loss) <= 1e-5 * expected.loss)
      #expect(abs(step.gradientNorm - expected.gradientNorm) <= 1e-5 * expected.gradientNorm)
      #expect(step.slots.keys.sorted() == expected.slots.keys.sorted())
      for (name, values) in expected.slots {
        let largest = values.reduce(0) { max($0, abs($1)) }
        let worst = difference(
          name, step.slots[name] ?? [], values, Tolerance(absolute: 1e-5 * largest, relative: 0))
        #expect(worst == nil, "stage \(stage)")
      }
    }
  }

  @Test("clipping was at work in one case and not in another")
  func clipping() throws {
    let norms = try Self.cases.map { example in
      let run = try OneStep.open(example.recipe)
      return try (OneStep(run, ranks: 1, weights: Self.weights(run.blueprint)).gradientNorm, example.clip)
    }
    #expect(norms.contains { $0.0 > $0.1 && $0.1 > 0 } && norms.contains { $0.0 < $0.1 || $0.1 == 0 })
  }
}
