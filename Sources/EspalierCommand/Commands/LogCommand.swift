import ArgumentParser
import EspalierState
import EspalierTrain

struct LogCommand: CatalogueCommand {
  static let configuration = CommandConfiguration(
    commandName: "log",
    abstract: "Tells how a checkpoint came to be: phases, resumes, reshards; oldest first.",
    discussion: "Everything stands in the checkpoint itself and travels with it.")

  @OptionGroup var checkpoint: CheckpointArgument
  @Flag(help: "Print JSON.") var json = false

  func run(_ context: CommandContext) throws -> Int32 {
    let reader = try checkpoint.open(full: false)
    let history = try RunHistory(reader)
    try json ? Output.json(history) : Output.write(Self.text(history))
    return 0
  }

  static func text(_ history: RunHistory) -> String {
    "run \(history.runID)\n"
      + TextTable.columns(
        ["after step", "event", ""],
        history.events.flatMap { event in
          [["\(event.step)", event.kind, event.description]] + event.details.map { ["", "", $0] }
        })
  }
}
