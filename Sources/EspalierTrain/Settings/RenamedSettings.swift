public import EspalierNN

/// Settings some of whose keys had another name before.
public protocol RenamedSettings: Settings {
  /// Key paths relative to these settings.
  static var renamed: [RenamedSetting] { get }
}

/// A key that has a new name. The old one is still taken, with a note, by builds whose newest recipe version is `since`; later
/// builds refuse it and name the new one.
public struct RenamedSetting: Sendable, Equatable {
  /// `keepLast`, `files.keepLast`
  public let old: String
  public let new: String
  /// The version of the recipe's language that has the new name first.
  public let since: Int

  public init(_ old: String, to new: String, since: Int) {
    self.old = old
    self.new = new
    self.since = since
  }
}

/// What a person should know of a file that was read, each line once.
package final class SettingsNotes {
  package private(set) var lines: [String] = []
  package init() {}
  func add(_ line: String) { if !lines.contains(line) { lines.append(line) } }
}

extension SettingsMerge {
  /// The settings with old keys under their new names.
  ///
  /// An override stands above the file whichever of the two names either has; both names in the file, or both in overrides, are
  /// an error.
  func renaming(_ node: SettingNode, of type: any Settings.Type, at path: SettingPath) throws -> SettingNode {
    guard let renamed = (type as? any RenamedSettings.Type)?.renamed, !renamed.isEmpty else { return node }
    return try renamed.reduce(node) { node, change in
      let old = change.old.split(separator: ".").map(String.init)[...]
      let new = change.new.split(separator: ".").map(String.init)[...]
      guard let found = node.entry(old) else { return node }
      let (before, after) = (path.appending(change.old).text, path.appending(change.new).text)
      guard change.since >= newestVersion else {
        throw SettingsError(
          .unknownKey, subject: before, place: place(found.origin), reason: "unknown key '\(before)'",
          remedy: "since version \(change.since) of the recipe's language it is '\(after)'")
      }
      if let present = node.entry(new) {
        guard found.origin.isOverride != present.origin.isOverride else {
          throw SettingsError(
            .conflict, subject: before, place: place(found.origin),
            reason: "'\(before)' is now '\(after)', which is given as well (\(place(present.origin)))",
            remedy: "keep '\(after)' alone")
        }
      }
      notes.add(
        "\(place(found.origin)): '\(before)' is now '\(after)'; the old name is read until version \(change.since + 1)")
      let rest = node.removing(old)
      if let present = node.entry(new), present.origin.isOverride { return rest }
      return try rest.setting(new, found)
        ?? {
          throw SettingsError(
            .conflict, subject: before, place: place(found.origin),
            reason: "'\(before)' is now '\(after)', which cannot stand beside what is written there",
            remedy: "write '\(after)'")
        }()
    }
  }
}

extension SettingNode.Origin {
  fileprivate var isOverride: Bool { if case .override = self { true } else { false } }
}

extension SettingNode {
  fileprivate typealias Entry = (key: String, origin: Origin, node: SettingNode)

  private var entries: [Entry]? {
    if case .mapping(let entries) = content { return entries }
    return isEmpty ? [] : nil
  }

  fileprivate func entry(_ path: ArraySlice<String>) -> Entry? {
    guard let key = path.first, let found = entries?.first(where: { $0.key == key }) else { return nil }
    return path.count == 1 ? found : found.node.entry(path.dropFirst())
  }

  /// Without the entry, nor the mappings above it that held nothing else.
  fileprivate func removing(_ path: ArraySlice<String>) -> SettingNode {
    guard let key = path.first, let entries else { return self }
    let kept = entries.compactMap { entry -> Entry? in
      guard entry.key == key else { return entry }
      guard path.count > 1 else { return nil }
      let inner = entry.node.removing(path.dropFirst())
      return inner.entries?.isEmpty == true ? nil : (entry.key, entry.origin, inner)
    }
    return SettingNode(.mapping(kept), origin: origin)
  }

  /// With the value of `entry` at the path; nil where something that is no mapping stands in the way.
  fileprivate func setting(_ path: ArraySlice<String>, _ entry: Entry) -> SettingNode? {
    guard let key = path.first, var entries else { return nil }
    let index = entries.firstIndex { $0.key == key }
    let inner: SettingNode
    if path.count == 1 {
      inner = entry.node
    } else {
      let below = index.map { entries[$0].node } ?? SettingNode(.mapping([]), origin: entry.origin)
      guard let changed = below.setting(path.dropFirst(), entry) else { return nil }
      inner = changed
    }
    if let index {
      entries[index] = (key, path.count == 1 ? entry.origin : entries[index].origin, inner)
    } else {
      entries.append((key, entry.origin, inner))
    }
    return SettingNode(.mapping(entries), origin: origin)
  }
}
