package import EspalierNN

/// Lays what a file states over the defaults of a settings type, checking every key and value where it stands.
///
/// The types of the defaults say what may be written, so a wrong word is refused here, with its line, and what comes out decodes.
package struct SettingsMerge {
  /// What errors call the file.
  let file: String
  let tables: ChoiceTables
  /// The newest version of the recipe's language that is read.
  var newestVersion = SettingsFile.newestVersion
  let notes = SettingsNotes()
  /// The model that the file names, whose options a growth may change.
  var model = ""

  /// - Returns: the whole of the settings, in the form that they encode to.
  /// - Throws: `SettingsError`.
  package func merge(_ node: SettingNode, over base: any Settings, at path: SettingPath) throws -> SettingValue {
    var defaults = try Self.encoded(base)
    let type = Swift.type(of: base)
    let keys = type.fields.map(\.key)
    let limits = (type as? any CheckedSettings.Type)?.limits ?? [:]
    let values = Dictionary(
      Mirror(reflecting: base).children.compactMap { child in child.label.map { ($0, child.value) } },
      uniquingKeysWith: { first, _ in first })

    var origins: [String: SettingNode.Origin] = [:]
    let node = try renaming(node, of: type, at: path)
    for entry in try entries(of: node, at: path) {
      let here = path.appending(entry.key)
      guard keys.contains(entry.key) else {
        throw SettingsError(
          .unknownKey, subject: here.text, place: place(entry.origin), reason: "unknown key '\(here.text)'",
          remedy: NearestName.hint(entry.key, in: keys))
      }
      origins[entry.key] = entry.origin
      defaults[entry.key] = try read(
        entry.node, key: entry.key, as: values[entry.key].map { Swift.type(of: $0) }, over: values[entry.key],
        limit: limits[entry.key], at: here)
    }
    // Choices that the file leaves to the default have options to be filled in as well.
    for (key, value) in values where origins[key] == nil {
      if let choice = value as? Choice {
        let names = (tables[key]?.keys.sorted() ?? []).joined(separator: ", ")
        guard !choice.name.isEmpty else {
          throw SettingsError(
            .conflict, subject: path.appending(key).text, place: place(node.origin),
            reason: "\(path.appending(key).text) is missing", remedy: names.isEmpty ? "" : "name one of \(names)")
        }
        let node = SettingNode(try SettingValue(encoding: choice), origin: .code)
        defaults[key] = try read(node, key: key, as: Choice.self, over: choice, limit: nil, at: path.appending(key))
      }
    }
    return try checked(.mapping(defaults), as: type, node: node, origins: origins, at: path)
  }

  private static func encoded(_ base: any Settings) throws -> [String: SettingValue] {
    guard case .mapping(let entries) = try SettingValue(encoding: base) else {
      preconditionFailure("\(type(of: base)) does not encode to a mapping")
    }
    return entries
  }

  private func entries(
    of node: SettingNode, at path: SettingPath
  ) throws -> [(key: String, origin: SettingNode.Origin, node: SettingNode)] {
    if case .mapping(let entries) = node.content { return entries }
    // A key with everything under it commented out means the defaults.
    if node.isEmpty { return [] }
    throw wrong(node, path, path.text.isEmpty ? "a mapping of settings" : "a mapping of options")
  }

  /// Decodes, lets the settings judge themselves, and encodes again, so that 1 and 1.0 are one number in what is saved.
  private func checked<S: Settings>(
    _ value: SettingValue, as type: S.Type, node: SettingNode, origins: [String: SettingNode.Origin],
    at path: SettingPath
  ) throws -> SettingValue {
    let settings: S
    do {
      settings = try value.decode(as: S.self)
    } catch let error as DecodingError {
      let (keys, what) = Self.details(error)
      let subject = keys.reduce(path) { $0.appending($1) }
      throw SettingsError(
        .wrongType, subject: subject.text, place: place(keys.first.flatMap { origins[$0] } ?? node.origin),
        reason: "\(subject.text) cannot be read: \(what)")
    }
    if let problem = (settings as? any CheckedSettings)?.problems().first {
      throw SettingsError(
        .conflict, subject: path.appending(problem.key).text, place: place(origins[problem.key] ?? node.origin),
        reason: problem.reason, remedy: problem.remedy)
    }
    return try SettingValue(encoding: settings)
  }

  private static func details(_ error: DecodingError) -> (keys: [String], what: String) {
    func keys(_ context: DecodingError.Context) -> [String] {
      context.codingPath.map { key in key.intValue.map { String($0) } ?? key.stringValue }
    }
    switch error {
    case .typeMismatch(_, let context), .valueNotFound(_, let context), .dataCorrupted(let context):
      return (keys(context), context.debugDescription)
    case .keyNotFound(let key, let context): return (keys(context), "the key '\(key.stringValue)' is missing")
    @unknown default: return ([], "\(error)")
    }
  }
}

