import EspalierMethods
import EspalierNN
import EspalierState
import EspalierTesting
import EspalierTrain

/// Small models, and growths of them by every operator.
struct GrowthCase: Sendable, CustomStringConvertible {
  let model: String
  /// "operator: …, to: …".
  let growth: String
  let isExact: Bool
  /// What growth changes is not the logits alone.
  var hasNewClasses = false
  /// Before and after, where it has new ones.
  var classes = [11, 19]

  var description: String { "\(growth) of \(model.prefix(60))…" }

  /// Pre-norm RMS, rotary, SwiGLU, grouped queries, untied.
  static let llama =
    "{ decoder: { width: 16, depth: 2, heads: 4, keyValueHeads: 2, headWidth: 4, hidden: 20, context: 8 } }"
  static let tiedLlama =
    "{ decoder: { width: 16, depth: 2, heads: 4, keyValueHeads: 2, headWidth: 4, hidden: 20, context: 8, tied: true } }"
  static let gpt =
    "{ decoder: { width: 16, depth: 2, heads: 2, headWidth: 8, hidden: 24, context: 8, normalization: layer, "
    + "positions: learned, activation: gelu, tied: true, bias: true } }"
  static let untiedGPT =
    "{ decoder: { width: 16, depth: 2, heads: 2, headWidth: 8, hidden: 24, context: 8, normalization: layer, "
    + "positions: learned, activation: gelu, bias: true } }"
  static let shallow = "{ decoder: { width: 16, depth: 1, heads: 2, headWidth: 8, hidden: 24, context: 8 } }"
  static let none = "{ decoder: { width: 16, depth: 0, heads: 2, headWidth: 8, hidden: 24, context: 8 } }"
  static let mlp = "{ mlp: { width: 24, depth: 2 } }"
  static let residualNetwork =
    "{ residualNetwork: { width: 4, depth: 1, image: { channels: 1, height: 4, width: 5 } } }"

  static let convolutionalNetwork =
    "{ convolutionalNetwork: { channels: [4, 6], hidden: [8], image: { channels: 1, height: 4, width: 5 } } }"
  static let visionTransformer =
    "{ visionTransformer: { width: 16, depth: 2, heads: 2, hidden: 24, patch: 1, image: { channels: 1, height: 4, "
    + "width: 5 } } }"
  /// Of dense samples.
  private static let dense = [mlp, residualNetwork, convolutionalNetwork, visionTransformer]

