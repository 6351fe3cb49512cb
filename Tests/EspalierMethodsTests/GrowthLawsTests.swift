import EspalierMethods
import EspalierNN
import EspalierState
import EspalierTesting
import EspalierTrain
import Testing

/// The laws of every growth operator that ships, on every model that ships.
@Suite struct GrowthLawsTests {
  @Test("every operator of the catalogue is held to the laws")
  func catalogue() {
    for type in Catalogue.standard.growth {
      #expect(
        GrowthCase.all.contains {
          $0.growth.hasPrefix("operator: \(type.name),") || $0.growth.hasPrefix("operator: { \(type.name):")
        }, "'\(type.name)' has no case")
      #expect(!type.summary.isEmpty && type.summary.hasSuffix("."))
    }
    for type in Catalogue.standard.models {
      #expect(GrowthCase.all.contains { $0.model.contains(" \(type.name):") }, "'\(type.name)' never grows")
    }
  }

  @Test(
    "exact operators keep every logit to 1e-5, of random and of trained models; others say that they do not",
    arguments: GrowthCase.all)
  func fidelity(_ example: GrowthCase) throws {
    for (warmUp, disturb) in [(0, Float(0)), (6, Float(0.2))] {
      let trial = try GrowthTrial(example.run(), ranks: 1, warmUp: warmUp, steps: 0, disturb: disturb)
      if example.hasNewClasses {
        #expect(trial.plan.fidelity == .exactOnOldLogits)
        let (old, new) = (example.classes[0], example.classes[1])
        for row in 0..<trial.before.logits.count / old {
          let (a, b) = (
            trial.before.logits[row * old..<(row + 1) * old], trial.grown.logits[row * new..<row * new + old]
          )
          #expect(zip(a, b).allSatisfy { abs($0 - $1) <= 1e-5 }, "row \(row)")
        }
        continue
      }
      let jump = zip(trial.before.logits, trial.grown.logits).map { abs($0 - $1) }.max() ?? .nan
      #expect(trial.before.logits.count == trial.grown.logits.count)
      if example.isExact {
        #expect(trial.plan.fidelity == .exact)
        #expect(jump <= 1e-5, "logits move by \(jump)")
      } else {
        guard case .lossy(let reasons) = trial.plan.fidelity else {
          Issue.record("\(trial.plan.fidelity) is told of a lossy growth")
          continue
        }
        #expect(!reasons.isEmpty)
        if disturb > 0 { #expect(jump > 1e-4, "logits move by \(jump) alone") }
      }
    }
  }

  @Test("nothing is dead: after two steps every new entry has moved, whatever the operator", arguments: GrowthCase.all)
  func noDeadZone(_ example: GrowthCase) throws {
    // Decay would move what no gradient reaches.
    let run = try example.run(set: ["clip=0"], optimizer: "{ adamw: { rate: 1e-2, decay: 0 } }")
    let trial = try GrowthTrial(run, ranks: 1, warmUp: 4, steps: 2, disturb: 0.2)
    for (name, ranges) in trial.births {
      let (a, b) = (try #require(trial.grown.slots["\(name)/value"]), try #require(trial.after.slots["\(name)/value"]))
      for block in ranges.blocks {
        // A row may be that of a token that was not in the batches; and what a ReLU cuts off stays.
        let still = block.rows.filter { row in
          block.columns.allSatisfy { a[row * ranges.columns + $0] == b[row * ranges.columns + $0] }
        }
        #expect(
          name.contains("embed") || name.contains("head") || still.count <= block.rows.count / 2,
          "\(still.count) of \(block.rows.count) new rows of '\(name)' have not moved")
      }
    }
  }

  static let optimizers = ["adamw: { rate: 3e-3 }", "muon: { rate: 3e-3 }", "sgd: { rate: 0.05, momentum: 0.9 }"]

  @Test(
    "the slots of every optimizer grow by their rules, to one state for every number of ranks", arguments: optimizers)
  func everyOptimizer(_ optimizer: String) throws {
    for type in Catalogue.standard.optimizers {
      #expect(Self.optimizers.contains { $0.hasPrefix("\(type.name):") }, "'\(type.name)' never grows")
    }
    let example = GrowthCase(
      model: GrowthCase.llama, growth: "operator: duplicate, to: { hidden: 40 }",
      isExact: true)
    func trial(_ ranks: Int, _ stage: Int) throws -> GrowthTrial {
      try GrowthTrial(
        example.run(set: ["stage=\(stage)"], optimizer: "{ \(optimizer) }"), ranks: ranks, warmUp: 3, steps: 3)
    }
    let reference = try trial(1, 0)
    for (ranks, stage) in [(2, 1), (3, 3)] {
      let other = try trial(ranks, stage)
      #expect(other.grown.digest == reference.grown.digest && other.after.digest == reference.after.digest)
      #expect(other.losses == reference.losses)
    }
    // Old entries keep their history, and there is some.
    for (name, values) in reference.grown.slots where name.contains("down.weight/") && !name.hasSuffix("/value") {
      let old = try #require(reference.before.slots[name])
      for row in 0..<16 {
        #expect(Array(values[row * 40..<row * 40 + 20]) == Array(old[row * 20..<row * 20 + 20]), "\(name)")
        #expect(values[row * 40 + 20..<(row + 1) * 40].allSatisfy { $0 == 0 }, "\(name)")
      }
      #expect(old.contains { $0 != 0 })
    }
  }

  @Test("width then depth is depth then width", arguments: [GrowthCase.llama, GrowthCase.gpt])
  func composition(_ model: String) throws {
    func logits(_ growths: [String]) throws -> [Float] {
      let phases = growths.map { "- grow: { \($0) }" }.joined(separator: "\n        ")
      let run = try OneStep.open(
        """
        model:     \(model)
        optimizer: { adamw: { rate: 3e-3 } }
        data:      { synthetic: { kind: shift, samples: 96, vocabulary: 11, validation: 16 } }
        batch:     { samples: 16, lanes: 8 }
        schedule:
          - train: { steps: 20, until: { fraction: 0.5 } }
          \(phases.replacing("\n        ", with: "\n  "))
          - train: {}
        """)
      return try Ranks.run(1) { communicator in
        var session = try RankSession(run, communicator)
        try session.store.initialize(seed: 3)
        for number in 1...2 {
          session = try RunningGrowth(session, number: number, history: number - 1, isSaving: false, isAtBorder: true)
            .run().session
        }
        return try GrowthTrial.logits(session)
      }[0]
    }
    let wide = "operator: duplicate, to: { width: 32, hidden: 48 }", deep = "operator: identity, to: { depth: 4 }"
    let (a, b) = (try logits([wide, deep]), try logits([deep, wide]))
    #expect(zip(a, b).allSatisfy { abs($0 - $1) <= 1e-5 })
  }

  @Test(
    "what cannot be grown is refused with a reason and a remedy, before anything happens",
    arguments: [
      (GrowthCase.gpt, "operator: zeroPad, to: { width: 24 }", GrowthError.Kind.notExact, "meanPad"),
      (GrowthCase.llama, "operator: meanPad, to: { width: 24 }", .notExact, "zeroPad"),
      (GrowthCase.llama, "operator: duplicate, to: { width: 24 }", .notExact, "multiple of 16"),
      (GrowthCase.tiedLlama, "operator: { duplicate: { share: 0.7 } }, to: { width: 32 }", .notExact, "untie"),
      (GrowthCase.llama, "operator: duplicate, to: { headWidth: 8 }", .headWidth, "number of heads"),
      (GrowthCase.llama, "operator: duplicate, to: { width: 8 }", .shrinks, "16 or more"),
      (GrowthCase.llama, "operator: stack, to: { depth: 1 }", .shrinks, "2 or more"),
      (GrowthCase.llama, "operator: stack, to: { width: 32 }", .unsupportedAxis, "widthAndDepth"),
      (GrowthCase.llama, "operator: duplicate, to: { depth: 4 }", .unknownStack, "widthAndDepth"),
      (GrowthCase.llama, "operator: shallowStart, to: { depth: 4 }", .unknownStack, "stack"),
      (GrowthCase.llama, "operator: duplicate, to: { bias: true }", .notCovered, "widths and depth alone"),
      (GrowthCase.llama, "operator: { duplicate: { share: 1.5 } }, to: { hidden: 40 }", .option, "0"),
    ])
  func refusals(_ model: String, _ growth: String, _ kind: GrowthError.Kind, _ remedy: String) throws {
    #expect {
      try GrowthCase(model: model, growth: growth, isExact: false).run()
    } throws: { error in
      guard let error = error as? GrowthError else { return false }
      return error.kind == kind && error.description.contains(remedy) && error.subject.contains("schedule.1.grow")
    }
  }

  @Test("random entries of a frozen weight are refused; copies of it are made")
  func frozen() throws {
    let freeze = ["freeze=[blocks*]"]
    #expect {
      try GrowthCase(model: GrowthCase.llama, growth: "operator: zeroPad, to: { hidden: 40 }", isExact: true)
        .run(set: freeze)
    } throws: {
      ($0 as? GrowthError)?.description.contains("frozen") == true
    }
    let copied = GrowthCase(model: GrowthCase.llama, growth: "operator: duplicate, to: { hidden: 40 }", isExact: true)
    let trial = try GrowthTrial(copied.run(set: freeze), ranks: 2, warmUp: 2, steps: 2)
    #expect(zip(trial.before.logits, trial.grown.logits).allSatisfy { abs($0 - $1) <= 1e-5 })
  }
}
