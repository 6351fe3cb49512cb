import ArgumentParser
import EspalierComm
import EspalierState
import EspalierTrain

struct ReshardCommand: CatalogueCommand {
  static let configuration = CommandConfiguration(
    commandName: "reshard",
    abstract: "Cuts a checkpoint for another number of ranks.",
    discussion: """
      Any number of ranks resumes from any checkpoint as it is; shards of one's own are read faster by many ranks, and can be moved to where \
      each rank runs. Needs neither model nor data, and 64 MiB a worker whatever the size. TO is the folder of the new checkpoint, or a run \
      directory; nothing is overwritten. Ends by comparing the digest of every slot. Under launch/mpirun -n N the ranks share the work.
      """)

  @OptionGroup var checkpoint: CheckpointArgument
  @Argument(help: ArgumentHelp("The new checkpoint, or a run directory for it.", valueName: "to")) var to: String
  @Option(help: ArgumentHelp("Shards of the new checkpoint.", valueName: "n")) var ranks: Int
  @Option(help: ArgumentHelp("ZeRO stage that it names (default: that of the old one).", valueName: "s")) var stage:
    Int?
  @Option(help: ArgumentHelp("Threads, each with a shard at a time (default: a core each).", valueName: "n"))
  var workers: Int?
  @Flag(help: "Print JSON.") var json = false

  func validate() throws {
    guard (1...65536).contains(ranks) else { throw ValidationError("--ranks wants 1 to 65536, not \(ranks).") }
    guard (0...3).contains(stage ?? 0) else { throw ValidationError("--stage wants 0 to 3, not \(stage ?? 0).") }
    guard workers ?? 1 >= 1 else { throw ValidationError("--workers wants 1 or more, not \(workers ?? 1).") }
  }

  func run(_ context: CommandContext) throws -> Int32 {
    let launcher = try Launcher(ranks: nil, cluster: nil)
    return try launcher.run({ Job(source: try checkpoint.open(full: false)) }) {
      [to, ranks, stage, workers, json] job, communicator in
      let reshard = Reshard(
        source: job.source, to: to, ranks: ranks, stage: stage ?? job.source.world.stage,
        workers: workers ?? max(1, WorkerPool.cores / communicator.size))
      let report = try reshard.run(communicator)
      if communicator.rank == 0 { try json ? Output.json(report) : Output.write(report.text) }
      return 0
    }
  }

  private struct Job: RankJob {
    let source: CheckpointReader
    var settings: RunSettings { RunSettings() }
  }
}

/// One reshard on all ranks of this job.
struct Reshard: Sendable {
  let source: CheckpointReader
  let to: String
  /// Of the new checkpoint.
  let ranks: Int
  let stage: Int
  let workers: Int

  /// Collective.
  func run(_ communicator: Communicator) throws -> ReshardReport {
    let world = CheckpointWorld(ranks: ranks, hosts: source.world.hosts, stage: stage, transport: "file")
    let written = try CheckpointWriting(to: to, step: source.step, ranks: ranks).run(communicator) { place in
      Rewriter(
        resharder: try Resharder(
          source, world: world, state: ReshardLineage.state(of: source, ranks: ranks, stage: stage),
          saveID: place.saveID, created: place.created),
        workers: workers)
    }
    let resharder = written.rewriter.resharder
    return ReshardReport(
      from: source.path, to: written.path, step: source.step, saveID: "\(written.saveID)",
      fromRanks: source.world.ranks, ranks: ranks, stage: stage, slots: resharder.slotCount,
      slotsCopied: resharder.slotsCopied, counts: written.shards.reduce(Resharder.Counts()) { $0 + $1.counts },
      seconds: written.seconds)
  }

  private struct Rewriter: CheckpointRewriter {
    let resharder: Resharder
    let workers: Int
    var plan: CheckpointPlan { resharder.plan }

    func write(ranks: [Int], to folder: String) throws -> [Resharder.WrittenShard] {
      try resharder.write(ranks: ranks, to: folder, workers: workers)
    }

    /// Not before the digest of every slot is the source's.
    func close(_ shards: [Resharder.WrittenShard]) throws -> [ShardSummary] {
      let summaries = shards.map(\.summary)
      try resharder.requireSame(summaries)
      return summaries
    }
  }
}

/// What `espalier reshard` did.
struct ReshardReport: Encodable, Sendable {
  let from: String
  let to: String
  let step: Int
  let saveID: String
  let fromRanks: Int
  let ranks: Int
  let stage: Int
  let slots: Int
  /// Slots of which no element was decoded.
  let slotsCopied: Int
  let counts: Resharder.Counts
  let seconds: Double

  var text: String {
    let bytes = counts.copiedBytes + counts.recodedBytes
    let speed = Amount.fixed(Double(bytes) / max(seconds, 1e-9) / 1e6, 0)
    return TextTable.pairs([
      ("from", "\(from), \(Amount.count(fromRanks, "rank"))"),
      ("to", "\(to), \(Amount.count(ranks, "rank")), ZeRO \(stage)"), ("step", "\(step)"), ("save", saveID),
      ("copied", "\(Amount.count(counts.copiedChunks, "chunk")), \(Amount.bytes(counts.copiedBytes))"),
      ("recoded", "\(Amount.count(counts.recodedChunks, "chunk")), \(Amount.bytes(counts.recodedBytes))"),
      (
        "proven",
        "\(Amount.count(slots - slotsCopied, "slot")) by digest, \(Amount.grouped(slotsCopied)) by the checksums of copied chunks"
      ),
      ("time", "\(Amount.fixed(seconds, 2)) s, \(speed) MB/s of elements"),
    ])
  }
}
