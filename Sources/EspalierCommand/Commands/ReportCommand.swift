import ArgumentParser
import EspalierTrain

struct ReportCommand: CatalogueCommand {
  static let configuration = CommandConfiguration(
    commandName: "report",
    abstract: "Draws loss against work, tokens and wall time, of one run or several.",
    discussion: """
      Writes one HTML file with the pictures in it: report.html in the run directory, or in the current folder for several runs, which \
      are drawn over each other. Growths are marked with their jump, and a table says what every phase took. Every run writes its own \
      report when it ends.
      """)

  @Argument(help: ArgumentHelp("Run directories.", valueName: "run")) var runs: [String]
  @Option(name: .shortAndLong, help: ArgumentHelp("The file to write.", valueName: "file")) var output: String?

  func run(_ context: CommandContext) throws -> Int32 {
    let histories = try runs.map { try RunCurves(run: $0) }
    let path = output ?? (runs.count == 1 ? runs[0] + "/report.html" : "report.html")
    try ReportPage.write(histories, to: path)
    Output.line(path)
    return 0
  }
}
