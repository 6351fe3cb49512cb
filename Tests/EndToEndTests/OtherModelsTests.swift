import EspalierState
import EspalierTesting
import EspalierTrain
import Testing

/// Runs of what the other suites do not train: dropout, a tied head, dense features; stopped, and continued elsewhere.
@Suite struct OtherModelsTests {
  static let tied = """
    model:     { decoder: { width: 32, depth: 2, heads: 2, context: 12, normalization: layer, positions: learned,
                            activation: gelu, tied: true, bias: true, dropout: 0.1 } }
    data:      { synthetic: { kind: copy, samples: 40, vocabulary: 11, validation: 8 } }
    batch:     { samples: 16, lanes: 4 }
    schedule:  [{ train: { steps: 7 } }]
    save:      { every: 0 }
    """

  static let perceptron = """
    model:     { mlp: { width: 70, depth: 2, activation: silu, dropout: 0.2 } }
    optimizer: { sgd: { nesterov: true } }
    data:      { synthetic: { kind: classes, samples: 40, features: 60, validation: 8 } }
    batch:     { samples: 16, lanes: 4, last: keep }
    schedule:  [{ train: { steps: 7 } }]
    save:      { every: 0 }
    """

  @Test(
    "dropout and tied weights continue bit for bit on other ranks and another stage", arguments: [tied, perceptron])
  func resume(recipe: String) throws {
    try Runs.inTemporaryDirectory { directory in
      let whole = try Runs.train(recipe, in: directory + "/whole")
      #expect(whole.outcome.lastLoss.isFinite)
      for (first, second) in [((2, 3), (4, 0)), ((3, 1), (2, 2)), ((1, 0), (3, 3))] {
        let run = directory + "/\(first)"
        _ = try Runs.train(recipe, set: ["stage=\(first.1)"], ranks: first.0, in: run, stopsAfter: 1 + first.0)
        let resumed = try Runs.train(
          recipe, set: ["stage=\(second.1)", "recompute=true"], ranks: second.0, in: run, resumes: true)
        #expect(resumed.digests.lines == whole.digests.lines, "\(first) to \(second)")
      }
    }
  }
}
