import ArgumentParser
import EspalierComm
import EspalierMethods
import EspalierState
import EspalierTrain
import Foundation

extension CheckpointBenchmark.Durability: ExpressibleByArgument {}
extension Compression: ExpressibleByArgument {}

struct BenchCheckpointCommand: CatalogueCommand {
  static let configuration = CommandConfiguration(
    commandName: "checkpoint",
    abstract: "Times what a save and a load do, and how small checkpoints become.",
    discussion: """
      First every operation on its own, on a state of AdamW whose numbers are distributed as trained ones are: GB of elements (verify: \
      of stored bytes) a second of one core. Then whole saves and loads by all ranks. Under launch/mpirun -n N it takes its place \
      among the job's ranks.
      """)

  @OptionGroup var ranks: RankOptions
  @Option(help: "Parameters of all ranks together; each has three floats in the state.") var parameters = 8 << 20
  @Option(help: "Counted rounds; the medians count.") var repeats = 5
  @Option(help: ArgumentHelp("Where to write; nothing is left behind.", valueName: "folder")) var directory = "."
  @Option(help: "What a save waits for: none, files (as in training) or all of the file system.")
  var sync = CheckpointBenchmark.Durability.files
  @Flag(help: "Whole saves copy the state first, as in the middle of training; without, as at its end.") var copied =
    false
  @Option(help: "How chunks are stored: auto, zstd or none.") var compression = Compression.auto
  @Flag(help: "Leaves out the operations on their own.") var whole = false
  @Flag(help: "Print JSON.") var json = false

  func validate() throws {
    for (name, value) in [("parameters", parameters), ("repeats", repeats)] where value < 1 {
      throw ValidationError("--\(name) wants a whole number of 1 or more, not \(value)")
    }
  }

  func run(_ context: CommandContext) throws -> Int32 {
    var options = CheckpointBenchmark.Options()
    (options.parameters, options.repeats) = (parameters, repeats)
    (options.directory, options.durability) = (directory, sync)
    (options.isWholeOnly, options.isCopied) = (whole, copied)
    options.compression = compression
    return try ranks.launcher().run({ BenchmarkJob() }) { [options, json] _, communicator in
      let report = try CheckpointBenchmark.run(communicator, options)
      if communicator.rank == 0 { try json ? Output.json(report) : Output.write(Self.text(report)) }
      return 0
    }
  }

  private static func text(_ report: CheckpointBenchmark.Report) -> String {
    let rows = report.rows.map { row in
      [
        row.operation, row.state, Amount.fixed(row.seconds * 1000, 1), Amount.fixed(row.processorSeconds * 1000, 1),
        Amount.fixed(row.gigabytesPerSecond, 2), row.ratio > 0 ? Amount.fixed(row.ratio, 3) : "",
      ]
    }
    func speed(_ seconds: Double) -> String {
      "\(Amount.fixed(seconds * 1000, 0)) ms, \(Amount.fixed(Double(report.rawBytes) / seconds / 1e9, 2)) GB/s"
    }
    let operations =
      rows.isEmpty
      ? "" : TextTable.columns(["operation", "state", "ms", "core ms", "GB/s per core", "ratio"], rows) + "\n"
    let stall = report.stallSeconds * 1000, share = report.stallSeconds / max(report.copySeconds, 1e-9)
    return operations
      + TextTable.pairs(
        [
          ("ranks", "\(report.ranks), \(Amount.bytes(report.rawBytes)), stored in \(Amount.bytes(report.storedBytes))"),
          ("save", "\(speed(report.medianSaveSeconds)) (sync: \(report.durability.rawValue))"),
          ("load", speed(report.medianLoadSeconds)),
        ]
          + (rows.isEmpty
            ? []
            : [("stall", "\(Amount.fixed(stall, 1)) ms: \(Amount.fixed(share, 2)) of copying the same memory alone")]))
  }
}
