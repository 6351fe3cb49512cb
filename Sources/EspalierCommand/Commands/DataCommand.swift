import ArgumentParser
import EspalierMethods
import EspalierTrain

struct DataCommand: CatalogueCommand {
  static let configuration = CommandConfiguration(
    commandName: "data",
    abstract: "Shows data: counts, bytes, first samples.",
    discussion: """
      A recipe (*.yaml) shows its data as its model reads them, and its tasks. A folder of images, as IDX, .npy or raw arrays, is opened \
      as such; any other path as text: a file, a folder or a quoted pattern, plain or zstd.
      """)

  @Argument(help: ArgumentHelp("A text, a folder of images, or a recipe.", valueName: "path-or-recipe")) var path:
    String
  @OptionGroup var overrides: OverrideOptions
  @Option(help: ArgumentHelp("How many samples to show.", valueName: "n")) var samples = 3
  @Flag(help: "Print JSON.") var json = false

  func validate() throws {
    guard samples >= 0 else { throw ValidationError("--samples must be 0 or more, not \(samples).") }
  }

  func run(_ context: CommandContext) throws -> Int32 {
    let (splits, tasks) = try open(context.catalogue)
    let reports = [("training", splits.training)] + (splits.validation.map { [("validation", $0)] } ?? [])
    let sets = try reports.map { try DataReport(name: $0.0, $0.1, samples: samples) }
    if json {
      try Output.json(sets + SequenceReport.sets(tasks ?? []))
    } else {
      Output.write((sets.map(\.text) + (tasks.map { [SequenceReport.text($0)] } ?? [])).joined(separator: "\n"))
    }
    return 0
  }

  private func open(_ catalogue: Catalogue) throws -> (DataSplits, [TaskData]?) {
    guard path.hasSuffix(".yaml") || path.hasSuffix(".yml") else {
      let kind = ImageFolder.isThere(path) ? "images" : "text"
      let settings = try RunSettings(
        recipe: SettingsFile(text: "{}", name: "data"),
        overrides: ["data={ \(kind): { path: \(SettingValue.text(path).recipeText) } }"] + overrides.list,
        choices: catalogue.choices)
      return try open(settings, catalogue)
    }
    return try open(
      RunSettings(
        recipe: SettingsFile(path: path), overrides: overrides.list, choices: catalogue.choices,
        note: FailureReport.warnOnce), catalogue)
  }

  /// Tasks as well, where there are any, and then all of them together as the data.
  private func open(_ settings: RunSettings, _ catalogue: Catalogue) throws -> (DataSplits, [TaskData]?) {
    let context = try catalogue.context(settings.model)
    if let sequence = try TaskSequence.open(settings.tasks, data: settings.data, context: context) {
      return (sequence.joint, sequence.tasks)
    }
    return (try DataCatalogue.open(settings.data, context: context), nil)
  }
}
