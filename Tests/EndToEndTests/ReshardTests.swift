import EspalierState
import EspalierTesting
import EspalierTrain
import Foundation
import Testing

/// A checkpoint cut for other ranks by the tool is the state that it was, and a run goes on from it as from the original.
@Suite struct ReshardTests {
  static let recipe = TinyRuns.decoder.replacing("depth: 3", with: "depth: 1").replacing("steps: 20", with: "steps: 14")
    .replacing("every: 10, batch: 8, batches: 3", with: "every: 0, batch: 8, batches: 1")
  static let border = 4
  static let rankCounts = [1, 2, 3, 4, 5, 8]

  /// One run for all tests, with a checkpoint of step 4 and the digest of step 14.
  static let original = Result {
    let folder = FileManager.default.temporaryDirectory.appending(path: "espalier-reshard-\(UUID().uuidString)").path
    _ = try Runs.train(recipe, set: ["stage=0"], ranks: 1, in: folder + "/run", stopsAfter: border)
    let end = try Runs.train(recipe, set: ["stage=0"], ranks: 1, in: folder + "/end")
    return (folder: folder, total: end.digests.total)
  }

  /// Runs the engine as the command does.
  static func reshard(_ source: CheckpointReader, to path: String, ranks: Int, stage: Int) throws -> CheckpointReader {
    let place = try CheckpointPlacement(path, step: source.step)
    let job = try Resharder(
      source, world: CheckpointWorld(ranks: ranks, hosts: 1, stage: stage, transport: "file"),
      state: ReshardLineage.state(of: source, ranks: ranks, stage: stage), saveID: place.saveID)
    let written = try job.write(ranks: Array(0..<ranks), to: place.folder, workers: 2)
    try job.requireSame(written.map(\.summary))
    #expect(try place.commit(job.plan, summaries: written.map(\.summary)) == [])
    return try CheckpointReader(place.path)
  }

  @Test(
    "every pair of rank counts and stages: the same digests, the pieces that a save would have, the same ten steps after",
    arguments: rankCounts, [0, 3])
  func pairs(first: Int, stage: Int) throws {
    let original = try Self.original.get()
    let start = try CheckpointReader(original.folder + "/run/checkpoints/step-0000000004")
    try Runs.inTemporaryDirectory { folder in
      let source = try Self.reshard(start, to: folder + "/source", ranks: first, stage: stage)
      for second in Self.rankCounts {
        let other = 3 - stage
        let run = "\(folder)/run\(second)"
        let path = run + "/checkpoints/step-0000000004"
        let reader = try Self.reshard(source, to: path, ranks: second, stage: other)
        #expect(reader.verify(full: true) == [] && reader.digest == start.digest)
        #expect(try CheckpointDiff(start, reader, readSlots: nil).isSame)
        #expect(reader.world.ranks == second && reader.world.stage == other)
        let last = try TrainingState(from: reader).lineage.suffix(2)
        #expect(last.map(\.event) == [.reshard, .reshard] && last.last?.from?.ranks == first)
        let resumed = try Runs.train(
          Self.recipe, set: ["stage=\(other)", "save.every=0"], ranks: second, in: run, resumes: true)
        #expect(resumed.outcome.step == 14 && resumed.digests.total == original.total, "\(first) to \(second)")
      }
    }
  }

  @Test("the tool cuts where the store of as many ranks does", arguments: [2, 3, 5])
  func sameCuts(ranks: Int) throws {
    let start = try CheckpointReader(Self.original.get().folder + "/run/checkpoints/step-0000000004")
    try Runs.inTemporaryDirectory { folder in
      _ = try Runs.train(Self.recipe, set: ["stage=3"], ranks: ranks, in: folder + "/run", stopsAfter: Self.border)
      let saved = try CheckpointReader(folder + "/run/checkpoints/step-0000000004")
      let made = try Self.reshard(start, to: folder + "/made", ranks: ranks, stage: 3)
      #expect(made.manifest.tensors == saved.manifest.tensors)
      #expect(made.manifest.shards.map(\.chunks) == saved.manifest.shards.map(\.chunks))
      #expect(made.manifest.segments == saved.manifest.segments)
    }
  }
}
