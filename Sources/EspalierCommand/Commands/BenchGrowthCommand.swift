import ArgumentParser
import EspalierComm
import EspalierMethods
import EspalierTrain

struct BenchGrowthCommand: CatalogueCommand {
  static let configuration = CommandConfiguration(
    commandName: "growth",
    abstract: "Times a growth in the middle of training, beside steps before and after, and its memory.",
    discussion: """
      Without --recipe a decoder of 13 million parameters (width 384, 6 layers) grows to one of 50 million (width 768) by copies. Under \
      launch/mpirun -n N it takes its place among the job's ranks, and the resident set is that of one rank.
      """)

  @Option(help: ArgumentHelp("A recipe with a growth instead.", valueName: "file")) var recipe: String?
  @OptionGroup var overrides: OverrideOptions
  @OptionGroup var ranks: RankOptions
  @Option(help: "Counted steps before and after.") var steps = 3
  @Flag(help: "Print JSON.") var json = false

  func run(_ context: CommandContext) throws -> Int32 {
    let launcher = try ranks.launcher()
    let reference = """
      model:     { decoder: { width: 384, depth: 6, heads: 6, hidden: 1344, context: 256 } }
      optimizer: { adamw: { rate: 3e-4, decay: 0.1 } }
      data:      { synthetic: { kind: shift, samples: 4096, vocabulary: 256, validation: 64 } }
      batch:     { samples: \(4 * launcher.rankCount), lanes: \(launcher.rankCount) }
      schedule:
        - train: { steps: 100, until: { fraction: 0.5 } }
        - grow:  { operator: duplicate, to: { width: 768, heads: 12, hidden: 2688 } }
        - train: {}
      evaluate:  { batch: 4 }
      stage:     3
      """
    return try launcher.run({
      let file =
        try recipe.map { try SettingsFile(path: $0) } ?? SettingsFile(text: reference, name: "reference growth")
      let settings = try RunSettings(
        recipe: file, overrides: overrides.list, choices: context.catalogue.choices, note: FailureReport.warnOnce)
      return TrainingJob(run: try ResolvedRun(settings, catalogue: context.catalogue))
    }) { [steps, json] job, communicator in
      let report = try GrowthBenchmark.run(job.run, communicator, steps: max(steps, 1))
      if communicator.rank == 0 { try json ? Output.json(report) : Output.write(Self.text(report)) }
      return 0
    }
  }

  private static func text(_ report: GrowthBenchmark.Report) -> String {
    let inSteps = Amount.fixed(report.seconds / report.stepSecondsAfter, 2)
    return TextTable.pairs([
      (
        "growth",
        "\(report.name), \(Amount.grouped(report.parametersBefore)) → \(Amount.count(report.parametersAfter, "parameter"))"
      ),
      ("ranks", "\(report.ranks) at ZeRO stage \(report.stage)"),
      (
        "time",
        "\(Amount.fixed(report.seconds, 3)) s, of it \(Amount.fixed(report.relayoutSeconds, 3)) s for the state: \(inSteps) steps of the larger model"
      ),
      (
        "step",
        "\(Amount.fixed(report.stepSecondsBefore, 3)) s before, \(Amount.fixed(report.stepSecondsAfter, 3)) s after"
      ),
      (
        "state",
        "\(Amount.bytes(report.slabBytesBefore)) a rank before, \(Amount.bytes(report.slabBytesAfter)) after, "
          + "\(Amount.bytes(report.slabBytesAtPeak)) at the peak; both and one weight: \(Amount.bytes(report.boundBytes))"
      ),
      (
        "resident",
        "\(Amount.bytes(report.residentBytesBefore)) before, \(Amount.bytes(report.residentBytesAtPeak)) at the peak"
      ),
      ("loss", "\(Amount.fixed(report.lossBefore, 6)) → \(Amount.fixed(report.lossAfter, 6)) on a held batch"),
    ])
  }
}
