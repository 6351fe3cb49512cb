public import EspalierNN

/// What can be written for a type of settings: every key with its default, unit and meaning.
public struct SettingsTable: Sendable, Equatable {
  /// One key; settings within settings have dotted keys.
  public struct Row: Sendable, Equatable, Codable {
    public let key: String
    /// As a recipe writes it; empty for a key that only holds others.
    public let standard: String
    public let unit: String
    public let meaning: String

    /// The row of the same key further down.
    package func under(_ prefix: String) -> Row {
      Row(key: "\(prefix).\(key)", standard: standard, unit: unit, meaning: meaning)
    }
  }

  public let rows: [Row]

  public init(of type: any Settings.Type) throws {
    var rows: [Row] = []
    try Self.add(type.init(), under: "", to: &rows)
    self.rows = rows
  }

  private static func add(_ settings: any Settings, under prefix: String, to rows: inout [Row]) throws {
    let values = Dictionary(
      Mirror(reflecting: settings).children.compactMap { child in child.label.map { ($0, child.value) } },
      uniquingKeysWith: { first, _ in first })
    let encoded = try SettingValue(encoding: settings)
    for field in type(of: settings).fields {
      let key = prefix + field.key
      let nested = values[field.key] as? any Settings
      let phases = values[field.key] as? [any FixedChoice] ?? []
      let standard =
        nested == nil && phases.isEmpty
        ? Self.standard(values[field.key]) ?? encoded[field.key]?.recipeText ?? "" : ""
      rows.append(Row(key: key, standard: standard, unit: field.unit, meaning: field.meaning))
      if let nested { try add(nested, under: key + ".", to: &rows) }
      for (index, phase) in phases.enumerated() {
        try add(phase.settings, under: "\(key).\(index).\(phase.name).", to: &rows)
      }
    }
  }

  /// A choice by its name alone where its options have their own rows or it has none.
  private static func standard(_ value: Any?) -> String? {
    if let choice = value as? any FixedChoice { return choice.name }
    return (value as? Choice)?.name.isEmpty == true ? "" : nil
  }

  /// Columns for a terminal: key, default, unit, and the meaning below.
  public var text: String {
    let key = rows.map(\.key.count).max() ?? 0
    let standard = min(rows.map(\.standard.count).max() ?? 0, 24)
    func pad(_ text: String, _ width: Int) -> String {
      text + String(repeating: " ", count: max(0, width - text.count))
    }
    return rows.map { row in
      var line = pad(row.key, key) + "  " + pad(row.standard, standard) + "  " + row.unit
      while line.last == " " { line.removeLast() }
      return line + "\n    " + row.meaning
    }.joined(separator: "\n") + "\n"
  }
}

/// Writes a whole recipe with a comment for every key: what `espalier init` puts into a new file.
public enum CommentedRecipe {
  /// - Parameter choices: the known models, optimizers and data sets, whose options are commented too.
  /// - Returns: YAML that loads to `settings`.
  public static func text(
    _ settings: some Settings, heading: String, choices: ChoiceTables = [:]
  ) throws -> String {
    var lines = heading.split(separator: "\n").map { "# \($0)" } + [""]
    try add(settings, choices: choices, indent: 0, to: &lines)
    return lines.joined(separator: "\n") + "\n"
  }

  private static func add(_ settings: any Settings, choices: ChoiceTables, indent: Int, to lines: inout [String]) throws
  {
    let values = Dictionary(
      Mirror(reflecting: settings).children.compactMap { child in child.label.map { ($0, child.value) } },
      uniquingKeysWith: { first, _ in first })
    let encoded = try SettingValue(encoding: settings)
    let margin = String(repeating: " ", count: indent)
    for field in type(of: settings).fields {
      let unit = field.unit.isEmpty ? [] : ["[\(field.unit)]"]
      lines += wrapped(field.meaning.split(separator: " ").map(String.init) + unit, margin: margin + "# ")
      let value = values[field.key]
      if let nested = value as? any Settings {
        lines.append("\(margin)\(field.key):")
        try add(nested, choices: choices, indent: indent + 2, to: &lines)
      } else if let choice = value as? Choice {
        if let names = choices[field.key]?.keys.sorted(), names.count > 1 {
          lines.append("\(margin)# Known: \(names.joined(separator: ", "))")
        }
        lines.append("\(margin)\(field.key):")
        try add(choice, in: choices[field.key], choices: choices, indent: indent + 2, to: &lines)
      } else if let phases = value as? [any FixedChoice], !phases.isEmpty {
        lines.append("\(margin)\(field.key):")
        for phase in phases {
          lines.append("\(margin)  - \(phase.name):")
          try add(phase.settings, choices: choices, indent: indent + 6, to: &lines)
        }
      } else {
        lines.append("\(margin)\(field.key): \((encoded[field.key] ?? .null).recipeText)")
      }
      if indent == 0 { lines.append("") }
    }
  }

  private static func add(
    _ choice: Choice, in table: [String: any Settings.Type]?, choices: ChoiceTables, indent: Int,
    to lines: inout [String]
  ) throws {
    let margin = String(repeating: " ", count: indent)
    guard let type = table?[choice.name], !type.fields.isEmpty else {
      lines.append("\(margin)\(choice.name): \(choice.options.recipeText)")
      return
    }
    lines.append("\(margin)\(choice.name):")
    func settings<S: Settings>(_ type: S.Type) throws -> any Settings { try choice.settings(as: S.self) }
    try add(try settings(type), choices: choices, indent: indent + 2, to: &lines)
  }

  private static func wrapped(_ words: [String], margin: String, width: Int = 100) -> [String] {
    var lines: [String] = [], line = margin
    for word in words {
      if line.count + word.count > width, line != margin {
        lines.append(String(line.dropLast()))
        line = margin
      }
      line += word + " "
    }
    return lines + [String(line.dropLast())]
  }
}
