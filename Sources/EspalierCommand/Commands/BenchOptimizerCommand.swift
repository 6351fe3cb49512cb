import ArgumentParser
import EspalierMethods
import EspalierTrain

struct BenchOptimizerCommand: CatalogueCommand {
  static let configuration = CommandConfiguration(
    commandName: "optimizer",
    abstract: "Times Muon's Newton–Schulz, in both forms, in turn with plain matrix products.",
    discussion: """
      'done' is the rate of the operations that a form does, 'sgemm' that of one product of the shape. What an update costs beside \
      forward and backward is what 'bench step --optimizer muon' tells.
      """)

  @Option(help: ArgumentHelp("Shapes, as 1024x4096; no taller than wide.", valueName: "rows x columns"))
  var shape: [String] = ["1024x4096", "1024x1024", "384x384", "384x1024"]
  @Option(help: "Polynomials: \(Muon.Preset.allCases.map(\.rawValue).joined(separator: ", ")).")
  var preset = Muon.Preset.polarExpress.rawValue
  @Option(help: "Runs of each; the median counts.") var repeats = 3
  @Flag(help: "Print JSON.") var json = false

  func validate() throws {
    if repeats < 1 { throw ValidationError("--repeats wants a whole number of 1 or more, not \(repeats)") }
    if Muon.Preset(rawValue: preset) == nil {
      throw ValidationError("--preset knows no '\(preset)'")
    }
    _ = try shape.map(Self.sides)
  }

  private static func sides(_ text: String) throws -> (rows: Int, columns: Int) {
    let sides = text.split(separator: "x").compactMap { Int($0) }
    guard sides.count == 2, sides[0] > 0, sides[0] <= sides[1] else {
      throw ValidationError("--shape wants rows x columns with rows ≤ columns, as 1024x4096, not '\(text)'")
    }
    return (sides[0], sides[1])
  }

  func run(_ context: CommandContext) throws -> Int32 {
    let rows = try OptimizerBenchmark.run(
      shape.map(Self.sides), preset: Muon.Preset(rawValue: preset) ?? .polarExpress, repeats: repeats)
    if json {
      try Output.json(rows)
    } else {
      Output.write(
        TextTable.columns(
          ["shape", "form", "ms", "plain ms", "ratio", "GFLOP/s done", "sgemm", "of it"],
          rows.map { row in
            [
              "\(row.rows) x \(row.columns)", row.form, Amount.fixed(row.milliseconds, 1),
              Amount.fixed(row.plainMilliseconds, 1), Amount.fixed(row.milliseconds / row.plainMilliseconds, 2),
              "\(Int(row.gigaflopsPerSecond))", "\(Int(row.productGigaflopsPerSecond))",
              "\(Int(100 * row.gigaflopsPerSecond / row.productGigaflopsPerSecond)) %",
            ]
          }))
    }
    return 0
  }
}