  static let all =
    // Inner widths, heads, groups, the stream.
    [llama, tiedLlama].flatMap { model in
      [
        GrowthCase(model: model, growth: "operator: duplicate, to: { hidden: 33 }", isExact: true),
        GrowthCase(
          model: model, growth: "operator: { duplicate: { units: [3, 0, 19] } }, to: { hidden: 26 }", isExact: true),
        GrowthCase(model: model, growth: "operator: duplicate, to: { heads: 6 }", isExact: true),
        GrowthCase(model: model, growth: "operator: duplicate, to: { heads: 8, keyValueHeads: 4 }", isExact: true),
        GrowthCase(model: model, growth: "operator: duplicate, to: { keyValueHeads: 4 }", isExact: true),
        GrowthCase(
          model: model, growth: "operator: duplicate, to: { width: 32, heads: 8, keyValueHeads: 4, hidden: 40 }",
          isExact: true),
        GrowthCase(model: model, growth: "operator: duplicate, to: { width: 48 }", isExact: true),
        GrowthCase(
          model: model, growth: "operator: { duplicate: { allowLossy: true } }, to: { width: 24 }", isExact: false),
        GrowthCase(
          model: model, growth: "operator: zeroPad, to: { width: 22, heads: 6, hidden: 30 }", isExact: true),
        GrowthCase(model: model, growth: "operator: rmsPreserving, to: { width: 24, hidden: 30 }", isExact: false),
        GrowthCase(model: model, growth: "operator: rmsPreserving, to: { width: 32, hidden: 40 }", isExact: true),
        GrowthCase(
          model: model, growth: "operator: { rmsPreserving: { source: random } }, to: { hidden: 40 }", isExact: false),
        GrowthCase(
          model: model, growth: "operator: shrinkPerturb, to: { width: 24, hidden: 30, depth: 3 }", isExact: false),
        GrowthCase(model: model, growth: "operator: stack, to: { depth: 4 }", isExact: false),
        GrowthCase(
          model: model, growth: "operator: { stack: { remainder: top } }, to: { depth: 3 }", isExact: false),
        GrowthCase(model: model, growth: "operator: interleave, to: { depth: 5 }", isExact: false),
        GrowthCase(model: model, growth: "operator: identity, to: { depth: 5 }", isExact: true),
        GrowthCase(model: model, growth: "operator: randomLayers, to: { depth: 3 }", isExact: false),
        GrowthCase(
          model: model, growth: "operator: widthAndDepth, to: { width: 32, hidden: 40, depth: 4 }", isExact: true),
        GrowthCase(
          model: model,
          growth: "operator: { widthAndDepth: { width: zeroPad, depth: interleave } }, to: { width: 20, depth: 4 }",
          isExact: false),
      ]
    }
    + [gpt, untiedGPT].flatMap { model in
      [
        GrowthCase(model: model, growth: "operator: duplicate, to: { width: 32, heads: 4, hidden: 48 }", isExact: true),
        GrowthCase(model: model, growth: "operator: meanPad, to: { width: 22, heads: 3, hidden: 31 }", isExact: true),
        GrowthCase(
          model: model, growth: "operator: { zeroPad: { allowLossy: true } }, to: { width: 22 }", isExact: false),
        GrowthCase(model: model, growth: "operator: identity, to: { depth: 3 }", isExact: true),
        GrowthCase(model: model, growth: "operator: stack, to: { depth: 4 }", isExact: false),
      ]
    } + [
      GrowthCase(
        model: untiedGPT, growth: "operator: { duplicate: { share: 0.7 } }, to: { width: 32, hidden: 40 }",
        isExact: true),
      GrowthCase(
        model: gpt, growth: "operator: { duplicate: { tiedHead: gain } }, to: { width: 32 }", isExact: true),
      GrowthCase(
        model: llama, growth: "operator: duplicate, to: { vocabulary: 19 }", isExact: false, hasNewClasses: true),
      GrowthCase(
        model: tiedLlama, growth: "operator: duplicate, to: { vocabulary: 19 }", isExact: false, hasNewClasses: true),
      GrowthCase(model: shallow, growth: "operator: shallowStart, to: { depth: 4 }", isExact: false),
      GrowthCase(model: none, growth: "operator: shallowStart, to: { depth: 3 }", isExact: false),
      GrowthCase(model: mlp, growth: "operator: duplicate, to: { width: 36 }", isExact: true),
      GrowthCase(model: mlp, growth: "operator: zeroPad, to: { width: 36 }", isExact: true),
      GrowthCase(
        model: residualNetwork, growth: "operator: duplicate, to: { classes: 9 }", isExact: false, hasNewClasses: true,
        classes: [5, 9]),
      GrowthCase(model: residualNetwork, growth: "operator: duplicate, to: { width: 8 }", isExact: true),
      GrowthCase(
        model: convolutionalNetwork, growth: "operator: duplicate, to: { classes: 9 }", isExact: false,
        hasNewClasses: true, classes: [5, 9]),
      GrowthCase(
        model: convolutionalNetwork, growth: "operator: duplicate, to: { channels: [8, 12], hidden: [16] }",
        isExact: true),
      GrowthCase(
        model: convolutionalNetwork, growth: "operator: zeroPad, to: { channels: [4, 9], hidden: [11] }", isExact: true),
      GrowthCase(
        model: visionTransformer, growth: "operator: duplicate, to: { classes: 9 }", isExact: false,
        hasNewClasses: true, classes: [5, 9]),
      GrowthCase(
        model: visionTransformer, growth: "operator: duplicate, to: { width: 32, heads: 4, hidden: 48 }", isExact: true),
      GrowthCase(model: visionTransformer, growth: "operator: identity, to: { depth: 3 }", isExact: true),
      GrowthCase(model: visionTransformer, growth: "operator: stack, to: { depth: 4 }", isExact: false),
    ]

  /// - Parameter phase: more of the grow phase.
  func run(_ phase: String = "", set overrides: [String] = [], optimizer: String = "{ adamw: { rate: 3e-3 } }") throws
    -> ResolvedRun
  {
    let data =
      Self.dense.contains(model)
      ? "{ kind: classes, samples: 96, classes: 5, features: 20, validation: 16 }"
      : "{ kind: shift, samples: 96, vocabulary: 11, validation: 16 }"
    let recipe = """
      model:     \(model)
      optimizer: \(optimizer)
      data:      { synthetic: \(data) }
      batch:     { samples: 16, lanes: 8 }
      schedule:
        - train: { steps: 20, until: { fraction: 0.5 } }
        - grow: { \(growth)\(phase) }
        - train: {}
      evaluate:  { every: 0, batch: 8, batches: 2 }
      save:      { every: 0 }
      seed:      3
      """
    return try OneStep.open(recipe, set: overrides)
  }
}
