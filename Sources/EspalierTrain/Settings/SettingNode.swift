import Foundation
import Yams

/// A piece of a settings file that remembers where it was written.
package struct SettingNode {
  package enum Origin: Equatable {
    case line(Int)
    /// The whole text of the override: `batch.samples=16`.
    case override(String)
    /// A default, or a value that a program made.
    case code
  }

  package indirect enum Content {
    /// As written; `quoted` when it can only be text.
    case scalar(String, quoted: Bool)
    /// A value that needs no reading.
    case value(SettingValue)
    case list([SettingNode])
    case mapping([(key: String, origin: Origin, node: SettingNode)])
  }

  package let content: Content
  package let origin: Origin

  package init(_ content: Content, origin: Origin) {
    self.content = content
    self.origin = origin
  }

  package init(_ value: SettingValue, origin: Origin) {
    self.origin = origin
    switch value {
    case .list(let values): content = .list(values.map { SettingNode($0, origin: origin) })
    case .mapping(let entries):
      content = .mapping(
        entries.sorted { $0.key < $1.key }.map {
          (key: $0.key, origin: origin, node: SettingNode($0.value, origin: origin))
        })
    default: content = .value(value)
    }
  }

  /// Nothing was written after the key.
  package var isEmpty: Bool {
    switch content {
    case .scalar(let text, let quoted): !quoted && ["", "~", "null", "Null", "NULL"].contains(text)
    case .value(let value): value == .null
    default: false
    }
  }

  /// One word, and not nothing.
  package var isScalar: Bool {
    switch content {
    case .scalar: !isEmpty
    case .value(.list), .value(.mapping), .value(.null): false
    case .value: true
    default: false
    }
  }

  /// The one name that stands at a key: `key: name` or `key: { name: … }`.
  package func chosen(_ key: String) -> String? {
    guard case .mapping(let entries) = content, let node = entries.first(where: { $0.key == key })?.node else {
      return nil
    }
    return switch node.content {
    case .scalar(let name, _): name
    case .value(.text(let name)): name
    case .mapping(let names): names.first?.key
    default: nil
    }
  }

  /// What was written, for "got …".
  package var got: String {
    switch content {
    case .scalar(_, _) where isEmpty: "nothing"
    case .scalar(let text, let quoted): (quoted ? "the quoted text " : "") + "'\(text.prefix(80))'"
    case .value(let value): "'\(value.recipeText.prefix(80))'"
    case .list(_): "a list"
    case .mapping(_): "a mapping"
    }
  }
}

/// Where a setting stands: `schedule.0.train.steps`.
package struct SettingPath {
  package let text: String
  package init(_ text: String = "") { self.text = text }
  package func appending(_ key: String) -> SettingPath { SettingPath(text.isEmpty ? key : text + "." + key) }
  package var last: String { String(text.split(separator: ".").last ?? "") }
}

/// Reads YAML into nodes, with limits that a recipe never meets and a hostile file does.
package enum SettingsReader {
  package static let maximumBytes = 1 << 20
  package static let maximumNodes = 100_000
  package static let maximumDepth = 64

  /// - Parameter place: what to call the text in errors: a file's name, or `--set key=value`.
  /// - Returns: nil where the text holds nothing.
  /// - Throws: `SettingsError`.
  package static func read(_ text: String, place: String, override: String? = nil) throws -> SettingNode? {
    guard text.utf8.count <= maximumBytes else {
      throw SettingsError(.tooLarge, place: place, reason: "a settings file has at most \(maximumBytes) bytes")
    }
    func at(_ line: Int) -> String { override == nil ? "\(place) line \(line)" : place }
    let root: Node?
    do {
      root = try compose(yaml: text)
    } catch let error as YamlError {
      switch error {
      case .duplicatedKeysInMapping(let names, let context):
        throw SettingsError(
          .duplicateKey, subject: names.first ?? "", place: at(context.mark.line),
          reason: "the key '\(names.joined(separator: "', '"))' is written twice in the mapping that begins here",
          remedy: "keep one of them")
      case .scanner(_, let problem, let mark, _), .parser(_, let problem, let mark, _),
        .composer(_, let problem, let mark, _):
        throw SettingsError(.notYAML, place: at(mark.line), reason: "this is not YAML: \(problem)")
      default:
        throw SettingsError(.notYAML, place: place, reason: "this is not YAML that can be read")
      }
    }
    guard let root else { return nil }
    var remaining = maximumNodes
    return try convert(root, place: place, override: override, depth: 0, remaining: &remaining)
  }

  private static func convert(
    _ node: Node, place: String, override: String?, depth: Int, remaining: inout Int
  ) throws -> SettingNode {
    let line = node.mark?.line ?? 1
    let origin = override.map { SettingNode.Origin.override($0) } ?? .line(line)
    let here = override == nil ? "\(place) line \(line)" : place
    remaining -= 1
    // Aliases are expanded here, so a file of a few lines can stand for billions of values.
    guard remaining > 0, depth < maximumDepth else {
      throw SettingsError(
        .tooLarge, place: here,
        reason: "settings hold at most \(maximumNodes) values in \(maximumDepth) levels, aliases expanded")
    }
    switch node {
    case .scalar(let scalar):
      return SettingNode(.scalar(scalar.string, quoted: scalar.style != .plain && scalar.style != .any), origin: origin)
    case .sequence(let sequence):
      return SettingNode(
        .list(
          try sequence.map {
            try convert($0, place: place, override: override, depth: depth + 1, remaining: &remaining)
          }), origin: origin)
    case .mapping(let mapping):
      var entries: [(key: String, origin: SettingNode.Origin, node: SettingNode)] = []
      var seen: Set<String> = []
      for (key, value) in mapping {
        let keyLine = key.mark?.line ?? line
        guard case .scalar(let name) = key else {
          throw SettingsError(.notYAML, place: here, reason: "a key must be a plain word")
        }
        guard seen.insert(name.string).inserted else {
          throw SettingsError(
            .duplicateKey, subject: name.string, place: override == nil ? "\(place) line \(keyLine)" : place,
            reason: "the key '\(name.string)' is written twice in one mapping", remedy: "keep one of them")
        }
        entries.append(
          (
            key: name.string, origin: override == nil ? .line(keyLine) : origin,
            node: try convert(value, place: place, override: override, depth: depth + 1, remaining: &remaining)
          ))
      }
      return SettingNode(.mapping(entries), origin: origin)
    case .alias(_):
      throw SettingsError(.notYAML, place: here, reason: "this is not YAML: an alias stands for nothing")
    }
  }
}
