import EspalierMethods
import EspalierNN
import EspalierState
import EspalierTesting
import EspalierTrain
import Testing

/// Steps of Muon, and which weights take them.
@Suite struct MuonTests {
  private func muon(_ change: (inout Muon.Options) -> Void = { _ in }) throws -> Muon {
    var options = Muon.Options()
    change(&options)
    return try Muon(options)
  }

  /// Makes the steps of a trace and compares weight and momentum after each.
  private func follow(_ trace: MuonGoldens.Trace, _ axes: [Axis], _ split: Muon.Split) throws {
    let scale = try #require(Muon.Scale(rawValue: trace.scale_mode))
    let preset = try #require(Muon.Preset(rawValue: trace.preset))
    let form = try #require(Muon.MomentumForm(rawValue: trace.momentum_form))
    let optimizer = try muon {
      ($0.rate, $0.decay, $0.momentum, $0.nesterov) = (trace.lr, trace.weight_decay, trace.mu, trace.nesterov)
      ($0.scale, $0.preset, $0.form, $0.split, $0.include) = (scale, preset, form, split, ["*"])
    }
    var parameter = LooseParameter(trace.initial_weight.floats, gradient: [], slots: optimizer.slots, axes: axes)
    try #require(trace.steps.count == trace.grads.count && !trace.steps.isEmpty)
    for (index, (gradient, expected)) in zip(trace.grads, trace.steps).enumerated() {
      parameter.gradient = gradient.floats
      parameter.update(optimizer, at: UpdateMoment(count: index + 1, rate: trace.lr, gradientScale: 1))
      let kept = parameter.slots["muon.momentum.\(trace.momentum_form)"] ?? []
      let tolerance = Tolerance(absolute: 2e-5, relative: 0)
      #expect(difference("weight of step \(index + 1)", parameter.value, expected.weight.data, tolerance) == nil)
      #expect(difference("momentum of step \(index + 1)", kept, expected.momentum.data, tolerance) == nil)
    }
  }

  @Test("the 24 traces of the golden file are followed: scale, polynomial, form of the momentum, Nesterov")
  func traces() throws {
    let traces = try MuonGoldens.read().muon_steps
    try #require(traces.count == 24)
    for trace in traces { try follow(trace, [.output("out", 6), .input("in", 3)], .parts) }
  }

  @Test("fused projections are split as they declare: not at all, by parts, by heads", arguments: 0..<3)
  func splits(index: Int) throws {
    let goldens = try MuonGoldens.read().fused_splits
    try #require(goldens.count == 3)
    let trace = goldens[index]
    let split = [Muon.Split.none, .parts, .heads][index]
    #expect(trace.splits == [nil, [4, 2, 2], [2, 2, 2, 2]][index])
    let fused = Axis.outputs([
      .init("query", 4, block: 2), .init("key", 2, block: 2), .init("value", 2, block: 2),
    ])
    try follow(trace, [fused, .input("model", 4)], split)
  }

  @Test("parts of the input axis and layers of a stack are matrices of their own")
  func columnsAndStacks() throws {
    let optimizer = try muon { ($0.include, $0.rate, $0.decay) = (["*"], 0.1, 0) }
    let columns = [Axis.Part("left", 3), Axis.Part("right", 5)]
    let wide: [Axis] = [.output("expert", 2), .output("out", 4), .outputs(columns)]
    let gradient = (0..<64).map { Float((($0 * 37) % 23) - 11) / 8 }
    var whole = LooseParameter([Float](repeating: 0, count: 64), gradient: gradient, slots: optimizer.slots, axes: wide)
    whole.update(optimizer, at: UpdateMoment(count: 1, rate: 0.1, gradientScale: 1))
    for expert in 0..<2 {
      for (first, width) in [(0, 3), (3, 5)] {
        func block(_ values: [Float]) -> [Float] {
          (0..<4).flatMap { row in (0..<width).map { values[expert * 32 + row * 8 + first + $0] } }
        }
        var alone = LooseParameter(
          [Float](repeating: 0, count: 4 * width), gradient: block(gradient), slots: optimizer.slots,
          axes: [.output("out", 4), .input("in", width)])
        alone.update(optimizer, at: UpdateMoment(count: 1, rate: 0.1, gradientScale: 1))
        #expect(block(whole.value) == alone.value && alone.value.allSatisfy { $0 != 0 })
      }
    }
  }

  @Test(
    "however heads, parts or whole matrices are cut among ranks, their directions are brought together to the same bits",
    arguments: Muon.Split.allCases, Muon.MomentumForm.allCases)
  func assembled(split: Muon.Split, form: Muon.MomentumForm) throws {
    for nesterov in [true, false] {
      let optimizer = try muon { ($0.split, $0.form, $0.nesterov) = (split, form, nesterov) }
      try OptimizerLaws(Muon.self).assembledIsWhole(optimizer)
    }
  }

  @Test("a matrix of zero gradient keeps weights and momentum, while its neighbour in the parameter moves")
  func skips() throws {
    let optimizer = try muon { ($0.include, $0.rate, $0.decay) = (["*"], 0.1, 0.5) }
    let axes: [Axis] = [.outputs([.init("gate", 2), .init("up", 2)]), .input("model", 3)]
    var parameter = LooseParameter(
      (1...12).map { Float($0) }, gradient: (1...12).map { Float(($0 * 7) % 5) - 2 }, slots: optimizer.slots, axes: axes
    )
    parameter.update(optimizer, at: UpdateMoment(count: 1, rate: 0.1, gradientScale: 1))
    let (value, momentum) = (parameter.value, parameter.slots["muon.momentum.ema"] ?? [])
    for index in 6..<12 { parameter.gradient[index] = 0 }
    parameter.update(optimizer, at: UpdateMoment(count: 2, rate: 0.1, gradientScale: 1))
    let after = parameter.slots["muon.momentum.ema"] ?? []
    #expect(parameter.value[6...] == value[6...] && after[6...] == momentum[6...])
    #expect(zip(parameter.value, value).prefix(6).allSatisfy { $0 != $1 })
    #expect(after[..<6] != momentum[..<6])
  }

