import Foundation

/// A setting's value as a file could state it: what recipes, checkpoints and comparisons have in common.
public enum SettingValue: Sendable, Equatable {
  case null
  case bool(Bool)
  case integer(Int)
  /// A whole number beyond `Int.max`: a seed.
  case unsigned(UInt64)
  case number(Double)
  case text(String)
  case list([SettingValue])
  case mapping([String: SettingValue])
}

extension SettingValue: Codable {
  public init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    if container.decodeNil() {
      self = .null
    } else if let value = try? container.decode(Bool.self) {
      self = .bool(value)
    } else if let value = try? container.decode(Int.self) {
      self = .integer(value)
    } else if let value = try? container.decode(UInt64.self) {
      self = .unsigned(value)
    } else if let value = try? container.decode(Double.self) {
      self = .number(value)
    } else if let value = try? container.decode(String.self) {
      self = .text(value)
    } else if let value = try? container.decode([SettingValue].self) {
      self = .list(value)
    } else {
      self = .mapping(try container.decode([String: SettingValue].self))
    }
  }

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    switch self {
    case .null: try container.encodeNil()
    case .bool(let value): try container.encode(value)
    case .integer(let value): try container.encode(value)
    case .unsigned(let value): try container.encode(value)
    case .number(let value): try container.encode(value)
    case .text(let value): try container.encode(value)
    case .list(let value): try container.encode(value)
    case .mapping(let value): try container.encode(value)
    }
  }
}

extension SettingValue {
  /// What a value encodes to.
  package init(encoding value: some Encodable) throws {
    self = try JSONDecoder().decode(SettingValue.self, from: JSONEncoder().encode(value))
  }

  /// Reads a value back.
  package func decode<T: Decodable>(as type: T.Type = T.self) throws -> T {
    try JSONDecoder().decode(T.self, from: JSONEncoder().encode(self))
  }

  /// One line of JSON with sorted keys: the same text for the same settings, whoever writes it.
  package var canonicalJSON: String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    // A tree of plain values always encodes: it holds no infinities, for neither YAML scalars nor JSON let them in.
    guard let bytes = try? encoder.encode(self) else {
      preconditionFailure("settings hold a number that is not finite")
    }
    return String(decoding: bytes, as: UTF8.self)
  }

  package subscript(key: String) -> SettingValue? {
    guard case .mapping(let entries) = self else { return nil }
    return entries[key]
  }

  /// The value as a person writes it in a recipe: text plain where YAML allows, lists and mappings in flow style.
  package var recipeText: String {
    switch self {
    case .null: return "~"
    case .bool(let value): return value ? "true" : "false"
    case .integer(let value): return String(value)
    case .unsigned(let value): return String(value)
    case .number(let value): return value == value.rounded() && abs(value) < 1e15 ? String(Int(value)) : "\(value)"
    case .text(let value): return Self.plain(value) ? value : Self.quoted(value)
    case .list(let values): return "[" + values.map(\.recipeText).joined(separator: ", ") + "]"
    case .mapping(let entries):
      if entries.isEmpty { return "{}" }
      let parts = entries.sorted { $0.key < $1.key }.map { "\($0.key): \($0.value.recipeText)" }
      return "{ " + parts.joined(separator: ", ") + " }"
    }
  }

  private static func plain(_ text: String) -> Bool {
    guard let first = text.unicodeScalars.first, first.properties.isAlphabetic || first == "/" else { return false }
    guard !["true", "false", "yes", "no", "on", "off", "null", "y", "n"].contains(text.lowercased()) else {
      return false
    }
    return text.unicodeScalars.allSatisfy {
      $0.isASCII && ($0.properties.isAlphabetic || "0123456789_-./%".unicodeScalars.contains($0))
    }
  }

  private static func quoted(_ text: String) -> String {
    SettingValue.text(text).canonicalJSON
  }
}
