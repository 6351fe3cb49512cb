import ArgumentParser
import EspalierComm
import EspalierMethods
import EspalierTrain

struct BenchCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "bench",
    abstract: "Measures speed on this machine.",
    discussion: "Ratios of runs in turn on an idle machine carry over to other machines; absolute times do not.",
    subcommands: [
      BenchStepCommand.self, BenchKernelsCommand.self, BenchCollectivesCommand.self, BenchOverlapCommand.self,
      BenchCheckpointCommand.self, BenchGrowthCommand.self, BenchOptimizerCommand.self,
    ])
}

struct BenchStepCommand: CatalogueCommand {
  static let configuration = CommandConfiguration(
    commandName: "step",
    abstract: "Times whole training steps on their real path, without saving or evaluation.",
    discussion: """
      Without --recipe it is the reference decoder of Benchmarks/README.md: width 384, 6 layers, 6 heads, context 256, 8 samples, \
      one lane. Under launch/mpirun -n N it takes its place among the job's ranks.
      """)

  @Option(help: ArgumentHelp("A recipe instead of the reference decoder.", valueName: "file")) var recipe: String?
  @Option(help: ArgumentHelp("The reference decoder's optimizer, with its defaults.", valueName: "name"))
  var optimizer = "adamw"
  @OptionGroup var overrides: OverrideOptions
  @OptionGroup var ranks: RankOptions
  @Option(help: "Counted steps.") var steps = 12
  @Option(help: "Steps before them.") var warmup = 3
  @Flag(help: "Print JSON.") var json = false

  func run(_ context: CommandContext) throws -> Int32 {
    let launcher = try ranks.launcher()
    let reference = """
      model:     { decoder: { width: 384, depth: 6, heads: 6, context: 256 } }
      optimizer: { \(optimizer): { rate: 3e-4, decay: 0.1 } }
      data:      { synthetic: { kind: shift, samples: 4096, vocabulary: 256 } }
      batch:     { samples: \(8 * launcher.rankCount), lanes: \(launcher.rankCount) }
      """
    return try launcher.run({
      let file =
        try recipe.map { try SettingsFile(path: $0) } ?? SettingsFile(text: reference, name: "reference decoder")
      let settings = try RunSettings(
        recipe: file, overrides: overrides.list, choices: context.catalogue.choices, note: FailureReport.warnOnce)
      return TrainingJob(run: try ResolvedRun(settings, catalogue: context.catalogue))
    }) { [steps, warmup, json] job, communicator in
      let report = try StepBenchmark.run(job.run, communicator, steps: max(steps, 1), warmup: max(warmup, 0))
      if communicator.rank == 0 { try json ? Output.json(report) : Output.write(Self.text(report)) }
      return 0
    }
  }

  private static func text(_ report: StepBenchmark.Report) -> String {
    TextTable.pairs([
      ("parameters", "\(report.parameters)"),
      ("ranks", "\(report.ranks) at ZeRO stage \(report.stage), \(report.lanes) lanes"),
      ("kernels", report.kernels),
      (
        "step",
        "\(milliseconds(report.medianSeconds)) (\(milliseconds(report.fastestSeconds)) to \(milliseconds(report.slowestSeconds)))"
      ),
      (
        "update",
        "\(milliseconds(report.updateSeconds)), \(Int(100 * report.updateSeconds / (report.medianSeconds - report.updateSeconds))) % of everything else"
      ),
      ("speed", "\(Int(report.tokensPerSecond)) tokens/s, \(Int(report.gigaflopsPerSecond)) GFLOP/s in products"),
      ("waiting", "\(milliseconds(report.secondsWaited)) a step for collectives on rank 0"),
      (
        "memory",
        "rank 0: \(Amount.bytes(report.residentBytes)) resident, of it \(Amount.bytes(report.slabBytes)) slabs and \(Amount.bytes(report.poolBytes)) pool"
      ),
    ])
  }

  private static func milliseconds(_ seconds: Double) -> String { "\((seconds * 10000).rounded() / 10) ms" }
}

struct BenchKernelsCommand: CatalogueCommand {
  static let configuration = CommandConfiguration(
    commandName: "kernels",
    abstract: "Times single operations, forward and backward, at the shapes of a decoder's block.")

  @Option(help: "Samples.") var batch = 8
  @Option(help: "Tokens of a sample.") var time = 256
  @Option(help: "Heads.") var heads = 6
  @Option(help: "Width of a head.") var headWidth = 64
  @Option(help: "Runs of each operation; the median counts.") var repeats = 9
  @Flag(help: "Print JSON.") var json = false

  func validate() throws {
    for (name, value) in [
      ("batch", batch), ("time", time), ("heads", heads), ("head-width", headWidth), ("repeats", repeats),
    ]
    where value < 1 {
      throw ValidationError("--\(name) wants a whole number of 1 or more, not \(value)")
    }
    guard headWidth % 2 == 0 else { throw ValidationError("--head-width must be even: rotary positions turn pairs") }
  }

  func run(_ context: CommandContext) throws -> Int32 {
    var shape = KernelBenchmark.Shape()
    (shape.batch, shape.time, shape.heads, shape.headWidth) = (batch, time, heads, headWidth)
    let rows = try KernelBenchmark.run(shape, repeats: repeats)
    if json {
      try Output.json(rows)
    } else {
      Output.write(
        TextTable.columns(
          ["operation", "shapes", "ms", "GFLOP/s", "GB/s"],
          rows.map { row in
            [
              row.operation, row.shape, "\((row.milliseconds * 100).rounded() / 100)",
              row.gigaflopsPerSecond > 0 ? "\(Int(row.gigaflopsPerSecond))" : "",
              row.gigabytesPerSecond > 0 ? "\(Int(row.gigabytesPerSecond))" : "",
            ]
          }))
    }
    return 0
  }
}
