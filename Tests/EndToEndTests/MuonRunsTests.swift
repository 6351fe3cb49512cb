import EspalierMethods
import EspalierState
import EspalierTesting
import EspalierTrain
import Testing

/// Muon over ranks and stages: whole matrices have owners, and nobody can tell from the bits.
@Suite struct MuonRunsTests {
  /// Both forms of Newton–Schulz are taken, some matrices are narrow, and some heads are clipped.
  static let recipe = TinyRuns.decoder
    .replacing("adamw: { rate: 2e-3, decay: 0.1 }", with: "muon: { rate: 2e-3 }")
    .replacing("width: 48", with: "width: 64").replacing("hidden: 64", with: "hidden: 128, qkClip: 0.1")

  private static func digest(ranks: Int, stage: Int) throws -> String {
    try Runs.inTemporaryDirectory { directory in
      let result = try Runs.train(recipe, set: ["stage=\(stage)"], ranks: ranks, in: directory + "/run")
      return "\(result.digests.total) \(result.outcome.lastLoss) \(result.outcome.evaluation?.loss ?? .nan)"
    }
  }
  static let reference = Result { try digest(ranks: 1, stage: 1) }

  @Test("ranks and stages change no bit of weights, momentum, loss or evaluation", arguments: [1, 2, 4], 0...3)
  func oneDigest(ranks: Int, stage: Int) throws {
    #expect(try Self.digest(ranks: ranks, stage: stage) == Self.reference.get())
  }

