import ArgumentParser
import EspalierTrain

struct TasksCommand: CatalogueCommand {
  static let configuration = CommandConfiguration(
    commandName: "tasks",
    abstract: "Shows what runs over tasks have learned and forgotten.",
    discussion: """
      Prints the accuracy on every task after every task and all measures of it, each with its convention, of one run or several; runs \
      that differ in the seed alone are summed up as mean ± sample standard deviation. Draws the same into one HTML file: tasks.html in \
      the run directory, or in the current folder for several runs. With --json the page is only written to a file that is named.
      """)

  @Argument(help: ArgumentHelp("Run directories, or files such as their tasks.json.", valueName: "run"))
  var runs: [String]
  @Option(name: .shortAndLong, help: ArgumentHelp("The page to write.", valueName: "file")) var output: String?
  @Option(help: ArgumentHelp("A table to write: a line for each moment, task and view.", valueName: "file"))
  var csv: String?
  @Flag(help: "Print JSON.") var json = false

  func run(_ context: CommandContext) throws -> Int32 {
    let study = try TaskStudy(runs)
    if let csv { try TaskTable.write(study.runs.map { ($0.name, $0.results) }, to: csv) }
    let page = output ?? (json ? nil : study.page)
    if let page { try TaskPage.write(study, to: page) }
    if json {
      try Output.json(TaskReport(study))
    } else {
      Output.write(TaskStudyText.text(study))
      for path in [csv, page].compactMap({ $0 }) { Output.line(path) }
    }
    return 0
  }
}
