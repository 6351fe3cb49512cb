import EspalierComm
import EspalierState
import EspalierTrain

/// What a command makes of a checkpoint, shard by shard.
protocol CheckpointRewriter {
  /// What is told of a shard that stands on disk.
  associatedtype Shard: Codable & Sendable

  var plan: CheckpointPlan { get }
  /// Writes the shards of these ranks.
  func write(ranks: [Int], to folder: String) throws -> [Shard]
  /// What closes the checkpoint, of the shards of all ranks.
  /// - Throws: where they are not what they should be.
  func close(_ shards: [Shard]) throws -> [ShardSummary]
}

/// A new checkpoint that all ranks of a job write: one place, a share of the shards each, one commit; nothing of it stays after an error.
struct CheckpointWriting: Sendable {
  /// Its folder, or a run directory.
  let to: String
  let step: Int
  /// Shards it has.
  let ranks: Int

  /// What every rank knows of it before the first shard.
  struct Place: Codable, Sendable {
    let saveID: SaveID
    let folder: String
    let created: String
  }

  struct Written<Rewriter: CheckpointRewriter> {
    let path: String
    let saveID: SaveID
    let rewriter: Rewriter
    /// Of all ranks.
    let shards: [Rewriter.Shard]
    let seconds: Double
  }

  /// Collective.
  func run<Rewriter>(_ communicator: Communicator, _ prepare: (Place) throws -> Rewriter) throws -> Written<Rewriter> {
    let started = ContinuousClock().now
    var placement: CheckpointPlacement?
    let place = try communicator.decide("where the checkpoint goes") {
      let made = try CheckpointPlacement(to, step: step)
      placement = made
      return Place(saveID: made.saveID, folder: made.folder, created: timestamp())
    }
    do {
      let rewriter = try prepare(place)
      let own = Array(stride(from: communicator.rank, to: ranks, by: communicator.size))
      let written = try communicator.together("writing the shards") { try rewriter.write(ranks: own, to: place.folder) }
      let shards = try communicator.gatherValues(written, label: "shards").flatMap { $0 }
      let notes = try communicator.decide("the commit") {
        try placement?.commit(rewriter.plan, summaries: rewriter.close(shards)).map { "\($0)" } ?? []
      }
      for note in notes where communicator.rank == 0 { FailureReport.warn(note) }
      return Written(
        path: placement?.path ?? to, saveID: place.saveID, rewriter: rewriter, shards: shards,
        seconds: started.duration(to: ContinuousClock().now) / .seconds(1))
    } catch {
      placement?.abandon()
      throw error
    }
  }
}
