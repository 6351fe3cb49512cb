import EspalierMethods
import EspalierNN
import EspalierState
import EspalierTensor
import EspalierTesting
import EspalierTrain
import Foundation
import Testing

/// A classifier that meets infinity whenever one of the `cursed` samples is in its batch.
private struct Cursed: Model {
  typealias Configuration = MLP.Configuration
  static let name = "cursed"
  static let summary = "A classifier for tests of non-finite steps."
  static let cursed: Set<UInt64> = [11, 37]
  let inner: MLP

  init(_ scope: Scope, _ configuration: MLP.Configuration) { inner = MLP(scope, configuration) }

  func logits(_ batch: Batch, on tape: Tape) -> Tensor {
    let logits = inner.logits(batch, on: tape)
    let isCursed = tape.mode == .recording && batch.samples.contains(where: Self.cursed.contains)
    return isCursed ? logits.scaled(by: .infinity) : logits
  }

  static func validated(_ configuration: MLP.Configuration, for data: DataDescription) throws -> MLP.Configuration {
    try MLP.validated(configuration, for: data)
  }

  static func operationsPerSample(_ configuration: MLP.Configuration, _ blueprint: Blueprint) -> ProductOperations {
    ProductOperations()
  }
}

@Suite struct NonFiniteStepTests {
  let catalogue = Catalogue.standard.adding(Cursed.self)
  let recipe = """
    model:     { cursed: { width: 16, depth: 1 } }
    optimizer: { sgd: { rate: 0.05 } }
    data:      { synthetic: { kind: classes, samples: 64 } }
    batch:     { samples: 8, lanes: 4 }
    schedule:
      - train: { epochs: 1 }
    """

  @Test(
    "a step that meets infinity is skipped on all ranks alike and its lane and samples are named",
    arguments: [1, 2, 3, 4]
  )
  func skipped(ranks: Int) throws {
    try Runs.inTemporaryDirectory { directory in
      let reference = try Runs.train(recipe, in: directory + "/one", catalogue: catalogue)
      let run = directory + "/run"
      let result = try Runs.train(
        recipe, set: ["stage=\(ranks - 1)"], ranks: ranks, in: run, catalogue: catalogue)
      #expect(result.digests.total == reference.digests.total)
      let state = try TrainingState(from: CheckpointReader(result.outcome.checkpoint))
      #expect(state.step == 8 && state.updates < 8 && state.updates >= 6)

      let journal = try String(contentsOfFile: run + "/metrics.jsonl", encoding: .utf8)
      let skips = try journal.split(separator: "\n").filter { $0.contains("\"kind\":\"skipped\"") }.map {
        try #require(JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any])
      }
      #expect(skips.count >= 1)
      let named = Set(skips.flatMap { ($0["samples"] as? [Int] ?? []).map { UInt64($0) } })
      #expect(named.isSuperset(of: Cursed.cursed))
      for skip in skips {
        #expect((skip["parameter"] as? String)?.hasPrefix("head.") == true && skip["segment"] as? String == "head")
        #expect(Set((skip["samples"] as? [Int] ?? []).map { UInt64($0) }).isDisjoint(with: Cursed.cursed) == false)
      }
    }
  }

  @Test("a run that does not recover stops with the place named")
  func stops() throws {
    try Runs.inTemporaryDirectory { directory in
      let error = #expect(throws: RunError.self) {
        try Runs.train(
          recipe, set: ["optimizer.sgd.rate=1e38", "clip=0", "nonFinite.limit=3"], ranks: 2, in: directory + "/run",
          catalogue: catalogue)
      }
      #expect(error?.kind == .notFinite && error?.reason.contains("lane") == true)
    }
  }
}
