import ArgumentParser
import EspalierComm
import EspalierMethods
import EspalierTrain

struct BenchOverlapCommand: CatalogueCommand {
  static let configuration = CommandConfiguration(
    commandName: "overlap",
    abstract: "Tells how much of a reduction is hidden behind computing that takes as long.",
    discussion: """
      Every rank reduces on its communication thread while it multiplies matrices on its own: reduction alone, computing alone, both at \
      once, in turn. Between hosts most of a reduction is waiting, which costs no processor; on one host it copies and adds, and hides \
      only where there are more cores than ranks. Under launch/mpirun -n N it takes its place among the job's ranks.
      """)

  @Option(
    help: ArgumentHelp(
      "Ranks, as threads of this process (default: 2). Under mpirun the job has them already.", valueName: "n"))
  var ranks: Int?
  @Option(help: ArgumentHelp("Size of what is reduced.", valueName: "MiB")) var mebibytes = 16
  @Option(help: "Counted rounds; the median counts.") var rounds = 7
  @Flag(help: "Print JSON.") var json = false

  func validate() throws {
    for (name, value) in [("mebibytes", mebibytes), ("rounds", rounds)] where value < 1 {
      throw ValidationError("--\(name) wants a whole number of 1 or more, not \(value)")
    }
  }

  func run(_ context: CommandContext) throws -> Int32 {
    let launcher = try Launcher(ranks: ranks ?? Launcher.announcedSize ?? 2, cluster: nil)
    return try launcher.run({ BenchmarkJob() }) { [mebibytes, rounds, json] _, communicator in
      let report = try OverlapBenchmark.run(communicator, bytes: mebibytes << 20, rounds: rounds)
      if communicator.rank == 0 { try json ? Output.json(report) : Output.write(Self.text(report)) }
      return 0
    }
  }

  private static func text(_ report: OverlapBenchmark.Report) -> String {
    TextTable.pairs([
      ("ranks", "\(report.ranks) on \(Amount.count(report.hosts, "host")), one compute thread each"),
      ("reduction", "\(milliseconds(report.reductionSeconds)) alone, of \(Amount.bytes(report.bytes))"),
      ("computing", "\(milliseconds(report.computeSeconds)) alone"),
      ("together", milliseconds(report.togetherSeconds)),
      ("hidden", "\(Amount.fixed(100 * report.hiddenShare, 0)) % of the reduction"),
    ])
  }

  private static func milliseconds(_ seconds: Double) -> String { Amount.fixed(seconds * 1000, 1) + " ms" }
}

/// Ranks without a recipe.
struct BenchmarkJob: RankJob {
  let settings = RunSettings()
}