  /// Names of the parameters that Muon keeps a momentum for, of a decoder or another model.
  private func matrices(_ optimizer: Muon, _ recipe: String) throws -> [String] {
    let blueprint = try OneStep.open(recipe).blueprint
    try optimizer.check(blueprint)
    let found = blueprint.parameters.filter { optimizer.slots(of: $0).map(\.name) == ["muon.momentum.ema"] }
    for spec in blueprint.parameters where !found.contains(spec) {
      #expect(optimizer.slots(of: spec).map(\.name) == ["muon.m", "muon.v"])
      #expect(optimizer.granularity(of: spec) == .element)
    }
    #expect(found.allSatisfy { optimizer.granularity(of: $0) == .matrix })
    return found.map(\.name)
  }

  static let decoder = """
    model:     { decoder: { width: 32, depth: 1, heads: 2, context: 8, hidden: 64, positions: learned, bias: true } }
    data:      { synthetic: { kind: shift, samples: 64, vocabulary: 13 } }
    batch:     { samples: 8 }
    """
  static let mlp = """
    model:     { mlp: { width: 16, depth: 3 } }
    data:      { synthetic: { kind: classes, samples: 64, validation: 0 } }
    batch:     { samples: 8 }
    """

  @Test("hidden projections are matrices; tables, heads, gains, biases, raw features and narrow ones are not")
  func roles() throws {
    let block = ["attention.qkv", "attention.output", "feedForward.gateUp", "feedForward.down"]
    #expect(try matrices(muon(), Self.decoder) == block.map { "blocks.0.\($0).weight" })
    #expect(try matrices(muon(), Self.mlp) == ["layers.1.weight", "layers.2.weight"])
    #expect(try matrices(muon { $0.exclude = ["*.down.*"] }, Self.decoder).count == 3)
    #expect(try matrices(muon { $0.include = ["layers.0.weight"] }, Self.mlp).count == 3)
    // Heads of 4 rows are narrower than 8.
    let narrow = Self.decoder.replacing("heads: 2", with: "heads: 8")
    #expect(try matrices(muon { $0.split = .heads }, narrow).contains("blocks.0.attention.qkv.weight") == false)
    #expect(try matrices(muon(), narrow).contains("blocks.0.attention.qkv.weight"))
  }

  @Test(
    "a pattern that forces an embedding, a head or a vector onto Muon, or names nothing, is refused with the reason",
    arguments: [
      ("embed.*", "is an embedding"), ("head.projection.weight", "is a head"), ("*.gain", "is no matrix"),
      ("nothing", "is the name of no parameter"),
    ])
  func refusals(pattern: String, reason: String) throws {
    let blueprint = try OneStep.open(Self.decoder).blueprint
    let error = #expect(throws: OptimizerError.self) { try muon { $0.include = [pattern] }.check(blueprint) }
    #expect(error?.description.contains(reason) == true && error?.option == "include", "\(String(describing: error))")
  }

  @Test("options without meaning are refused by their names")
  func options() {
    func refused(_ change: @escaping (inout Muon.Options) -> Void) -> String? {
      do {
        _ = try muon(change)
        return nil
      } catch { return (error as? OptimizerError)?.option }
    }
    #expect(refused { $0.rate = 0 } == "rate")
    #expect(refused { $0.decay = -1 } == "decay")
    #expect(refused { $0.momentum = 1 } == "momentum")
    #expect(refused { $0.adamBeta1 = 1 } == "adamBeta1")
    #expect(refused { $0.adamRate = -1 } == "adamRate")
    #expect(refused { _ in } == nil)
  }

  @Test("everything else makes AdamW's steps, at its own rate")
  func rest() throws {
    let optimizer = try muon { ($0.rate, $0.adamRate, $0.adamDecay, $0.adamBeta2) = (0.02, 0.005, 0.3, 0.99) }
    var options = AdamW.Options()
    (options.rate, options.decay, options.beta2) = (0.005, 0.3, 0.99)
    let adam = try AdamW(options)
    let values: [Float] = [1, -2, 3, 0.5]
    var ours = LooseParameter(values, gradient: [], slots: optimizer.slots)
    var theirs = LooseParameter(values, gradient: [], slots: adam.slots)
    for step in 1...3 {
      ours.gradient = values.map { Float(step) * $0 - 1 }
      theirs.gradient = ours.gradient
      ours.update(optimizer, at: UpdateMoment(count: step, rate: 0.02, gradientScale: 0.5))
      theirs.update(adam, at: UpdateMoment(count: step, rate: 0.005, gradientScale: 0.5))
    }
    let expected = theirs.value.map { Double($0) }
    #expect(difference("value", ours.value, expected, Tolerance(absolute: 1e-7, relative: 1e-6)) == nil)
    #expect(ours.slots["muon.m"] == theirs.slots["adamw.m"] && ours.slots["muon.v"] == theirs.slots["adamw.v"])
  }
}
