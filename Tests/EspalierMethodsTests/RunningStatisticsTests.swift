import EspalierMethods
import EspalierNN
import EspalierState
import EspalierTensor
import EspalierTesting
import EspalierTrain
import Testing

/// Statistics that are kept from step to step, in a training step of a whole model.
@Suite struct RunningStatisticsTests {
  private static func run(_ set: [String] = []) throws -> ResolvedRun {
    try OneStep.open(
      """
      model:     { residualNetwork: { width: 4, depth: 1, image: { channels: 2, height: 5, width: 5 } } }
      optimizer: { adamw: { rate: 1e-2, decay: 0.5 } }
      data:      { synthetic: { kind: classes, samples: 96, classes: 5, features: 50, validation: 16 } }
      batch:     { samples: 13, lanes: 4, last: keep }
      clip:      1e-3
      schedule:  [{ train: { steps: 5 } }]
      evaluate:  { every: 0, batch: 8, batches: 2 }
      save:      { every: 0 }
      seed:      3
      """, set: set)
  }

  /// Keyed values for every parameter, above 0 for variances.
  private static func weights(_ blueprint: Blueprint) -> [String: [Float]] {
    blueprint.parameters.reduce(into: [:]) { weights, spec in
      let key = RandomKey(seed: 9).child(spec.name)
      weights[spec.name] = (0..<spec.count).map { index in
        let value = Float(key.uniform(at: UInt64(index)))
        return spec.name.hasSuffix("variance") ? 0.5 + value : value - 0.5
      }
    }
  }

  @Test(
    "goes a tenth of the way to the mean over lanes of their samples' statistics, unclipped and undecayed",
    arguments: 1...4)
  func follows(ranks: Int) throws {
    let run = try Self.run(["stage=\(ranks - 1)"])
    let weights = Self.weights(run.blueprint)
    let after = try OneStep(run, ranks: ranks, weights: weights).slots
    let kernel = try #require(weights["stem.convolution.weight"]).map(Double.init)
    var expected = ["mean": [Double](repeating: 0, count: 4), "variance": [Double](repeating: 0, count: 4)]
    for lane in 0..<4 {
      let batch = try OneStep.samples(of: run, lane: lane), count = batch.samples.count
      guard case .features(let values, _) = batch.inputs else { throw BrokenLaw("samples are dense") }
      let output = Reference.convolution(
        values.map(Double.init), kernel, .init(count, 2, 5, 5), kernel: 3, stride: 1, padding: 1)
      for channel in 0..<4 {
        let elements = Reference.channel(output, .init(count, 4, 5, 5), 0..<count, channel)
        let moments = Reference.moments(elements), share = Double(count) / 13
        expected["mean"]?[channel] += share * moments.mean
        expected["variance"]?[channel] += share * moments.variance * Double(elements.count) / Double(elements.count - 1)
      }
    }
    for (name, batch) in expected {
      let before = try #require(weights["stem.norm.\(name)"])
      let goal = zip(before, batch).map { 0.9 * Double($0) + 0.1 * $1 }
      let found = try #require(after["stem.norm.\(name)/value"])
      #expect(difference(name, found, goal, Tolerance(absolute: 1e-6, relative: 1e-6)) == nil)
    }
  }

  @Test("has no slot of an optimizer, and no part in the norm of the gradient")
  func isNoWeight() throws {
    let run = try Self.run(["batch.lanes=1"])
    var weights = Self.weights(run.blueprint)
    let step = try OneStep(run, ranks: 1, weights: weights)
    for spec in run.blueprint.parameters {
      #expect((step.slots["\(spec.name)/adamw.m"] != nil) == !spec.isStatistic, "\(spec.name)")
    }
    // In training the norm is by the batch's statistics, so the kept ones change neither loss nor gradient.
    for spec in run.blueprint.parameters where spec.isStatistic {
      weights[spec.name] = weights[spec.name]?.map { $0 + 1000 }
    }
    let other = try OneStep(run, ranks: 1, weights: weights)
    #expect(other.loss == step.loss && other.gradientNorm == step.gradientNorm)
    #expect(other.slots["head.weight/value"] == step.slots["head.weight/value"])
  }

  @Test("is what evaluation uses: a sample's logits do not depend on its neighbours, and do on what is kept")
  func evaluation() throws {
    let run = try Self.run()
    func logits(_ batch: Batch, shift: Float = 0) throws -> [Float] {
      try Ranks.run(1) { communicator in
        let session = try RankSession(run, communicator)
        try session.store.initialize(seed: 4)
        for piece in session.store.ownPieces
        where session.store.blueprint.parameters[piece.parameter].name == "stem.norm.mean" {
          for index in 0..<piece.range.count { session.store.pointer("value", piece)[index] += shift }
        }
        try session.store.share()
        let tape = Tape(pool: session.pool, mode: .inference, samples: batch.samples)
        let values = session.model.logits(batch, on: tape).values
        try session.store.endPass(recording: false)
        return values
      }[0]
    }
    let all = try run.data.training.batch(of: [0, 1, 2, 3, 4]), one = try run.data.training.batch(of: [3])
    let (together, alone) = (try logits(all), try logits(one))
    #expect(
      difference("logits", Array(together[15..<20]), alone.map(Double.init), Tolerance(absolute: 1e-6, relative: 1e-5))
        == nil)
    #expect(try logits(one, shift: 0.5) != alone)
  }
}
