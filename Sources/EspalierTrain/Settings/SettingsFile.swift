public import EspalierNN
import Foundation

/// A recipe or cluster file: YAML that states what differs from the defaults.
///
///     let settings = try SettingsFile(path: "launch/recipes/first.yaml")
///       .load(RunSettings.self, overrides: ["stage=3"], choices: catalogue.choices)
public struct SettingsFile: Sendable {
  /// What errors call the file.
  public let name: String
  private let text: String
  /// The newest `version:` that this build reads.
  package static let newestVersion = 1

  public init(text: String, name: String) {
    self.text = text
    self.name = name
  }

  /// - Throws: `SettingsError` of kind `.unreadable` or `.tooLarge`.
  public init(path: String) throws {
    let bytes: Data
    do {
      bytes = try Data(contentsOf: URL(filePath: path))
    } catch {
      var isFolder: ObjCBool = false
      let exists = FileManager.default.fileExists(atPath: path, isDirectory: &isFolder)
      throw SettingsError(
        .unreadable, subject: path, place: path,
        reason: isFolder.boolValue
          ? "this is a folder, not a settings file" : exists ? "the file cannot be read" : "there is no such file",
        remedy: exists ? "" : Self.neighbours(of: path))
    }
    guard bytes.count <= SettingsReader.maximumBytes else {
      throw SettingsError(
        .tooLarge, place: path, reason: "a settings file has at most \(SettingsReader.maximumBytes) bytes")
    }
    guard let text = String(validating: bytes, as: UTF8.self) else {
      throw SettingsError(.notYAML, place: path, reason: "this is not text: settings are YAML in UTF-8")
    }
    self.init(text: text, name: path)
  }

  /// The settings: defaults, then the file, then the overrides in their order.
  /// - Parameters:
  ///   - overrides: as `a.b.0.c=value`, the value in YAML.
  ///   - choices: the names that may be chosen at keys that hold a `Choice`.
  ///   - note: is told what a person should know of what is written there, as old names of keys.
  /// - Throws: `SettingsError`.
  public func load<S: Settings>(
    _ type: S.Type = S.self, overrides: [String] = [], choices: ChoiceTables = [:], note: (String) -> Void = { _ in }
  ) throws -> S {
    var tree = try SettingsReader.read(text, place: name) ?? SettingNode(.mapping([]), origin: .code)
    var merge = SettingsMerge(file: name, tables: choices)
    // First of all: in a newer version's file everything else would look like a mistake.
    try checkVersion(tree, merge)
    let defaults = try SettingValue(encoding: S())
    for override in overrides { tree = try SettingOverride(override).apply(to: tree, defaults: defaults) }
    merge.model = tree.chosen("model") ?? (S() as? RunSettings)?.model.name ?? ""
    let settings = try merge.merge(tree, over: S(), at: SettingPath()).decode(as: S.self)
    merge.notes.lines.forEach(note)
    return settings
  }

  /// What the file states, as it stands: nothing is merged or checked.
  /// - Throws: `SettingsError` for text that is no YAML.
  package func value() throws -> SettingValue {
    guard let tree = try SettingsReader.read(text, place: name) else { return .mapping([:]) }
    return try ScalarReader(merge: SettingsMerge(file: name, tables: [:]), path: SettingPath(), limit: nil).anything(
      tree)
  }

  private func checkVersion(_ tree: SettingNode, _ merge: SettingsMerge) throws {
    guard case .mapping(let entries) = tree.content, let entry = entries.first(where: { $0.key == "version" }) else {
      return
    }
    let path = SettingPath("version")
    let value = try ScalarReader(merge: merge, path: path, limit: .positive).read(entry.node, as: Int.self)
    guard case .integer(let version) = value, version <= Self.newestVersion else {
      throw SettingsError(
        .newerVersion, subject: "version", place: merge.place(entry.origin),
        reason:
          "version \(value.recipeText) is newer than version \(Self.newestVersion), the newest that this espalier reads",
        remedy: "update espalier")
    }
  }

  private static func neighbours(of path: String) -> String {
    let url = URL(filePath: path)
    let names = (try? FileManager.default.contentsOfDirectory(atPath: url.deletingLastPathComponent().path)) ?? []
    let files = names.filter { $0.hasSuffix(".yaml") || $0.hasSuffix(".yml") }.sorted()
    return NearestName.hint(url.lastPathComponent, in: files, noun: "that folder has")
  }
}

/// One `--set a.b.0.c=value`.
package struct SettingOverride {
  let text: String
  let keys: [String]
  let value: SettingNode

  package init(_ text: String) throws {
    self.text = text
    let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
    let keys = parts[0].split(separator: ".", omittingEmptySubsequences: false).map(String.init)
    guard parts.count == 2, !keys.contains(where: \.isEmpty) else {
      throw SettingsError(
        .badOverride, subject: text, place: "--set \(text)", reason: "an override is key=value",
        remedy: "write it as schedule.0.train.steps=20")
    }
    self.keys = keys
    value =
      try SettingsReader.read(String(parts[1]), place: "--set \(text)", override: text)
      ?? SettingNode(.scalar("", quoted: true), origin: .override(text))
  }

  /// The tree with the value in its place; lists that only the defaults state are taken from there.
  package func apply(to tree: SettingNode, defaults: SettingValue) throws -> SettingNode {
    try set(keys[...], in: tree, defaults: defaults, path: SettingPath())
  }

  private func set(
    _ keys: ArraySlice<String>, in node: SettingNode?, defaults: SettingValue?, path: SettingPath
  ) throws -> SettingNode {
    guard let key = keys.first else { return value }
    let origin = SettingNode.Origin.override(text)
    var node = node
    if node == nil || node?.isEmpty == true, case .list(_) = defaults {
      node = defaults.map { SettingNode($0, origin: .code) }
    }

    if case .list(var items) = node?.content {
      guard let index = Int(key), items.indices.contains(index) else {
        throw SettingsError(
          .badOverride, subject: path.appending(key).text, place: "--set \(text)",
          reason: "\(path.text) is a list of \(items.count), which has no item '\(key)'",
          remedy: items.isEmpty ? "set the whole list" : "its items are 0 to \(items.count - 1)")
      }
      items[index] = try set(keys.dropFirst(), in: items[index], defaults: nil, path: path.appending(key))
      return SettingNode(.list(items), origin: origin)
    }

    var entries: [(key: String, origin: SettingNode.Origin, node: SettingNode)] = []
    switch node?.content {
    case .mapping(let written): entries = written
    case .scalar(let name, _) where name == key:
      entries = [(key: name, origin: origin, node: SettingNode(.mapping([]), origin: origin))]
    case nil: break
    case .some(_) where node?.isEmpty == true: break
    default:
      throw SettingsError(
        .badOverride, subject: path.text, place: "--set \(text)",
        reason: "\(path.text) is \(node?.got ?? "nothing"), which has nothing under it")
    }
    let index = entries.firstIndex { $0.key == key }
    let changed = try set(
      keys.dropFirst(), in: index.map { entries[$0].node }, defaults: defaults?[key], path: path.appending(key))
    if let index {
      entries[index] = (key: key, origin: origin, node: changed)
    } else {
      entries.append((key: key, origin: origin, node: changed))
    }
    return SettingNode(.mapping(entries), origin: node?.origin ?? origin)
  }
}
