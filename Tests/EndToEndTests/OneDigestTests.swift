import EspalierState
import EspalierTesting
import EspalierTrain
import Testing

/// One recipe, one result: the bits of a run do not depend on ranks, stage or recompute.
@Suite struct OneDigestTests {
  static let reference = Result { try digest(ranks: 1, stage: 0) }

  static func digest(ranks: Int, stage: Int, recompute: Bool = false) throws -> String {
    try Runs.inTemporaryDirectory { directory in
      let result = try Runs.train(
        TinyRuns.decoder, set: ["stage=\(stage)", "recompute=\(recompute)"], ranks: ranks, in: directory + "/run")
      return "\(result.digests.total) \(result.outcome.lastLoss) \(result.outcome.evaluation?.loss ?? .nan)"
    }
  }

  @Test("ranks and stages change no bit of weights, slots, loss or evaluation", arguments: [1, 2, 3, 4], [0, 1, 2, 3])
  func ranksAndStages(ranks: Int, stage: Int) throws {
    #expect(try Self.digest(ranks: ranks, stage: stage) == Self.reference.get())
  }

  @Test("recomputing activations changes no bit", arguments: [(1, 0), (2, 1), (3, 2), (4, 3)])
  func recompute(ranks: Int, stage: Int) throws {
    #expect(try Self.digest(ranks: ranks, stage: stage, recompute: true) == Self.reference.get())
  }
}
