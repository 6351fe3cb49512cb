import ArgumentParser
import EspalierMethods
import EspalierNN
import EspalierTrain
import Foundation

struct InitCommand: CatalogueCommand {
  static let configuration = CommandConfiguration(
    commandName: "init",
    abstract: "Writes a recipe with a comment for every option.",
    discussion: "Everything in it is a default or may be left out; keep what you change.")

  @Argument(help: "The file to write (default: standard output); one that exists is left alone.") var file: String?
  @Option(help: ArgumentHelp("The model.", valueName: "name")) var model = "decoder"

  func run(_ context: CommandContext) throws -> Int32 {
    let text = try Self.recipe(model: model, context.catalogue)
    guard let file else {
      Output.write(text)
      return 0
    }
    do {
      try Data(text.utf8).write(to: URL(filePath: file), options: .withoutOverwriting)
    } catch let error as CocoaError where error.code == .fileWriteFileExists {
      throw CommandError(
        .fileExists, subject: file, reason: "the file exists and is left alone",
        remedy: "name another file, or move this one away")
    } catch {
      throw CommandError(
        .fileExists, subject: file, reason: "the file cannot be written",
        remedy: "check that its folder exists and may be written to")
    }
    FailureReport.warn("wrote \(file); see `espalier check \(file)`")
    return 0
  }

  /// A recipe that loads to the defaults of a model, with data that suit it.
  static func recipe(model name: String, _ catalogue: Catalogue) throws -> String {
    guard let type = catalogue.models.first(where: { $0.name == name }) else {
      throw CommandError(
        .unknownName, subject: "--model", reason: "there is no model '\(name)'",
        remedy: NearestName.hint(name, in: catalogue.models.map { $0.name }.sorted()))
    }
    var settings = RunSettings()
    settings.model = Choice(name)
    if readsText(type) {
      settings.data = try Choice("text", settings: TextSettings(path: "launch/data/pride-and-prejudice.txt"))
    } else {
      var data = SyntheticSettings()
      data.kind = .classes
      settings.data = try Choice("synthetic", settings: data)
    }
    var phase = TrainPhase()
    phase.steps = 400
    settings.schedule = [.train(phase)]
    return try CommentedRecipe.text(
      settings,
      heading: """
        A recipe of Espalier: all that decides what a run computes. Every option stands here with its default.
        What is left out has its default; `espalier check FILE` reads the recipe, `espalier train FILE` runs it.
        """, choices: catalogue.choices)
  }

  /// Whether a model with its defaults takes bytes of text.
  private static func readsText<M: Model>(_ type: M.Type) -> Bool {
    (try? M.validated(M.Configuration(), for: DataDescription(classes: 256))) != nil
  }
}
