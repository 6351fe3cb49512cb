import EspalierMethods
import EspalierNN
import EspalierState
import EspalierTensor
import EspalierTesting
import Foundation
import Testing

/// Width growth against weights and logits that a double-precision program of its own grew.
@Suite struct GrowthWidthGoldenTests {
  struct Golden: Decodable {
    struct Values: Decodable {
      let shape: [Int]
      let data: [Double]
    }
    struct Model: Decodable {
      let vocab, d, layers, heads, kv_heads, head_dim, ffn, max_len: Int
      let eps: Double
      let norm: String
      let tied: Bool
      let logit_scale: Double?
    }
    struct Case: Decodable {
      let name: String
      let config_before, config_after: Model
      let weights_before, weights_after: [String: Values]
      let logits_before, logits_after: Values
    }
    let token_ids: [[Int32]]
    let cases: [Case]
  }

  static func golden() throws -> Golden {
    let url = try #require(Bundle.module.url(forResource: "Goldens/growth_width", withExtension: "json"))
    return try JSONDecoder().decode(Golden.self, from: Data(contentsOf: url))
  }

  static func configuration(_ model: Golden.Model) throws -> Decoder.Configuration {
    var c = Decoder.Configuration()
    (c.width, c.depth, c.heads, c.keyValueHeads) = (model.d, model.layers, model.heads, model.kv_heads)
    (c.headWidth, c.hidden, c.context, c.vocabulary) = (model.head_dim, model.ffn, model.max_len, model.vocab)
    c.tied = model.tied
    if model.norm == "ln" { (c.normalization, c.positions, c.activation) = (.layer, .learned, .gelu) }
    return try Decoder.validated(c, for: DataDescription(classes: model.vocab))
  }

  /// The golden's weights under our names, fused as ours are.
  static func weights(_ golden: [String: Golden.Values], _ model: Golden.Model) -> [String: [Float]] {
    func floats(_ name: String) -> [Float] { (golden[name]?.data ?? []).map { Float($0) } }
    var found = ["embed.table": floats("embed"), "embed.positions": floats("pos")]
    let last = model.tied ? "last" : "head.norm"
    found[last + ".gain"] = floats("final.g")
    found[last + ".bias"] = floats("final.b")
    found["head.projection.weight"] = floats("head.w")
    for i in 0..<model.layers {
      let (from, to) = ("L\(i).", "blocks.\(i).")
      for norm in ["norm1", "norm2"] {
        found[to + norm + ".gain"] = floats(from + norm + ".g")
        found[to + norm + ".bias"] = floats(from + norm + ".b")
      }
      found[to + "attention.qkv.weight"] = floats(from + "q.w") + floats(from + "k.w") + floats(from + "v.w")
      found[to + "attention.output.weight"] = floats(from + "o.w")
      found[to + "feedForward.gateUp.weight"] = floats(from + "gate.w") + floats(from + "up.w")
      found[to + "feedForward.up.weight"] = floats(from + "up.w")
      found[to + "feedForward.down.weight"] = floats(from + "down.w")
    }
    return found
  }

  static func logits(
    _ c: Decoder.Configuration, _ constants: [String: Double], _ weights: [String: [Float]], _ ids: [[Int32]]
  ) -> [Float] {
    let built = Scope.build(constants: constants) { Decoder($0, c) }
    let memory = built.parameters.map { parameter in
      let buffer = UnsafeMutableBufferPointer<Float>.allocate(capacity: parameter.spec.count)
      _ = buffer.initialize(from: weights[parameter.spec.name] ?? [])
      parameter.window.bind(buffer.baseAddress!)
      return buffer
    }
    defer {
      for parameter in built.parameters { parameter.window.unbind() }
      for buffer in memory { buffer.deallocate() }
    }
    let tape = Tape(pool: Pool(), mode: .unrecorded, key: RandomKey(seed: 0), samples: [0, 1])
    let tokens = Indices(ids.flatMap { $0 }, shape: [ids.count, ids[0].count])
    let logits = built.model.logits(Batch(inputs: .tokens(tokens), targets: tokens, samples: [0, 1]), on: tape)
    return Array(UnsafeBufferPointer(start: logits.pointer, count: logits.count))
  }

