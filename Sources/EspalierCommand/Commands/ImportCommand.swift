import ArgumentParser
import EspalierMethods
import EspalierNN
import EspalierState
import EspalierTrain

struct ImportCommand: CatalogueCommand {
  static let configuration = CommandConfiguration(
    commandName: "import",
    abstract: "Makes a checkpoint of a safetensors file, for a run to start from.",
    discussion: """
      The recipe says which model the weights are for; F32, F16 and BF16 are widened exactly. A run begins from it with \
      `start: { from: TO, slots: [value] }`. Everything that is missing, superfluous or of another shape is named.
      """)

  @Argument(help: ArgumentHelp("A safetensors file.", valueName: "file")) var file: String
  @Argument(help: ArgumentHelp("The folder of the checkpoint to make.", valueName: "to")) var destination: String
  @Option(help: ArgumentHelp("The recipe whose model it is.", valueName: "recipe")) var recipe: String
  @OptionGroup var overrides: OverrideOptions

  @Option(
    help: ArgumentHelp(
      "Whose names the tensors have: espalier, or a table of the model's (default: what the file says, else espalier).",
      valueName: "table"))
  var names: String?

  @Flag(help: "Print JSON.") var json = false

  func run(_ context: CommandContext) throws -> Int32 {
    let reader = try SafetensorsReader(file)
    let settings = try RunSettings(
      recipe: SettingsFile(path: recipe), overrides: overrides.list, choices: context.catalogue.choices,
      note: FailureReport.warnOnce)
    let run = try ResolvedRun(settings, catalogue: context.catalogue)
    let said = reader.header.metadata[CheckpointExport.metadataPrefix + "names"]
    let table = try context.catalogue.nameTable(names ?? said ?? NameTable.identityName, run.settings.model)
    let state = try TrainingState(imported: file, for: run)
    var folder = destination
    while folder.count > 1, folder.hasSuffix("/") { folder.removeLast() }
    let report = try CheckpointImport(reader, blueprint: run.blueprint, table: table)
      .write(to: folder, state: state.encoded())
    for note in report.notes { FailureReport.warn(note) }
    if json {
      try Output.json(report)
    } else {
      Output.line(
        "made \(report.path): \(Amount.count(report.tensors, "tensor")), \(Amount.grouped(report.elements)) elements, "
          + "digest \(report.digest)")
      Output.line("start from it with  start: { from: \(SettingValue.text(report.path).recipeText), slots: [value] }")
    }
    return 0
  }
}