extension SettingsMerge {
  /// Reads one value as the type that stands there by default.
  func read(
    _ node: SettingNode, key: String, as type: Any.Type?, over base: Any?, limit: SettingLimit?, at path: SettingPath
  ) throws -> SettingValue {
    if let type = type as? any Settings.Type {
      return try merge(node, over: base as? any Settings ?? type.init(), at: path)
    }
    if type is ModelChange.Type { return try modelChange(node, at: path) }
    if type is ModelConstants.Type { return try ScalarReader(merge: self, path: path, limit: nil).anything(node) }
    if type is Choice.Type { return try choice(node, table: tables[key], noun: key, at: path) }
    if let type = type as? any FixedChoice.Type {
      return try choice(node, table: type.table, noun: type.noun, at: path)
    }
    if let list = type as? any SettingList.Type {
      guard case .list(let nodes) = node.content else {
        throw wrong(node, path, "a list: [ … ], or lines that begin with '-'")
      }
      return .list(
        try nodes.enumerated().map { index, item in
          try read(item, key: key, as: list.element, over: nil, limit: limit, at: path.appending(String(index)))
        })
    }
    return try ScalarReader(merge: self, path: path, limit: limit).read(node, as: type)
  }

  private func choice(
    _ node: SettingNode, table: [String: any Settings.Type]?, noun: String, at path: SettingPath
  ) throws -> SettingValue {
    let names = (table?.keys).map { $0.sorted() } ?? []
    let entries: [(key: String, origin: SettingNode.Origin, node: SettingNode)]
    switch node.content {
    case .mapping(let written): entries = written
    case .scalar(let name, _) where !node.isEmpty:
      entries = [(key: name, origin: node.origin, node: SettingNode(.mapping([]), origin: node.origin))]
    case .value(.text(let name)):
      entries = [(key: name, origin: node.origin, node: SettingNode(.mapping([]), origin: node.origin))]
    default: throw wrong(node, path, "one name with its options, as { \(names.first ?? "name"): { … } }")
    }
    if let table {
      for entry in entries where table[entry.key] == nil {
        let hint = NearestName.find(entry.key, in: names).map { "did you mean '\($0)'? " } ?? ""
        throw SettingsError(
          .unknownChoice, subject: path.appending(entry.key).text, place: place(entry.origin),
          reason: "unknown \(noun) '\(entry.key)'", remedy: hint + "known: \(names.joined(separator: ", "))")
      }
    }
    guard let entry = entries.first, entries.count == 1 else {
      throw SettingsError(
        .conflict, subject: path.text, place: place(entries.last?.origin ?? node.origin),
        reason: entries.isEmpty
          ? "\(path.text) names nothing"
          : "\(path.text) names \(entries.count) things, '\(entries.map(\.key).joined(separator: "', '"))'",
        remedy: "name exactly one, as { \(names.first ?? "name"): { … } }")
    }
    let options =
      if let type = table?[entry.key] as? any ScalarSettings.Type, entry.node.isScalar {
        try merge(
          SettingNode(
            .mapping([(key: type.scalarKey, origin: entry.origin, node: entry.node)]), origin: entry.node.origin),
          over: type.init(), at: path.appending(entry.key))
      } else if let type = table?[entry.key] {
        try merge(entry.node, over: type.init(), at: path.appending(entry.key))
      } else {
        try ScalarReader(merge: self, path: path, limit: nil).anything(entry.node)
      }
    return .mapping([entry.key: options])
  }

  /// The options that are written, checked and read as those of the recipe's model.
  private func modelChange(_ node: SettingNode, at path: SettingPath) throws -> SettingValue {
    guard let type = tables["model"]?[model] else {
      return try ScalarReader(merge: self, path: path, limit: nil).anything(node)
    }
    guard case .mapping(let whole) = try merge(node, over: type.init(), at: path) else { return .mapping([:]) }
    let written = Set(try entries(of: node, at: path).map(\.key))
    return .mapping(whole.filter { written.contains($0.key) })
  }

  func place(_ origin: SettingNode.Origin) -> String {
    switch origin {
    case .line(let line): "\(file) line \(line)"
    case .override(let text): "--set \(text)"
    case .code: file
    }
  }

  func wrong(_ node: SettingNode, _ path: SettingPath, _ expected: String, remedy: String = "") -> SettingsError {
    let subject = path.text.isEmpty ? "the file" : path.text
    return SettingsError(
      .wrongType, subject: path.text, place: place(node.origin),
      reason: "\(subject) must be \(expected), got \(node.got)",
      remedy: remedy)
  }
}

/// Any array, asked for the type of its elements.
protocol SettingList {
  static var element: Any.Type { get }
}

extension Array: SettingList {
  static var element: Any.Type { Element.self }
}
