import ArgumentParser
import EspalierComm
import EspalierMethods
import EspalierTrain

struct BenchCollectivesCommand: CatalogueCommand {
  static let configuration = CommandConfiguration(
    commandName: "collectives",
    abstract: "Times the ordered sum over all ranks, in turn with MPI's own.",
    discussion: """
      One run of floats a rank, summed onto every rank, as a step at ZeRO stage 0 does. Under launch/mpirun -n N it takes its place among \
      the job's ranks and measures MPI_Allreduce beside; in one process there is no MPI to compare with. Times are medians on rank 0 from a \
      barrier on; GB/s are bytes of the run by the time.
      """)

  @OptionGroup var ranks: RankOptions
  @Option(help: "The largest run, in MiB; sizes go up from 4 B in steps of four.") var largest = 64
  @Option(help: "Counted turns at 1 MiB; small sizes have more, large ones fewer.") var repeats = 30
  @Option(help: ArgumentHelp("How sums travel between hosts: float32 or bfloat16.", valueName: "format"))
  var wire = WirePrecision.float32.rawValue
  @Flag(help: "Print JSON.") var json = false

  func validate() throws {
    guard WirePrecision(rawValue: wire) != nil else {
      let formats = WirePrecision.allCases.map(\.rawValue).joined(separator: " or ")
      throw ValidationError("--wire wants \(formats), not '\(wire)'")
    }
    for (name, value) in [("largest", largest), ("repeats", repeats)] where value < 1 {
      throw ValidationError("--\(name) wants a whole number of 1 or more, not \(value)")
    }
  }

  func run(_ context: CommandContext) throws -> Int32 {
    let launcher = try ranks.launcher()
    let sizes = CollectivesBenchmark.sizes.filter { $0 <= largest << 20 }
    return try launcher.run({
      var settings = RunSettings()
      settings.wire = WirePrecision(rawValue: wire) ?? .float32
      return Job(settings: settings)
    }) { [repeats, json] _, communicator in
      let rows = try CollectivesBenchmark.run(communicator, sizes: sizes, repeats: repeats)
      guard communicator.rank == 0 else { return 0 }
      if json {
        try Output.json(rows)
      } else {
        Output.line("\(communicator.topology)\n")
        Output.write(Self.table(rows))
      }
      return 0
    }
  }

  private struct Job: RankJob { let settings: RunSettings }

  private static func table(_ rows: [CollectivesBenchmark.Row]) -> String {
    TextTable.columns(
      ["size", "ordered ms", "GB/s", "MPI ms", "GB/s", "ratio", "model ms", "path"],
      rows.map { row in
        [
          Amount.bytes(row.bytes), figure(row.orderedMilliseconds), figure(row.orderedGigabytesPerSecond),
          figure(row.nativeMilliseconds), figure(row.nativeGigabytesPerSecond), figure(row.ratio),
          figure(row.predictedMilliseconds), row.path,
        ]
      })
  }

  /// Three digits that count.
  private static func figure(_ value: Double?) -> String {
    guard let value else { return "" }
    let scale = value >= 100 ? 1.0 : value >= 10 ? 10 : value >= 1 ? 100 : 10000
    return "\((value * scale).rounded() / scale)"
  }
}
