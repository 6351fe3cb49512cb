/// One setting that a resumed run has otherwise than the run before it.
public struct SettingsChange: Sendable, Equatable, Codable {
  /// The key path: `batch.lanes`.
  public let key: String
  /// Both values as a recipe writes them; empty where one side has no such setting.
  public let old: String
  public let new: String
  /// Whether a run may be resumed so without `--allow`.
  public let isFree: Bool

  public init(key: String, old: String, new: String, isFree: Bool) {
    self.key = key
    self.old = old
    self.new = new
    self.isFree = isFree
  }

  /// Settings that only say what happens next, or where and how it is computed, and that what was learnt does not depend on.
  static let freeKeys = [
    "schedule", "optimizer.*.rate", "optimizer.*.adamRate",
    "groups.*.rate", "evaluate", "save", "log", "stage", "threads", "recompute",
    "reduction", "wire", "checks",
    "nonFinite", "timeLimit",
  ]
  /// Where the data lie; free while they are the same data.
  static let placeKeys = [
    "data.*.path", "data.*.validation", "data.*.maximumBytes",
    "tasks.sets.*.*.path", "tasks.sets.*.*.validation", "tasks.sets.*.*.maximumBytes",
  ]

  /// Every difference between two resolved settings, in the order of their keys.
  /// - Parameter sameData: whether `Dataset.contentHash` is what it was, so that a text may have moved.
  public static func compare(old: RunSettings, new: RunSettings, sameData: Bool) throws -> [SettingsChange] {
    compare(old: try SettingValue(encoding: old), new: try SettingValue(encoding: new), sameData: sameData)
  }

  /// As above, for settings as they were written down, perhaps by another build.
  static func compare(old: SettingValue, new: SettingValue, sameData: Bool) -> [SettingsChange] {
    let before = flat(old), after = flat(new)
    return Set(before.keys).union(after.keys).sorted().compactMap { key in
      guard before[key] != after[key] else { return nil }
      let free = matches(key, freeKeys) || (sameData && matches(key, placeKeys))
      return SettingsChange(key: key, old: before[key] ?? "", new: after[key] ?? "", isFree: free)
    }
  }

  /// The changes that a resume is refused for.
  /// - Parameter allowed: the keys of `--allow`; each stands for everything below it as well.
  public static func refused(_ changes: [SettingsChange], allowing allowed: [String]) -> [SettingsChange] {
    changes.filter { !$0.isFree && !matches($0.key, allowed) }
  }

  /// Refuses a resume with changes that are neither free nor allowed.
  /// - Throws: `SettingsError` of kind `.refusedChange`, which lists them.
  public static func check(_ changes: [SettingsChange], allowing allowed: [String]) throws {
    let refused = refused(changes, allowing: allowed)
    guard let first = refused.first else { return }
    let flags = Set(refused.map { $0.key.split(separator: ".").prefix(2).joined(separator: ".") }).sorted()
    throw SettingsError(
      .refusedChange, subject: first.key,
      reason: "the run cannot be resumed with other settings than it began with: "
        + refused.map(\.description).joined(separator: ", "),
      remedy: "undo them, or resume knowingly with " + flags.map { "--allow \($0)" }.joined(separator: " "))
  }

  /// Whether a key is one of the patterns or lies below one; `*` stands for one part of a key.
  private static func matches(_ key: String, _ patterns: [String]) -> Bool {
    let parts = key.split(separator: ".")
    return patterns.contains { pattern in
      let wanted = pattern.split(separator: ".")
      return wanted.count <= parts.count && zip(wanted, parts).allSatisfy { $0 == "*" || $0 == $1 }
    }
  }

  /// Every value by its key path, as a recipe writes it.
  static func flat(_ settings: SettingValue) -> [String: String] {
    var result: [String: String] = [:]
    flatten(settings, at: "", into: &result)
    return result
  }

  private static func flatten(_ value: SettingValue, at path: String, into result: inout [String: String]) {
    func below(_ key: String) -> String { path.isEmpty ? key : path + "." + key }
    switch value {
    case .mapping(let entries) where !entries.isEmpty:
      for (key, value) in entries { flatten(value, at: below(key), into: &result) }
    case .list(let items) where !items.isEmpty:
      for (index, item) in items.enumerated() { flatten(item, at: below(String(index)), into: &result) }
    default: result[path] = value.recipeText
    }
  }
}

extension SettingsChange: CustomStringConvertible {
  public var description: String {
    func text(_ value: String) -> String { value.isEmpty ? "nothing" : value }
    return "\(key) from \(text(old)) to \(text(new))"
  }
}
