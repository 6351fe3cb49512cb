import ArgumentParser
import EspalierComm
import EspalierMethods
import EspalierTrain
import Foundation

struct TrainCommand: CatalogueCommand {
  static let configuration = CommandConfiguration(
    commandName: "train",
    abstract: "Trains what a recipe says, or goes on with --resume.",
    discussion: """
      Writes RUN/metrics.jsonl, RUN/checkpoints and RUN/flight (see `espalier status`). Under mpirun or srun it takes its place among the job's ranks; otherwise all ranks \
      are threads of this process. The result is the same.

      SIGTERM and SIGUSR1 save a checkpoint at the next step and end with exit code 75; --resume goes on from there, on any number of \
      ranks and at any stage.
      """)

  @OptionGroup var recipe: RecipeArgument
  @OptionGroup var ranks: RankOptions

  @Option(
    name: .customLong("run"),
    help: ArgumentHelp("The run directory (default: runs/ and the recipe's name without its ending).", valueName: "dir")
  )
  var run: String?

  @Flag(help: "Go on from the newest valid checkpoint of the run directory.")
  var resume = false

  @Option(
    help: ArgumentHelp(
      "Resume although this setting has changed, or 'data'; may be repeated.", valueName: "key"))
  var allow: [String] = []

  @Flag(help: "Take the run from a trainer on another host that is known to be dead.")
  var breakLock = false

  @Option(
    help: ArgumentHelp(
      "Seconds that a rank which others wait for may stand still before the run is ended with its name; 0 = for ever (default: the cluster file's, else 60).",
      valueName: "seconds"))
  var deadline: Double?

  @Flag(help: "Write RUN/trace.json: what all ranks did, on one clock, for ui.perfetto.dev or chrome://tracing.")
  var trace = false

  @Option(help: ArgumentHelp("Steps that the trace covers.", valueName: "n"))
  var traceSteps = 50

  func validate() throws {
    guard traceSteps > 0 else { throw ValidationError("--trace-steps must be 1 or more, not \(traceSteps).") }
  }

  func run(_ context: CommandContext) throws -> Int32 {
    StopSignals.listen()
    let launcher = try ranks.launcher()
    var options = TrainerOptions(runDirectory: run ?? Self.defaultRun(recipe.path))
    options.resumes = resume
    options.allowed = allow
    options.breaksLock = breakLock
    options.traceSteps = trace ? traceSteps : 0
    options.transport = launcher.transport
    options.catalogue = context.catalogue
    let watchdog = try launcher.watchdog(deadline: deadline)
    options.watchdog = watchdog
    return try launcher.run(watchdog: watchdog, { TrainingJob(run: try recipe.resolved(context.catalogue)) }) {
      [options] job, communicator in
      try Trainer(job.run, communicator, options).train().exitCode
    }
  }

  /// runs/NAME for a recipe NAME.yaml, wherever it lies.
  static func defaultRun(_ recipe: String) -> String {
    "runs/" + URL(filePath: recipe).deletingPathExtension().lastPathComponent
  }
}

/// A run to be trained.
struct TrainingJob: RankJob {
  let run: ResolvedRun
  var settings: RunSettings { run.settings }
}
