import EspalierComm
import EspalierMethods
import EspalierNN
import EspalierState
import EspalierTesting
import EspalierTrain
import Foundation
import Testing

/// Frozen weights: untouched, without gradient or slots, and on disk once.
@Suite struct FrozenRunsTests {
  /// The embedding is a segment that no backward pass reaches; of each block one half is frozen, and all of the last.
  static let half = #"freeze=["embed.*","*.attention.*","blocks.2.*"]"#
  /// A tied table that is frozen and used again behind blocks that are trained.
  static let tied = ["model.decoder.tied=true", #"freeze=["embed.*","blocks.0.*","blocks.1.feed*"]"#]

  static func settings(_ overrides: [String], recipe: String = TinyRuns.decoder) throws -> RunSettings {
    try RunSettings(
      recipe: SettingsFile(text: recipe, name: "recipe"), overrides: overrides, choices: Catalogue.standard.choices)
  }

  static func digest(_ overrides: [String], ranks: Int, stage: Int, recompute: Bool) throws -> String {
    try Runs.inTemporaryDirectory { directory in
      let result = try Runs.train(
        TinyRuns.decoder,
        set: overrides + ["stage=\(stage)", "recompute=\(recompute)", "schedule.0.train.steps=6", "evaluate.every=0"],
        ranks: ranks, in: directory + "/run")
      return "\(result.digests.total) \(result.outcome.lastLoss)"
    }
  }

  static let halfReference = Result { try digest([half], ranks: 1, stage: 0, recompute: false) }
  static let tiedReference = Result { try digest(tied, ranks: 1, stage: 0, recompute: false) }

  @Test("with half of the model frozen, ranks, stages and recomputation change no bit", arguments: 1...4, 0...3)
  func oneDigest(ranks: Int, stage: Int) throws {
    let recompute = (ranks + stage) % 2 == 0
    #expect(
      try Self.digest([Self.half], ranks: ranks, stage: stage, recompute: recompute) == Self.halfReference.get())
    #expect(try Self.digest(Self.tied, ranks: ranks, stage: stage, recompute: !recompute) == Self.tiedReference.get())
  }

  /// The digest of every slot before the first step.
  private func initial(_ settings: RunSettings) throws -> [String: Digest] {
    let run = try ResolvedRun(settings)
    return try World.inProcess(ranks: 1) { communicator in
      let session = try RankSession(run, communicator)
      try session.store.initialize(seed: settings.seed)
      return Dictionary(uniqueKeysWithValues: try session.store.digests().slots.map { ($0.name, $0.digest) })
    }[0]
  }

  @Test(
    "a step moves what is trained as it would with nothing frozen, and nothing else", arguments: [[half], tied], [0, 3])
  func oneStep(freeze: [String], stage: Int) throws {
    // Without clipping, the gradient of a weight does not depend on which others are trained.
    let besides = [
      "optimizer={sgd: {rate: 0.1}}", "clip=0", "schedule.0.train.steps=1", "stage=\(stage)", "evaluate.every=0",
    ]
    func after(_ overrides: [String]) throws -> [String: Digest] {
      try Runs.inTemporaryDirectory { directory in
        let result = try Runs.train(TinyRuns.decoder, set: overrides + besides, ranks: 2, in: directory + "/run")
        return Dictionary(uniqueKeysWithValues: result.digests.slots.map { ($0.name, $0.digest) })
      }
    }
    let settings = try Self.settings(freeze + besides)
    let before = try initial(settings)
    let frozen = try after(freeze), whole = try after(freeze.filter { !$0.hasPrefix("freeze") })
    var moved = 0
    for spec in try ResolvedRun(settings).blueprint.parameters {
      let value = "\(spec.name)/value"
      #expect(frozen[value] == (spec.isTrainable ? whole[value] : before[value]), "\(spec.name)")
      #expect(frozen.keys.contains { $0.hasPrefix(spec.name + "/sgd") } == spec.isTrainable, "\(spec.name)")
      if frozen[value] != before[value] { moved += 1 }
    }
    #expect(moved > 3)
  }

