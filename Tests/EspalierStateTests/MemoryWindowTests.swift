import EspalierMethods
import EspalierNN
import EspalierState
import EspalierTensor
import EspalierTesting
import EspalierTrain
import Testing

/// At stage 3 a weight exists while its segment is in use, and at no other time.
@Suite struct MemoryWindowTests {
  /// Two layers, of which the second reads the first one's weight after that was released: a mistake of a model's author.
  struct Trespasser: Model {
    struct Configuration: Settings {
      var width = 8
      var features = 0
      var classes = 0
      static let fields = [
        SettingField("width", "Width."), SettingField("features", "Features."), SettingField("classes", "Classes."),
      ]
    }

    static let name = "trespasser"
    static let summary = "Reads a weight outside of its segment."

    let first, second, third: Segment<Linear>

    init(_ scope: Scope, _ c: Configuration) {
      first = scope.segment("first") { Linear($0, from: .input("feature", c.features), to: .output("hidden", c.width)) }
      second = scope.segment("second") {
        Linear($0, from: .input("hidden", c.width), to: .output("middle", c.features))
      }
      third = scope.segment("third") { Linear($0, from: .input("hidden", c.width), to: .index("class", c.classes)) }
    }

    func logits(_ batch: Batch, on tape: Tape) -> Tensor {
      guard case .features(let values, let shape) = batch.inputs else { fatalError("dense features are wanted") }
      let middle = second(first(tape.constant(values, [shape[0], first.body.featureCount])))
      return third(first.body(middle))  // the body alone: no segment, no gathering
    }

    static func validated(_ configuration: Configuration, for data: DataDescription) throws -> Configuration {
      var c = configuration
      (c.features, c.classes) = (data.features, data.classes)
      return c
    }

    static func operationsPerSample(_ configuration: Configuration, _ blueprint: Blueprint) -> ProductOperations {
      ProductOperations()
    }
  }

  static let recipe = """
    model:     { trespasser: {} }
    data:      { synthetic: { kind: classes, samples: 16, features: 6, validation: 0 } }
    batch:     { samples: 4, lanes: 2 }
    schedule:  [{ train: { steps: 1 } }]
    """

  @Test("a weight that is read outside of its segment stops the program with its name")
  func trap() async throws {
    let result = try await #require(
      processExitsWith: .failure, observing: [\.standardErrorContent],
      performing: {
        let catalogue = Catalogue.standard.adding(Trespasser.self)
        try Runs.inTemporaryDirectory {
          _ = try Runs.train(
            MemoryWindowTests.recipe, set: ["stage=3"], ranks: 2, in: $0 + "/run", catalogue: catalogue)
        }
      })
    let text = String(decoding: result.standardErrorContent, as: UTF8.self)
    #expect(text.contains("'first.weight' was read while its segment was released"))
  }

  @Test("weights that were released and poisoned are never read: checks change no bit", arguments: 2...3)
  func poison(stage: Int) throws {
    let recipe = """
      model:     { decoder: { width: 32, depth: 3, heads: 2, context: 8, hidden: 96, tied: true } }
      data:      { synthetic: { kind: shift, samples: 64, vocabulary: 13, validation: 8 } }
      batch:     { samples: 8, lanes: 4 }
      schedule:  [{ train: { steps: 4 } }]
      evaluate:  { every: 2, batch: 4 }
      save:      { every: 0 }
      stage:     \(stage)
      """
    func digest(_ checks: Bool, recompute: Bool) throws -> String {
      try Runs.inTemporaryDirectory {
        let result = try Runs.train(
          recipe, set: ["checks.memory=\(checks)", "recompute=\(recompute)"], ranks: 3, in: $0 + "/run")
        return "\(result.digests.total) \(result.outcome.evaluation?.loss ?? .nan)"
      }
    }
    let unchecked = try digest(false, recompute: false)
    #expect(!unchecked.contains("nan"))
    for recompute in [false, true] { #expect(try digest(true, recompute: recompute) == unchecked) }
  }
}
