import ArgumentParser
import EspalierMethods
import EspalierNN
import EspalierTrain

/// A recipe and what is changed of it.
struct RecipeArgument: ParsableArguments {
  @Argument(help: ArgumentHelp("The recipe, a YAML file.", valueName: "recipe"))
  var path: String

  @OptionGroup var overrides: OverrideOptions

  /// The settings of the recipe.
  func settings(_ catalogue: Catalogue, also: [String] = []) throws -> RunSettings {
    try RunSettings(
      recipe: SettingsFile(path: path), overrides: overrides.list + also, choices: catalogue.choices,
      note: FailureReport.warnOnce)
  }

  /// The recipe with its data opened and its model checked.
  func resolved(_ catalogue: Catalogue, also: [String] = []) throws -> ResolvedRun {
    try ResolvedRun(settings(catalogue, also: also), catalogue: catalogue)
  }
}

/// `--set`.
struct OverrideOptions: ParsableArguments {
  @Option(
    name: .customLong("set"),
    help: ArgumentHelp(
      "Changes a setting, as stage=3 or schedule.0.train.steps=20; may be repeated.", valueName: "key.path=value"))
  var list: [String] = []
}

/// `--ranks` and `--cluster`.
struct RankOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Ranks, as threads of this process (default: the cluster file's, else 1). Under mpirun or srun the job has them already.",
      valueName: "n"))
  var ranks: Int?

  @Option(help: ArgumentHelp("A cluster file: ranks, deadlines, threads.", valueName: "file"))
  var cluster: String?

  func clusterSettings() throws -> ClusterSettings? {
    try cluster.map { try SettingsFile(path: $0).load(note: FailureReport.warnOnce) }
  }

  func launcher() throws -> Launcher { try Launcher(ranks: ranks, cluster: clusterSettings()) }
}