  @Test("the journal tells the largest logit of a step and how many heads it clipped")
  func clippedHeads() throws {
    try Runs.inTemporaryDirectory { directory in
      _ = try Runs.train(Self.recipe, set: ["schedule.0.train.steps=5"], ranks: 2, in: directory + "/run")
      let journal = JournalReader(run: directory + "/run")
      let (heads, logits) = (journal.curve(.step, "clippedHeads"), journal.curve(.step, "largestLogit"))
      #expect(heads.count == 5 && logits.count == 5)
      for (step, count) in heads { #expect((count > 0) == ((logits[step] ?? 0) > 0.1)) }
      #expect(heads.values.contains { $0 > 0 })
    }
  }

  @Test("a matrix has its momentum and nothing of AdamW's, everything else the reverse")
  func slots() throws {
    try Runs.inTemporaryDirectory { directory in
      let result = try Runs.train(
        Self.recipe, set: ["schedule.0.train.steps=1"], ranks: 2, in: directory + "/run")
      let names = result.digests.slots.map(\.name)
      func slots(_ parameter: String) -> [String] {
        names.filter { $0.hasPrefix(parameter + "/") }.map { String($0.dropFirst(parameter.count + 1)) }
      }
      #expect(slots("blocks.1.attention.qkv.weight") == ["value", "muon.momentum.ema"])
      #expect(slots("embed.table") == ["value", "muon.m", "muon.v"])
      #expect(slots("blocks.1.norm1.gain") == ["value", "muon.m", "muon.v"])
    }
  }

  @Test("owners of the reference decoder's matrices have work within 4/3 of the mean", arguments: 1...4, [0, 1, 3])
  func balance(ranks: Int, stage: Int) throws {
    let recipe = """
      model:     { decoder: { width: 384, depth: 6, heads: 6, context: 256 } }
      optimizer: { muon: {} }
      data:      { synthetic: { kind: shift, samples: 64, vocabulary: 256 } }
      batch:     { samples: 8 }
      """
    let plan = try RunPlan(OneStep.open(recipe, set: ["stage=\(stage)"]), ranks: ranks)
    #expect(plan.update.imbalance < 4.0 / 3, "\(plan.update.costByRank)")
    #expect(plan.update.costByRank.count == ranks && plan.update.costByRank.allSatisfy { $0 > 0 })
    #expect(plan.update.forms.contains { $0.shape.contains("2048") && $0.form.contains("2 of 1024 x 384 gram") })
  }

  @Test("at stage 0 updates with owners are shared out as at stage 1, and others are made by every rank")
  func stageZero() throws {
    let muon = try OneStep.open(Self.recipe, set: ["stage=0"]),
      adam = try OneStep.open(TinyRuns.decoder, set: ["stage=0"])
    #expect(muon.stage == .slots && muon.stageText == "0, updates shared out as at 1")
    #expect(adam.stage == .none && adam.stageText == "0")
  }

  @Test(
    "where values are shards every rank has its even share, also with more ranks than matrices, and the work is shared out",
    arguments: [2, 8])
  func evenShares(ranks: Int) throws {
    let set = ["model.decoder.depth=1", "batch.samples=8", "stage=3"]
    let run = try OneStep.open(Self.recipe, set: set), plan = try RunPlan(run, ranks: ranks)
    let held = plan.memory.byRank.map { $0.bySlot["muon.momentum.ema"] ?? 0 }
    let even = Double(held.reduce(0, +)) / Double(ranks)
    // A segment's cuts fall on the nearest chunk, and the two parts of the run share one slice.
    #expect(held.allSatisfy { abs(Double($0) - even) <= 0.15 * even + 4 * 4096 }, "\(held)")
    #expect(plan.update.costByRank.filter { $0 > 0 }.count == ranks)
    func digest(_ ranks: Int) throws -> String {
      try Runs.inTemporaryDirectory { directory in
        try "\(Runs.train(Self.recipe, set: set, ranks: ranks, in: directory + "/run").digests.total)"
      }
    }
    #expect(try digest(ranks) == digest(1))
  }

  @Test(
    "a tool that cuts a checkpoint anew gives tensors to the ranks that a store of as many would", arguments: [2, 3],
    [1, 3])
  func reshard(ranks: Int, stage: Int) throws {
    try Runs.inTemporaryDirectory { directory in
      func saved(_ ranks: Int) throws -> CheckpointReader {
        let run = directory + "/\(ranks)"
        _ = try Runs.train(Self.recipe, set: ["stage=\(stage)", "schedule.0.train.steps=1"], ranks: ranks, in: run)
        return try CheckpointReader(run + "/checkpoints/step-0000000001")
      }
      let whole = try saved(1), there = try saved(ranks)
      let made = try ReshardTests.reshard(whole, to: directory + "/made", ranks: ranks, stage: stage)
      #expect(made.manifest.tensors == there.manifest.tensors && made.manifest.segments == there.manifest.segments)
      // Owners where values are whole, even cuts where they are shards.
      #expect(there.manifest.segments?.costs.contains { $0 > 0 } == (stage < 3))
      #expect(made.digest == whole.digest)
    }
  }

  @Test("growths give momenta and owners anew, with one digest for ranks, stages and a resume at the border")
  func grows() throws {
    let recipe = GrowthRunsTests.recipe.replacing("adamw: { rate: 3e-3 }", with: "muon: { rate: 3e-3 }")
      .replacing("context: 8 }", with: "context: 8, qkClip: 0.1 }")
    func result(ranks: Int, stage: Int, stopsAfter stop: Int = 0, at first: Int = 1) throws -> String {
      try Runs.inTemporaryDirectory { directory in
        let run = directory + "/run"
        if stop > 0 { _ = try Runs.train(recipe, set: ["stage=\(first)"], ranks: 2, in: run, stopsAfter: stop) }
        let last = try Runs.train(recipe, set: ["stage=\(stage)"], ranks: ranks, in: run, resumes: stop > 0)
        #expect(last.digests.slots.map(\.name).contains("blocks.2.attention.qkv.weight/muon.momentum.ema"))
        return "\(last.digests.total) \(last.outcome.evaluation?.loss ?? .nan)"
      }
    }
    let reference = try result(ranks: 1, stage: 1)
    for (ranks, stage) in [(2, 0), (4, 2), (3, 3)] {
      #expect(try result(ranks: ranks, stage: stage) == reference, "\(ranks) ranks at stage \(stage)")
    }
    #expect(try result(ranks: 3, stage: 2, stopsAfter: 6) == reference)
    // Owners and even cuts read each other's checkpoints.
    #expect(try result(ranks: 3, stage: 3, stopsAfter: 6, at: 1) == reference)
    #expect(try result(ranks: 4, stage: 1, stopsAfter: 4, at: 3) == reference)
  }

  @Test("a resume with the other form of the momentum must be allowed, and then converts it")
  func form() throws {
    try Runs.inTemporaryDirectory { directory in
      func losses(_ second: [String], allow: [String], _ name: String) throws -> Double {
        _ = try Runs.train(Self.recipe, ranks: 1, in: directory + "/" + name, stopsAfter: 10)
        return try Runs.train(
          Self.recipe, set: second, ranks: 1, in: directory + "/" + name, resumes: true, allowing: allow
        ).outcome.lastLoss
      }
      let same = try losses([], allow: [], "same")
      let other = try losses(["optimizer.muon.form=sum"], allow: ["optimizer.muon.form"], "other")
      // Newton–Schulz ignores a factor: the runs part by rounding alone. Without the factor, old gradients would weigh 1/20.
      #expect(abs(same - other) < 1e-3, "\(same) and \(other)")
      #expect(throws: SettingsError.self) { try losses(["optimizer.muon.form=sum"], allow: [], "refused") }
    }
  }
}
