import ArgumentParser
import EspalierMethods
import EspalierNN
import EspalierState
import EspalierTrain

struct ListCommand: CatalogueCommand {
  enum Kind: String, CaseIterable, ExpressibleByArgument { case models, optimizers, growth, methods, data }

  static let configuration = CommandConfiguration(
    commandName: "list",
    abstract: "Lists the models, optimizers, growth operators, continual methods and data sets that a recipe may name.")

  @Argument(help: "Only these: models, optimizers, growth, methods or data.") var kind: Kind?
  @Flag(help: "Print JSON.") var json = false

  func run(_ context: CommandContext) throws -> Int32 {
    let shelf = Shelf(context.catalogue)
    let kinds = kind.map { [$0] } ?? Kind.allCases
    if json {
      try Output.json(Dictionary(uniqueKeysWithValues: kinds.map { ($0.rawValue, shelf.entries($0)) }))
      return 0
    }
    for (index, kind) in kinds.enumerated() {
      Output.line((index > 0 ? "\n" : "") + kind.rawValue)
      Output.write(TextTable.pairs(shelf.entries(kind).map { ($0.name, $0.summary) }, indent: 2))
    }
    return 0
  }
}

/// What a recipe may name, with a sentence for each.
struct Shelf {
  struct Entry: Encodable, Sendable {
    let name: String
    /// One sentence, with the paper.
    let summary: String
  }

  private let catalogue: Catalogue
  init(_ catalogue: Catalogue) { self.catalogue = catalogue }

  /// By name.
  func entries(_ kind: ListCommand.Kind) -> [Entry] {
    let entries =
      switch kind {
      case .models: catalogue.models.map { Entry(name: $0.name, summary: $0.summary) }
      case .optimizers: catalogue.optimizers.map { Entry(name: $0.name, summary: $0.summary) }
      case .growth: catalogue.growth.map { Entry(name: $0.name, summary: $0.summary) }
      case .methods: catalogue.continual.map { Entry(name: $0.name, summary: $0.summary) }
      case .data:
        DataCatalogue.standard.map { Entry(name: $0.key, summary: ($0.value as? any DataSettings.Type)?.summary ?? "") }
      }
    return entries.sorted { $0.name < $1.name }
  }
}
