import ArgumentParser
import EspalierMethods
import EspalierNN
import EspalierTrain

struct DescribeCommand: CatalogueCommand {
  static let configuration = CommandConfiguration(
    commandName: "describe",
    abstract:
      "Explains a model, an optimizer, a growth operator, a method, a data set or a part of a recipe: options, defaults, units, paper.",
    discussion: "Without a name it explains the whole recipe; 'cluster' explains cluster files.")

  @Argument(help: "As in `espalier list`, or a key of a recipe, such as batch or schedule.") var name: String?
  @Flag(help: "Print JSON.") var json = false

  func run(_ context: CommandContext) throws -> Int32 {
    let descriptions = try Descriptions(context.catalogue)
    let found = try descriptions.find(name)
    if json {
      try Output.json(found)
    } else {
      Output.write(found.map(\.text).joined(separator: "\n"))
    }
    return 0
  }
}

/// Everything that `espalier describe` can explain.
struct Descriptions {
  struct Entry: Encodable {
    let kind: String
    let name: String
    let summary: String
    let options: [SettingsTable.Row]

    var text: String {
      var text = "\(kind) \(name)\n" + (summary.isEmpty ? "" : summary + "\n")
      for row in options {
        var line = "  \(row.key)"
        if !row.standard.isEmpty { line += " = \(row.standard)" }
        if !row.unit.isEmpty { line += "  [\(row.unit)]" }
        text += line + "\n      \(row.meaning)\n"
      }
      return text
    }
  }

  private var entries: [Entry] = []

  init(_ catalogue: Catalogue) throws {
    let shelf = Shelf(catalogue)
    for (kind, key, noun) in [
      (ListCommand.Kind.models, "model", "model"), (.optimizers, "optimizer", "optimizer"),
      (.growth, "operator", "growth operator"), (.methods, "methods", "continual method"), (.data, "data", "data set"),
    ] {
      for entry in shelf.entries(kind) {
        guard let type = catalogue.choices[key]?[entry.name] else { continue }
        try add(noun, entry.name, entry.summary, SettingsTable(of: type).rows)
      }
    }
    try add("part of a recipe", "recipe", "Everything that a recipe may say.", SettingsTable(of: RunSettings.self).rows)
    try addSections()
    try add(
      "phase of a schedule", "train", "A stretch of ordinary training, an item of the list 'schedule'.",
      SettingsTable(of: TrainPhase.self).rows)
    try add(
      "phase of a schedule", "grow", "A growth of the model, an item of the list 'schedule'.",
      SettingsTable(of: GrowPhase.self).rows + policies("rate", of: GrowthRate.self))
    try add(
      "phase of a schedule", "task", "Learns tasks one after the other, an item of the list 'schedule'.",
      SettingsTable(of: TaskPhase.self).rows)
    try add(
      "part of a phase", "until", "What ends a train phase early.", policies("", of: Until.self))
    try add(
      "part of a phase", "rate", "How the learning rate moves in a phase.", SettingsTable(of: RateSettings.self).rows)
    try add("file", "cluster", "The machines of a run: --cluster FILE.", SettingsTable(of: ClusterSettings.self).rows)
  }

  /// One entry for each key of a recipe.
  private mutating func addSections() throws {
    let rows = try SettingsTable(of: RunSettings.self).rows
    for field in RunSettings.fields
    where !entries.contains(where: { $0.name == field.key && $0.kind == "part of a recipe" }) {
      var own = rows.filter { $0.key == field.key || $0.key.hasPrefix(field.key + ".") }
      switch field.key {
      case "groups": own += try items("groups.*", of: OptimizerGroup.self)
      case "schedule":
        own +=
          try items("schedule.*.train", of: TrainPhase.self) + items("schedule.*.grow", of: GrowPhase.self)
          + items("schedule.*.task", of: TaskPhase.self)
      default: break
      }
      add("part of a recipe", field.key, "", own)
    }
  }

  private func items(_ prefix: String, of type: any Settings.Type) throws -> [SettingsTable.Row] {
    try SettingsTable(of: type).rows.map { $0.under(prefix) }
  }

  /// The options of everything that may be chosen at a key, by name.
  private func policies<Chosen: FixedChoice>(_ prefix: String, of type: Chosen.Type) throws -> [SettingsTable.Row] {
    try type.table.sorted { $0.key < $1.key }.flatMap { name, settings in
      try items(prefix.isEmpty ? name : "\(prefix).\(name)", of: settings)
    }
  }

  private mutating func add(_ kind: String, _ name: String, _ summary: String, _ options: [SettingsTable.Row]) {
    entries.append(Entry(kind: kind, name: name, summary: summary, options: options))
  }

  /// What is called so; the whole recipe for nil.
  /// - Throws: `CommandError` with the nearest name.
  func find(_ name: String?) throws -> [Entry] {
    let wanted = name ?? "recipe"
    let found = entries.filter { $0.name == wanted }
    guard found.isEmpty else { return found }
    let names = Set(entries.map(\.name)).sorted()
    throw CommandError(
      .unknownName, subject: "describe", reason: "nothing is called '\(wanted)'",
      remedy: NearestName.hint(wanted, in: names))
  }
}