  static func plan(_ example: Golden.Case) throws -> GrowthPlan {
    let (before, after) = (try configuration(example.config_before), try configuration(example.config_after))
    let old = Scope.build { Decoder($0, before) }.blueprint
    let new = Scope.build { Decoder($0, after) }.blueprint
    var duplicate = Duplicate.Options(), padding = PaddingOptions()
    switch example.name {
    case "rms_zero_pad_everything": return try ZeroPad(padding).plan(from: old, to: new)
    case "ln_average", "ln_average_tied": return try MeanPad(padding).plan(from: old, to: new)
    case "dup2x_even_tied_ln": duplicate.tiedHead = .gain
    case "dup2x_uneven_untied": duplicate.share = 0.7
    case "ffn_partial_dup": (duplicate.share, duplicate.units) = (0.4, [0, 1, 4])
    case "fpi_uneven_multiplicity_ln", "fpi_uneven_multiplicity_rms": duplicate.allowLossy = true
    case "rms_preserving_partial_copy":
      return try SizePreserving(SizePreserving.Options()).plan(from: old, to: new)
    default: break
    }
    padding.allowLossy = true
    return try Duplicate(duplicate).plan(from: old, to: new)
  }

  static let names = [
    "rms_zero_pad_everything", "ln_average", "ln_average_tied", "dup2x_even_tied_ln", "dup2x_even_tied_rms_logit_scale",
    "dup2x_uneven_untied", "ffn_partial_dup", "kv_heads_1_to_2", "fpi_uneven_multiplicity_ln",
    "fpi_uneven_multiplicity_rms", "fpi_even_multiplicity_3x", "rms_preserving_partial_copy",
  ]

  @Test("what is not random is the golden's, and so are the logits", arguments: names)
  func grows(_ name: String) throws {
    let golden = try Self.golden()
    let example = try #require(golden.cases.first { $0.name == name })
    let plan = try Self.plan(example)
    let before = Self.weights(example.weights_before, example.config_before)
    let after = Self.weights(example.weights_after, example.config_after)
    let old = HeldTensors(before)
    defer { withExtendedLifetime(old) {} }
    var random: [String: [Float]] = [:]
    for spec in plan.new.parameters {
      let origin = try #require(plan.origins[spec.name])
      let expected = try #require(after[spec.name])
      var grown = [Float](repeating: .nan, count: spec.count)
      let fill = OriginFill(spec, origin, rule: .likeValue, mode: .asymmetric, seed: 1, growth: 1)
      grown.withUnsafeMutableBufferPointer { fill.fill(0..<spec.count, from: old.pointers, into: $0.baseAddress!) }
      random[spec.name] = grown
      // Where any map is fresh and none is zero, the golden drew numbers of its own.
      for element in 0..<spec.count {
        var rest = element
        let entries = origin.terms[0].maps.reversed().map { map in
          defer { rest /= map.count }
          return map.entries[rest % map.count]
        }
        if entries.contains(.fresh), !entries.contains(.zero), spec.axes.count == 2 { continue }
        #expect(abs(grown[element] - expected[element]) <= 1e-6, "\(spec.name) at \(element)")
      }
    }
    let tolerance = Tolerance(absolute: 1e-5, relative: 0)
    let configuration = try Self.configuration(example.config_after)
    let replayed = Self.logits(configuration, plan.constants, after, golden.token_ids)
    #expect(difference("logits", replayed, example.logits_after.data, tolerance) == nil)
    let own = Self.logits(configuration, plan.constants, random, golden.token_ids)
    let jump = difference("logits", own, example.logits_before.data, tolerance)
    #expect((jump == nil) == (plan.fidelity == .exact), "\(plan.fidelity): \(jump ?? "no jump")")
  }

