import EspalierMethods
import EspalierNN
import EspalierState
import EspalierTesting
import Foundation
import Testing

/// Update rules against numbers from elsewhere, and options that mean nothing.
@Suite struct OptimizerExamplesTests {
  struct Golden: Decodable {
    struct Values: Decodable { let data: [Double] }
    struct Hyper: Decodable { let lr, b1, b2, eps, wd: Double }
    struct Step: Decodable { let param, m, v: Values }
    struct Case: Decodable {
      let hyper: Hyper
      let initial: Values
      let grads: [Values]
      let steps: [Step]
    }
    struct Birth: Decodable {
      struct Steps: Decodable { let steps: [Step] }
      let initial, m, v: Values
      let grads: [Values]
      let hyper: Hyper
      let own_counter, shared_counter: Steps
    }
    let tolerance: [String: Double]
    let cases: [Case]
    let growth_birth_step: Birth
  }

  @Test("AdamW makes the steps of the golden file")
  func adamW() throws {
    let url = try #require(Bundle.module.url(forResource: "Goldens/adamw", withExtension: "json"))
    let golden = try JSONDecoder().decode(Golden.self, from: Data(contentsOf: url))
    let limit = try #require(golden.tolerance["float32"])
    let tolerance = Tolerance(absolute: limit, relative: limit)
    try #require(golden.cases.count == 4)
    for example in golden.cases {
      var options = AdamW.Options()
      options.rate = example.hyper.lr
      options.beta1 = example.hyper.b1
      options.beta2 = example.hyper.b2
      options.epsilon = example.hyper.eps
      options.decay = example.hyper.wd
      let optimizer = try AdamW(options)
      var parameter = LooseParameter(example.initial.data.map { Float($0) }, gradient: [], slots: optimizer.slots)
      for (index, (gradient, expected)) in zip(example.grads, example.steps).enumerated() {
        parameter.gradient = gradient.data.map { Float($0) }
        parameter.update(optimizer, at: UpdateMoment(count: index + 1, rate: optimizer.rate, gradientScale: 1))
        let slots = [("value", expected.param), ("adamw.m", expected.m), ("adamw.v", expected.v)]
        for (name, values) in slots {
          #expect(
            difference("\(name) of step \(index + 1)", parameter.slots[name] ?? [], values.data, tolerance) == nil)
        }
      }
    }
  }

  @Test(
    "new entries of a grown weight are updated from their birth on, cut anywhere; without births the golden file's excess shows"
  )
  func births() throws {
    let url = try #require(Bundle.module.url(forResource: "Goldens/adamw", withExtension: "json"))
    let file = try JSONDecoder().decode(Golden.self, from: Data(contentsOf: url))
    let golden = file.growth_birth_step, limit = try #require(file.tolerance["float32"])
    let tolerance = Tolerance(absolute: limit, relative: limit)
    var options = AdamW.Options()
    (options.rate, options.decay) = (golden.hyper.lr, golden.hyper.wd)
    (options.beta1, options.beta2, options.epsilon) = (golden.hyper.b1, golden.hyper.b2, golden.hyper.eps)
    let optimizer = try AdamW(options)
    // Two rows of three old columns and a new one, born after 10000 updates.
    let born = BirthRanges.none(columns: 3).grown(rows: [0, 1], columns: [0, 1, 2, nil], birth: 10_000, growth: 1)
    for (births, cuts, expected) in [
      (born, nil, golden.own_counter), (born, [0, 1, 2, 5, 8], golden.own_counter),
      (BirthRanges.none(columns: 4), nil, golden.shared_counter),
    ] {
      var parameter = LooseParameter(golden.initial.data.map { Float($0) }, gradient: [], slots: optimizer.slots)
      parameter.slots["adamw.m"] = golden.m.data.map { Float($0) }
      parameter.slots["adamw.v"] = golden.v.data.map { Float($0) }
      for (index, gradient) in golden.grads.enumerated() {
        parameter.gradient = gradient.data.map { Float($0) }
        parameter.update(
          optimizer, at: UpdateMoment(count: 10_001 + index, rate: optimizer.rate, gradientScale: 1), cuts: cuts,
          births: UpdateBirths(ranges: [parameter.spec.name: births]))
        let step = expected.steps[index]
        for (name, values) in [("value", step.param), ("adamw.m", step.m), ("adamw.v", step.v)] {
          #expect(
            difference("\(name) of step \(index + 1)", parameter.slots[name] ?? [], values.data, tolerance) == nil)
        }
      }
    }
  }

  @Test("two rates in one weight are those of two weights, three steps long")
  func rates() throws {
    let optimizer = try AdamW(AdamW.Options())
    let values: [Float] = [0.5, -1, 0.25, 2, -0.125, 3]
    var whole = LooseParameter(values, gradient: [], slots: optimizer.slots)
    var old = LooseParameter([0.5, -1, 2, -0.125], gradient: [], slots: optimizer.slots)
    var new = LooseParameter([0.25, 3], gradient: [], slots: optimizer.slots)
    let births = BirthRanges.none(columns: 2).grown(rows: [0, 1], columns: [0, 1, nil], birth: 40, growth: 3)
    for step in 1...3 {
      let gradient = values.indices.map { Float(step) * 0.1 - Float($0) * 0.07 }
      whole.gradient = gradient
      (old.gradient, new.gradient) = ([0, 1, 3, 4].map { gradient[$0] }, [2, 5].map { gradient[$0] })
      whole.update(
        optimizer, at: UpdateMoment(count: 40 + step, rate: 0.01, gradientScale: 1),
        births: UpdateBirths(ranges: [whole.spec.name: births], rates: [3: 0.013]))
      old.update(optimizer, at: UpdateMoment(count: 40 + step, rate: 0.01, gradientScale: 1))
      new.update(optimizer, at: UpdateMoment(count: step, rate: 0.013, gradientScale: 1))
    }
    for name in ["value", "adamw.m", "adamw.v"] {
      let (a, b) = (old.slots[name] ?? [], new.slots[name] ?? [])
      #expect(whole.slots[name] == [a[0], a[1], b[0], a[2], a[3], b[1]])
    }
  }

  @Test("SGD makes the steps of its formula", arguments: [false, true], [0, 0.9])
  func sgd(nesterov: Bool, momentum: Double) throws {
    var options = SGD.Options()
    options.rate = 0.05
    options.momentum = momentum
    options.nesterov = nesterov
    options.decay = 0.2
    let optimizer = try SGD(options)
    let scale = 0.5
    let gradients: [[Double]] = [[1, -2, 0.5, 0], [0.25, 1, 0.5, 0], [-3, 0.125, 0.5, 0]]
    var values: [Double] = [0.5, -1, 0, 2], memory = [0.0, 0, 0, 0]
    var parameter = LooseParameter(values.map { Float($0) }, gradient: [], slots: optimizer.slots)
    for (index, gradient) in gradients.enumerated() {
      for i in values.indices {
        let g = gradient[i] * scale
        values[i] *= 1 - options.rate * options.decay
        memory[i] = momentum * memory[i] + g
        values[i] -= options.rate * (nesterov ? g + momentum * memory[i] : memory[i])
      }
      parameter.gradient = gradient.map { Float($0) }
      parameter.update(optimizer, at: UpdateMoment(count: index + 1, rate: options.rate, gradientScale: scale))
      let tolerance = Tolerance(absolute: 1e-6, relative: 1e-6)
      #expect(difference("value of step \(index + 1)", parameter.value, values, tolerance) == nil)
      #expect(
        difference("momentum of step \(index + 1)", parameter.slots["sgd.momentum"] ?? [], memory, tolerance) == nil)
    }
  }

  @Test("options without meaning are refused in a sentence")
  func options() {
    func refusal(_ make: () throws -> Void) -> String {
      do {
        try make()
        return ""
      } catch { return "\(error)" }
    }
    func adamW(_ change: (inout AdamW.Options) -> Void) -> String {
      refusal {
        var options = AdamW.Options()
        change(&options)
        _ = try AdamW(options)
      }
    }
    func sgd(_ change: (inout SGD.Options) -> Void) -> String {
      refusal {
        var options = SGD.Options()
        change(&options)
        _ = try SGD(options)
      }
    }
    #expect(adamW { $0.rate = -1 } == "optimizer option 'rate' is -1.0 and must not be negative")
    #expect(adamW { $0.beta1 = 1 } == "optimizer option 'beta1' is 1.0 and must lie in 0 ..< 1")
    #expect(adamW { $0.beta2 = -0.1 } == "optimizer option 'beta2' is -0.1 and must lie in 0 ..< 1")
    #expect(adamW { $0.epsilon = 0 } == "optimizer option 'epsilon' is 0.0 and must be positive")
    #expect(adamW { $0.decay = -0.5 } == "optimizer option 'decay' is -0.5 and must not be negative")
    #expect(adamW { $0.rate = .nan } == "optimizer option 'rate' is nan and must not be negative")
    #expect(adamW { $0.rate = .infinity } == "optimizer option 'rate' is inf and must be finite")
    #expect(sgd { $0.rate = -1 } == "optimizer option 'rate' is -1.0 and must not be negative")
    #expect(sgd { $0.momentum = 1 } == "optimizer option 'momentum' is 1.0 and must lie in 0 ..< 1")
    #expect(sgd { $0.decay = -0.5 } == "optimizer option 'decay' is -0.5 and must not be negative")
  }
}
