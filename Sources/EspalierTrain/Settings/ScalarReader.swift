/// Reads one word of a settings file as the type that is expected there.
///
/// The type decides, not YAML's guessing: `5%` and `no` are text where text is expected, `1e6` is a whole number where one is.
struct ScalarReader {
  let merge: SettingsMerge
  let path: SettingPath
  let limit: SettingLimit?

  func read(_ node: SettingNode, as type: Any.Type?) throws -> SettingValue {
    switch type {
    case is Bool.Type: return .bool(try bool(node))
    case is String.Type: return .text(try text(node))
    case let type as any FixedWidthInteger.Type: return try whole(node, as: type)
    case is any BinaryFloatingPoint.Type: return .number(try number(node))
    case let type as any CaseIterable.Type:
      if let names = Self.names(type) { return .text(try name(node, of: names)) }
      return try anything(node)
    default: return try anything(node)
    }
  }

  private func word(_ node: SettingNode) -> String? {
    switch node.content {
    case .scalar(let text, quoted: false): text
    case .value(let value): value.recipeText
    default: nil
    }
  }

  private func bool(_ node: SettingNode) throws -> Bool {
    switch word(node)?.lowercased() {
    case "true", "yes", "on": return true
    case "false", "no", "off": return false
    default: throw merge.wrong(node, path, "true or false")
    }
  }

  private func text(_ node: SettingNode) throws -> String {
    switch node.content {
    case .scalar(let text, let quoted) where quoted || !node.isEmpty: return text
    case .value(.text(let text)): return text
    case .value(let value) where value != .null: return value.recipeText
    default: throw merge.wrong(node, path, "text")
    }
  }

  private func whole<I: FixedWidthInteger>(_ node: SettingNode, as type: I.Type) throws -> SettingValue {
    let expected = limit?.phrase("whole number") ?? (I.isSigned ? "a whole number" : "a whole number of 0 or more")
    let word = word(node)?.replacing("_", with: "")
    guard let value = word.flatMap({ I($0) ?? Double($0).flatMap(I.init(exactly:)) }) else {
      throw merge.wrong(node, path, expected)
    }
    if let limit, !limit.allows(Double(value)) { throw bad(node, expected) }
    return Int(exactly: value).map(SettingValue.integer) ?? .unsigned(UInt64(value))
  }

  private func number(_ node: SettingNode) throws -> Double {
    let expected = limit?.phrase("number") ?? "a number"
    guard let value = word(node).flatMap({ Double($0.replacing("_", with: "")) }) else {
      throw merge.wrong(node, path, expected)
    }
    guard value.isFinite else { throw bad(node, "a finite number") }
    if let limit, !limit.allows(value) { throw bad(node, expected) }
    return value
  }

  private func name(_ node: SettingNode, of names: [String]) throws -> String {
    guard let text = word(node) ?? (try? text(node)), !node.isEmpty else {
      throw merge.wrong(node, path, "one of \(names.joined(separator: ", "))")
    }
    // YAML would read a plain `off` as a truth value; here the expected names decide.
    guard names.contains(text) else {
      let near = NearestName.find(text, in: names).map { "did you mean '\($0)'?" } ?? ""
      throw merge.wrong(node, path, "one of \(names.joined(separator: ", "))", remedy: near)
    }
    return text
  }

  private static func names<C: CaseIterable>(_ type: C.Type) -> [String]? {
    let names = type.allCases.compactMap { ($0 as? any RawRepresentable)?.rawValue as? String }
    return names.isEmpty ? nil : names
  }

  /// What is written where no type says what it should be: YAML's own reading.
  func anything(_ node: SettingNode) throws -> SettingValue {
    switch node.content {
    case .value(let value): return value
    case .list(let nodes): return .list(try nodes.map(anything))
    case .mapping(let entries):
      return .mapping(
        Dictionary(try entries.map { ($0.key, try anything($0.node)) }, uniquingKeysWith: { _, last in last }))
    case .scalar(let text, quoted: true): return .text(text)
    case .scalar(let text, quoted: false):
      if node.isEmpty { return .null }
      if text == "true" || text == "false" { return .bool(text == "true") }
      if let value = Int(text) { return .integer(value) }
      if let value = Double(text), value.isFinite { return .number(value) }
      return .text(text)
    }
  }

  private func bad(_ node: SettingNode, _ expected: String) -> SettingsError {
    SettingsError(
      .badValue, subject: path.text, place: merge.place(node.origin),
      reason: "\(path.text) must be \(expected), got \(node.got)")
  }
}
