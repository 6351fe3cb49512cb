import ArgumentParser
import EspalierTrain
import Foundation

struct RunsCommand: CatalogueCommand {
  static let configuration = CommandConfiguration(
    commandName: "runs",
    abstract: "Lists the runs below a folder: state, step, loss, size, last change.",
    discussion: """
      A run is 'running' while the process that holds its lock lives, 'finished' or 'stopped' where its journal says so, and 'failed' \
      otherwise. 'elsewhere' is a run whose lock another host holds. Nothing is written and no lock is taken.
      """)

  @Argument(help: ArgumentHelp("A folder with run directories, or one of them.", valueName: "dir")) var folder = "runs"
  @Flag(help: "Print JSON.") var json = false

  func run(_ context: CommandContext) throws -> Int32 {
    let listing = try RunListing(below: folder)
    try json ? Output.json(listing) : Output.write(Self.text(listing, now: Date().timeIntervalSince1970, below: folder))
    return 0
  }

  static func text(_ listing: RunListing, now: Double, below folder: String) -> String {
    guard !listing.runs.isEmpty else { return "no runs below \(folder)\n" }
    let rows = listing.runs.map { run in
      [
        run.path, run.state.rawValue, "\(run.step)", run.loss.map { Amount.fixed($0, 4) } ?? "",
        run.validationLoss.map { Amount.fixed($0, 4) } ?? "", "\(run.checkpoints)", Amount.bytes(run.bytes),
        ProgressText.duration(max(now - run.lastChange, 0)) + " ago",
      ]
    }
    var text = TextTable.columns(
      ["run", "state", "step", "loss", "validation", "checkpoints", "size", "changed"], rows)
    for run in listing.runs where run.state == .running || run.state == .elsewhere {
      text += "\(run.path): \(run.holder ?? "")\n"
    }
    return text
  }
}
