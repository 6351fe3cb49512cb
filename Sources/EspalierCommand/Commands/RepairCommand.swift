import ArgumentParser
import EspalierState

struct RepairCommand: CatalogueCommand {
  static let configuration = CommandConfiguration(
    commandName: "repair",
    abstract: "Rebuilds one lost or damaged shard of a checkpoint from its parity.",
    discussion: """
      For checkpoints that were saved with save: { parity: true }. Reads every byte first; the new file is checked against the manifest \
      before it takes its place. With two files lost nothing is changed. A run directory stands for all its checkpoints.
      """)

  @OptionGroup var checkpoint: CheckpointArgument
  @Flag(help: "Print JSON.") var json = false

  func run(_ context: CommandContext) throws -> Int32 {
    var reports: [RepairReport] = []
    var code: Int32 = 0
    for folder in try checkpoint.all() {
      do { reports.append(RepairReport(checkpoint: folder, outcome: try ShardRepair(folder).run())) } catch {
        FailureReport.print(error)
        code = 1
      }
    }
    if json { try Output.json(reports) } else { for report in reports { Output.line(report.text) } }
    return code
  }
}

/// What `espalier repair` did to one checkpoint.
struct RepairReport: Encodable {
  let checkpoint: String
  let outcome: ShardRepair.Outcome

  var text: String {
    guard !outcome.file.isEmpty else { return "\(checkpoint): whole; nothing was changed" }
    return "\(outcome.file): rebuilt, \(Amount.bytes(outcome.bytes)), because \(outcome.reason)"
  }
}