  /// The grown weights of a plan from a golden's.
  static func grown(_ plan: GrowthPlan, _ before: [String: [Float]]) throws -> [String: [Float]] {
    let old = HeldTensors(before)
    defer { withExtendedLifetime(old) {} }
    return try Dictionary(
      uniqueKeysWithValues: plan.new.parameters.map { spec in
        var values = [Float](repeating: .nan, count: spec.count)
        let fill = OriginFill(
          spec, try #require(plan.origins[spec.name]), rule: .likeValue, mode: .asymmetric, seed: 1, growth: 1)
        values.withUnsafeMutableBufferPointer { fill.fill(0..<spec.count, from: old.pointers, into: $0.baseAddress!) }
        return (spec.name, values)
      })
  }

  @Test("without its new epsilon a padded norm is off by about that epsilon, as in the golden")
  func epsilon() throws {
    let golden = try Self.golden()
    let example = try #require(golden.cases.first { $0.name == "rms_zero_pad_without_eps_rescale" })
    let (small, large) = (try Self.configuration(example.config_before), try Self.configuration(example.config_after))
    let plan = try ZeroPad(PaddingOptions()).plan(
      from: Scope.build { Decoder($0, small) }.blueprint, to: Scope.build { Decoder($0, large) }.blueprint)
    let after = Self.weights(example.weights_after, example.config_after)
    let configuration = try Self.configuration(example.config_after)
    let kept = Self.logits(configuration, [:], after, golden.token_ids)
    #expect(difference("logits", kept, example.logits_after.data, Tolerance(absolute: 1e-5, relative: 0)) == nil)
    func worst(_ logits: [Float]) -> Double {
      zip(logits, example.logits_before.data).map { abs(Double($0) - $1) }.max() ?? .nan
    }
    let scaled = Self.logits(configuration, plan.constants, after, golden.token_ids)
    #expect(worst(kept) > 2e-5 && worst(scaled) < 1e-5, "\(worst(kept)) without, \(worst(scaled)) with it")
  }

  @Test("more rows of a vocabulary leave the logits of the old ones")
  func vocabulary() throws {
    let golden = try Self.golden()
    let example = try #require(golden.cases.first { $0.name == "vocab_5_to_7" })
    let plan = try Self.plan(example)
    #expect(plan.fidelity == .exactOnOldLogits)
    let weights = try Self.grown(plan, Self.weights(example.weights_before, example.config_before))
    let logits = Self.logits(
      try Self.configuration(example.config_after), plan.constants, weights, golden.token_ids)
    let (before, after) = (5, 7)
    for row in 0..<logits.count / after {
      for column in 0..<before {
        #expect(abs(Double(logits[row * after + column]) - example.logits_before.data[row * before + column]) <= 1e-5)
      }
    }
  }

  @Test("a plan of two terms a weight, made by hand, doubles a model block-diagonally")
  func blockDiagonal() throws {
    let golden = try Self.golden()
    let example = try #require(golden.cases.first { $0.name == "block_diagonal_2x_tied" })
    let (before, after) = (
      try Self.configuration(example.config_before), try Self.configuration(example.config_after)
    )
    let old = Scope.build { Decoder($0, before) }.blueprint, new = Scope.build { Decoder($0, after) }.blueprint
    // Of every part of an axis the first half, or the second.
    func map(_ axis: Axis, _ half: Int, whole: Bool) -> AxisMap {
      var entries: [AxisMap.Entry] = [], first = 0
      for part in axis.parts {
        guard axis.role != .index else {
          entries += (0..<part.count).map { .copy(of: first + $0, coefficient: 1, share: 1) }
          first += part.count
          continue
        }
        let count = part.count / 2
        for copy in 0..<2 {
          entries += (0..<count).map {
            whole || copy == half ? .copy(of: first + $0, coefficient: 1, share: 0.5) : .zero
          }
        }
        first += count
      }
      return AxisMap(entries, oldCount: first)
    }
    var origins: [String: ParameterOrigin] = [:]
    for spec in new.parameters {
      let isMatrix = spec.axes.count == 2 && spec.axes.allSatisfy { $0.role != .index }
      let factor = spec.tags.contains(.lastNorm) ? 0.5 : 1
      origins[spec.name] = ParameterOrigin(
        (isMatrix ? [0, 1] : [0]).map { half in
          ParameterOrigin.Term(
            spec.name, coefficient: factor, maps: spec.axes.map { map($0, half, whole: !isMatrix) })
        }, remainder: .zeros)
    }
    let plan = try GrowthPlan(from: old, to: new, origins: origins, fidelity: .exact)
    let expected = Self.weights(example.weights_after, example.config_after)
    let weights = try Self.grown(plan, Self.weights(example.weights_before, example.config_before))
    for (name, values) in weights {
      let other = try #require(expected[name])
      #expect(zip(values, other).allSatisfy { abs($0 - $1) <= 1e-6 }, "\(name)")
    }
    let logits = Self.logits(after, plan.constants, weights, golden.token_ids)
    #expect(difference("logits", logits, example.logits_before.data, Tolerance(absolute: 1e-5, relative: 0)) == nil)
  }

  @Test("a wider head is refused: rotary frequencies are a formula of its width")
  func headWidth() throws {
    let example = try #require(try Self.golden().cases.first { $0.name == "head_dim_2_to_4" })
    #expect { try Self.plan(example) } throws: { ($0 as? GrowthError)?.kind == .headWidth }
  }
}