  @Test(
    "each rank holds and sends what plan says, and slots have no room for frozen weights", arguments: 1...4, 0...3)
  func counters(ranks: Int, stage: Int) throws {
    let steps = 5
    for freeze in [[Self.half], Self.tied] {
      let overrides = freeze + ["stage=\(stage)", "schedule.0.train.steps=\(steps)", "evaluate.every=0"]
      let run = try ResolvedRun(Self.settings(overrides))
      let plan = try RunPlan(run, ranks: ranks)
      #expect((0.3...0.8).contains(Double(run.blueprint.trainedCount) / Double(run.blueprint.count)))
      let result = try Runs.inTemporaryDirectory { directory in
        try Runs.train(
          TinyRuns.decoder, set: overrides + ["data.text.validation=0%"], ranks: ranks, in: directory + "/run")
      }
      for (rank, figures) in result.ranks.enumerated() {
        #expect(figures.state == plan.memory.byRank[rank], "state of rank \(rank)")
        #expect(abs(figures.slabBytes - figures.state.total) <= 64 * 200, "slabs of rank \(rank)")
        let traffic = plan.traffic, (sent, received) = (traffic.bytesSent[rank], traffic.bytesReceived[rank])
        // The last update has gathered for a step that never came.
        let (atEnd, toEnd) = (traffic.bytesSentAhead[rank], traffic.bytesReceivedAhead[rank])
        let besides = 60_000
        #expect(abs(figures.bytesSent - steps * sent - atEnd) <= steps * sent / 100 + besides, "sent by rank \(rank)")
        #expect(
          abs(figures.bytesReceived - steps * received - toEnd) <= steps * received / 100 + besides, "to rank \(rank)")
      }
      let moments = result.ranks.reduce(0) { $0 + ($1.state.bySlot["adamw.m"] ?? 0) }
      let expected = 4 * run.blueprint.trainedCount * (stage == 0 ? ranks : 1)
      #expect((expected...expected + 64 * 40 * ranks).contains(moments), "\(moments) bytes of moments, not \(expected)")
    }
  }

  // MARK: On disk

  /// The files below a folder by their inode: length and number of names.
  static func inodes(_ folder: String) throws -> [UInt64: (bytes: Int, links: Int)] {
    var found: [UInt64: (bytes: Int, links: Int)] = [:]
    for name in try FileManager.default.subpathsOfDirectory(atPath: folder) {
      let attributes = try FileManager.default.attributesOfItem(atPath: folder + "/" + name)
      guard attributes[.type] as? FileAttributeType == .typeRegular,
        let inode = attributes[.systemFileNumber] as? NSNumber, let bytes = attributes[.size] as? NSNumber,
        let links = attributes[.referenceCount] as? NSNumber
      else { continue }
      found[inode.uint64Value] = (bytes.intValue, links.intValue)
    }
    return found
  }

  static let steps = 8
  static let besides = ["schedule.0.train.steps=\(steps)", "evaluate.every=0"]
  static let base = [#"freeze=["embed.*","blocks.0.*","blocks.1.*","blocks.2.feed*"]"#] + besides

  private func checkpoint(_ run: String, _ step: Int) -> String { "\(run)/checkpoints/step-000000000\(step)" }

  /// A decoder of seven blocks of which one product and the norms of the last are trained.
  static let mostlyFrozen =
    ["embed.*", "head.*", "blocks.6.feed*", "blocks.6.attention.qkv.*"]
    + (0..<6).map { "blocks.\($0).*" }

  @Test(
    "a base of 95 % of the state is written once: later checkpoints add at most 7 % of the first's bytes",
    arguments: ["sgd", "adamw"])
  func newBytes(optimizer: String) throws {
    let patterns = Self.mostlyFrozen.map { "\"\($0)\"" }.joined(separator: ",")
    let overrides =
      Self.besides + [
        "freeze=[\(patterns)]", "model.decoder={width: 96, depth: 7, heads: 4, context: 24}",
        "optimizer={\(optimizer): {}}", "save={every: 2, keep: 9}",
      ]
    let report = RunPlanReport(try RunPlan(ResolvedRun(Self.settings(overrides)), ranks: 3))
    #expect(100 * report.frozenBytes >= 95 * report.checkpointBytes && report.trainedParameters > 9000)
    try Runs.inTemporaryDirectory { directory in
      let run = directory + "/run"
      _ = try Runs.train(TinyRuns.decoder, set: overrides, ranks: 3, in: run)
      var known: Set<UInt64> = []
      var first = 0
      for step in [2, 4, 6, 8] {
        let files = try Self.inodes(checkpoint(run, step))
        let new = files.filter { !known.contains($0.key) }.reduce(0) { $0 + $1.value.bytes }
        known.formUnion(files.keys)
        if step == 2 { first = new } else { #expect(100 * new <= 7 * first, "step \(step) adds \(new) of \(first)") }
        let shared = files.values.filter { $0.links == 4 }
        #expect(shared.count == 3, "each of 3 ranks wrote one file that all four checkpoints name")
      }
    }
  }

  @Test(
    "a run with a frozen base stopped anywhere and resumed on other ranks ends alike and links the files it finds",
    arguments: 1...7)
  func resume(step: Int) throws {
    let (first, second) = (1 + step % 4, 1 + (step * 3 + 1) % 4)
    try Runs.inTemporaryDirectory { directory in
      let run = directory + "/run"
      _ = try Runs.train(
        TinyRuns.decoder, set: Self.base + ["stage=\(step % 4)", "save.keep=9"], ranks: first, in: run, stopsAfter: step
      )
      let resumed = try Runs.train(
        TinyRuns.decoder, set: Self.base + ["stage=\((step + 2) % 4)", "save.keep=9"], ranks: second, in: run,
        resumes: true)
      #expect(try resumed.digests.total.description == Self.uninterrupted.get())
      let old = try CheckpointReader(checkpoint(run, step)), new = try CheckpointReader(checkpoint(run, Self.steps))
      let linked = new.manifest.shards.filter { $0.frozen != nil }
      #expect(!linked.isEmpty && linked == old.manifest.shards.filter { $0.frozen != nil })
      #expect(linked.allSatisfy { $0.frozen?.firstSaved == old.saveID })
      let common = Set(try Self.inodes(old.path).keys).intersection(try Self.inodes(new.path).keys)
      #expect(common.count == linked.count)
      #expect(new.verify(full: true).isEmpty)
    }
  }

  static let uninterrupted = Result {
    try Runs.inTemporaryDirectory { directory in
      try Runs.train(TinyRuns.decoder, set: base, in: directory + "/run").digests.total.description
    }
  }

  @Test("retention removes the checkpoint that wrote the base, and the later one is whole")
  func retention() throws {
    try Runs.inTemporaryDirectory { directory in
      let run = directory + "/run"
      let result = try Runs.train(TinyRuns.decoder, set: Self.base + ["save={every: 2, keep: 1}"], ranks: 2, in: run)
      let left = try CheckpointDirectory(run: run).list()
      #expect(left.map(\.step) == [Self.steps])
      let reader = try CheckpointReader(left[0].path)
      #expect(reader.verify(full: true).isEmpty && reader.digest == result.digests.total)
      #expect(reader.manifest.shards.contains { $0.frozen.map { $0.firstSaved != reader.saveID } == true })
      #expect(try Self.inodes(left[0].path).values.allSatisfy { $0.links == 1 })
    }
  }

  @Test("weights that are not those of the checkpoint are written and not linked")
  func staleBytes() throws {
    try Runs.inTemporaryDirectory { directory in
      let run = directory + "/run"
      _ = try Runs.train(TinyRuns.decoder, set: Self.base, ranks: 2, in: run, stopsAfter: 2)
      let shards = try #require(FrozenShards(at: checkpoint(run, 2)))
      let reader = try CheckpointReader(checkpoint(run, 2))
      var digests: [Int: Digest] = [:]
      for (number, tensor) in reader.manifest.tensors.enumerated() where !tensor.record.trainable {
        digests[number] = tensor.slots[0].digest
      }
      #expect(shards.hold(reader.tensors, digests: digests))
      let number = try #require(digests.keys.min())
      #expect(!shards.hold(reader.tensors, digests: digests.merging([number: .zero]) { $1 }))
      // One tensor fewer, and one of another shape.
      var thawed = reader.tensors
      thawed[number] = TensorRecord(name: thawed[number].name, shape: thawed[number].shape, trainable: true)
      #expect(!shards.hold(thawed, digests: digests))
      var other = reader.tensors
      other[number] = TensorRecord(name: "other", shape: other[number].shape, trainable: false)
      #expect(!shards.hold(other, digests: digests))
      // A new run from these weights links nothing of the old one.
      let next = directory + "/next"
      _ = try Runs.train(
        TinyRuns.decoder, set: Self.base + ["start.from=\(checkpoint(run, 2))"], in: next, stopsAfter: 1)
      #expect(try Self.inodes(checkpoint(next, 1)).values.allSatisfy { $0.links == 1 })
    }
  }

  // MARK: Changing what is frozen

  @Test("freezing belongs to the run: a resume with other patterns is refused, and allowed it starts slots from zero")
  func thaw() throws {
    try Runs.inTemporaryDirectory { directory in
      let run = directory + "/run"
      _ = try Runs.train(TinyRuns.decoder, set: Self.base, ranks: 2, in: run, stopsAfter: 3)
      let thawed = Self.base.dropFirst() + [#"freeze=["embed.*","blocks.1.*","blocks.2.feed*","head.norm.*"]"#]
      let refusal = #expect(throws: SettingsError.self) {
        try Runs.train(TinyRuns.decoder, set: Array(thawed), in: run, resumes: true)
      }
      #expect(refusal?.kind == .refusedChange && refusal?.description.contains("--allow freeze") == true)
      let resumed = try Runs.train(
        TinyRuns.decoder, set: Array(thawed) + ["stage=3"], ranks: 3, in: run, resumes: true, allowing: ["freeze"],
        stopsAfter: 4)
      #expect(resumed.outcome.step == 4)
      let journal = try String(contentsOfFile: run + "/metrics.jsonl", encoding: .utf8)
      #expect(journal.contains("trained from here on, with optimizer slots of zeros"))
      #expect(journal.contains("frozen from here on, without optimizer slots: 'head.norm.gain'"))
      // Not the same tensors: the base is written anew, by the three ranks of now.
      let reader = try CheckpointReader(checkpoint(run, 4))
      #expect(reader.manifest.shards.allSatisfy { $0.frozen.map { $0.firstSaved == reader.saveID } ?? true })
      let slots = Dictionary(uniqueKeysWithValues: reader.manifest.tensors.map { ($0.record.name, $0.slots.count) })
      let gain = try #require(slots.keys.first { $0.hasPrefix("head.norm") })
      #expect(slots[gain] == 1 && slots.filter { $0.key.hasPrefix("blocks.0.") }.values.allSatisfy { $0 == 3 })
    }
  }

  @Test("a pattern that matches nothing is refused with the nearest name, and so is a model with nothing to train")
  func patterns() throws {
    let misspelt = #expect(throws: SettingsError.self) {
      try ResolvedRun(Self.settings([#"freeze=["head.*","blokcs.0.*"]"#]))
    }
    #expect(misspelt?.subject == "freeze.1")
    #expect(
      misspelt?.description == "freeze pattern 'blokcs.0.*' matches no parameter; did you mean 'blocks.0'?")
    let everything = #expect(throws: SettingsError.self) { try ResolvedRun(Self.settings([#"freeze=["*"]"#])) }
    #expect(everything?.description.contains("nothing is left to train") == true)
  }
}
