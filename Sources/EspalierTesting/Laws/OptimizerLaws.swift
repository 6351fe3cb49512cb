package import EspalierMethods
import EspalierNN
package import EspalierState
import EspalierTensor
import EspalierTrain

/// What every optimizer of a catalogue must do; an entry that is added is checked with the others.
package struct OptimizerLaws: Sendable, CustomStringConvertible {
  package let type: any Optimizer.Type
  package let catalogue: Catalogue

  package init(_ type: any Optimizer.Type, in catalogue: Catalogue = .standard) {
    self.type = type
    self.catalogue = catalogue
  }

  package static func all(of catalogue: Catalogue) -> [OptimizerLaws] {
    catalogue.optimizers.map { OptimizerLaws($0, in: catalogue) }
  }

  package var description: String { type.name }

  /// With the defaults of its options.
  package func made() throws -> any Optimizer {
    func make<O: Optimizer>(_ optimizer: O.Type) throws -> any Optimizer { try O(O.Options()) }
    let optimizer: any Optimizer.Type = type
    return try make(optimizer)
  }

  /// Its name is its own, slots begin with it and a dot and differ, and every option is described.
  package func names() throws {
    try expect(
      catalogue.optimizers.filter { $0.name == type.name }.count == 1, "its name stands twice in the catalogue")
    let names = try made().slots.map(\.name)
    try expect(names.allSatisfy { $0.hasPrefix(type.name + ".") }, "slots \(names) do not begin with '\(type.name).'")
    try expect(Set(names).count == names.count, "slots \(names) are not different ones")
    try expect(!type.summary.isEmpty, "it has no summary")
  }

  /// However a parameter is cut, and in whatever order the stretches come, every bit is that of the whole update.
  package func shardwiseIsWhole() throws {
    let optimizer = try made()
    let key = RandomKey(seed: 3)
    let count = 3 * Layout.chunk + 77
    func noise(_ stream: String, _ scale: Double) -> [Float] {
      (0..<count).map { Float((key.child(stream).uniform(at: UInt64($0)) - 0.5) * scale) }
    }
    var whole = LooseParameter(noise("value", 2), gradient: [], slots: optimizer.slots)
    var cut = whole
    for step in 1...4 {
      let moment = UpdateMoment(count: step, rate: optimizer.rate, gradientScale: step == 2 ? 0.37 : 1)
      whole.gradient = noise("gradient \(step)", 3)
      cut.gradient = whole.gradient
      whole.update(optimizer, at: moment)
      cut.update(optimizer, at: moment, cuts: [0, 1, 18, Layout.chunk, 2 * Layout.chunk + 5, count - 1, count])
      for (name, values) in whole.slots {
        if let difference = bitDifference("'\(name)' after step \(step)", cut.slots[name] ?? [], values) {
          throw BrokenLaw("\(type.name): \(difference)")
        }
      }
    }
  }

  /// However a matrix is cut, directions that are brought together give every bit of the whole update, also where a block has no gradient
  /// in a stretch or anywhere. Says nothing of an optimizer that brings nothing together.
  package func assembledIsWhole() throws {
    guard let optimizer = try made() as? any AssemblingOptimizer else { return }
    try assembledIsWhole(optimizer)
  }

  /// The same with options of one's own.
  package func assembledIsWhole(_ optimizer: some AssemblingOptimizer) throws {
    let key = RandomKey(seed: 5)
    let fused = Axis.outputs([.init("query", 32), .init("key", 16), .init("value", 24)])
    // Where heads are split the blocks of the second are columns.
    for axes in [[fused, .input("heads", 56, block: 14)], [.output("out", 72), .input("in", 24)]] {
      let count = axes.reduce(1) { $0 * $1.count }
      func noise(_ stream: String, _ scale: Double) -> [Float] {
        (0..<count).map { Float((key.child(stream).uniform(at: UInt64($0)) - 0.5) * scale) }
      }
      var whole = LooseParameter(noise("value", 2), gradient: [], slots: optimizer.slots, axes: axes)
      try expect(optimizer.granularity(of: whole.spec) == .matrix, "a matrix of axes \(axes) may be cut")
      var cut = whole
      for step in 1...4 {
        let moment = UpdateMoment(count: step, rate: optimizer.rate, gradientScale: step == 2 ? 0.37 : 1)
        whole.gradient = noise("gradient \(step)", 3)
        // From the third step on the end has no gradient, in the fourth all is zero but the first element.
        if step >= 3 { for index in (step == 3 ? count * 2 / 3 : 1)..<count { whole.gradient[index] = 0 } }
        cut.gradient = whole.gradient
        whole.update(optimizer, at: moment)
        cut.updateAssembled(optimizer, at: moment, cuts: [0, 16, 16, count / 3, count / 3 + 1000, count - 1, count])
        for (name, values) in whole.slots {
          if let difference = bitDifference("'\(name)' after step \(step)", cut.slots[name] ?? [], values) {
            throw BrokenLaw("\(type.name) of axes \(axes.map(\.count)): \(difference)")
          }
        }
      }
    }
  }

  /// Σ aᵢ(θᵢ − cᵢ)² / 2 falls a thousandfold in 2,000 steps at a rate that shrinks to nothing.
  package func solvesQuadratic() throws {
    let optimizer = try made()
    let curvature: [Float] = [1, 0.3, 0.6, 2, 1.5], centre: [Float] = [0.4, -0.7, 0.1, 0.9, -0.2]
    var parameter = LooseParameter([1, 1, -1, -1, 0.5], gradient: [], slots: optimizer.slots)
    parameter.group.decay = 0
    func loss() -> Double {
      parameter.value.indices.reduce(0) { sum, i in
        let distance = Double(parameter.value[i] - centre[i])
        return sum + Double(curvature[i]) * distance * distance / 2
      }
    }
    let before = loss()
    let steps = 2000
    for step in 1...steps {
      parameter.gradient = parameter.value.indices.map { curvature[$0] * (parameter.value[$0] - centre[$0]) }
      let rate = 0.02 * Double(steps - step) / Double(steps)
      parameter.update(optimizer, at: UpdateMoment(count: step, rate: rate, gradientScale: 1))
    }
    try expect(loss() < before / 1000, "a quadratic is left at \(loss()), having begun at \(before)")
  }

  /// Without gradient and without decay no bit of a value changes; with decay it shrinks towards zero and no further.
  package func zeroGradientLeavesValues() throws {
    let optimizer = try made()
    let values: [Float] = [0, -0.5, 3, 1e-20, -2e5]
    var parameter = LooseParameter(values, gradient: values.map { _ in 0 }, slots: optimizer.slots)
    parameter.group.decay = 0
    for step in 1...3 {
      parameter.update(optimizer, at: UpdateMoment(count: step, rate: 0.01, gradientScale: 1))
      for slot in optimizer.slots {
        try expect(
          parameter.slots[slot.name] == values.map { _ in 0 }, "slot '\(slot.name)' is not zero after no gradient")
      }
    }
    if let difference = bitDifference("value", parameter.value, values) {
      throw BrokenLaw("\(type.name): \(difference)")
    }
    parameter.group.decay = 1
    parameter.update(optimizer, at: UpdateMoment(count: 4, rate: 0.01, gradientScale: 1))
    for (before, after) in zip(values, parameter.value) {
      try expect(
        after.sign == before.sign && abs(after) <= abs(before) && abs(after) >= abs(before) * 0.98,
        "decay made \(after) of \(before)")
    }
  }

  /// A run that is saved, and continued on other ranks and another stage, ends bit for bit as the uninterrupted one.
  package func resumeIsBitwise() throws {
    let recipe = """
      model:     { decoder: { width: 32, depth: 1, heads: 2, context: 8, hidden: 160 } }
      optimizer: { \(type.name): {} }
      data:      { synthetic: { kind: shift, samples: 64, vocabulary: 13, validation: 0 } }
      batch:     { samples: 8, lanes: 4 }
      schedule:  [{ train: { steps: 5 } }]
      save:      { every: 0 }
      """
    try Runs.inTemporaryDirectory { directory in
      let whole = try Runs.train(recipe, ranks: 1, in: directory + "/whole", catalogue: catalogue)
      _ = try Runs.train(
        recipe, set: ["stage=0"], ranks: 2, in: directory + "/cut", stopsAfter: 3, catalogue: catalogue)
      let cut = try Runs.train(
        recipe, set: ["stage=3"], ranks: 3, in: directory + "/cut", resumes: true, catalogue: catalogue)
      try expect(cut.digests.lines == whole.digests.lines, "a resumed run ends with other bits")
      for slot in try made().slots {
        try expect(whole.digests.lines.contains { $0.contains("/\(slot.name) ") }, "slot '\(slot.name)' was not saved")
      }
    }
  }

  private func expect(_ holds: Bool, _ failure: @autoclosure () -> String) throws {
    if !holds { throw BrokenLaw("\(type.name): \(failure())") }
  }
}
