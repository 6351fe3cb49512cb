public import EspalierNN
import Foundation

/// One of several things by name, with its options: `optimizer: { adamw: { rate: 6e-4 } }`.
///
/// Coded as a mapping of one key. `SettingsFile` resolves it against a table of known names, so that a loaded choice carries
/// every option of its type, defaults included.
public struct Choice: Sendable, Equatable {
  public let name: String
  /// A mapping of the options.
  public let options: SettingValue

  public init(_ name: String, options: SettingValue = .mapping([:])) {
    self.name = name
    self.options = options
  }

  /// A choice that carries all of `settings`.
  public init(_ name: String, settings: some Settings) throws {
    self.init(name, options: try SettingValue(encoding: settings))
  }

  /// The options as their type; options that the choice does not state have the type's defaults.
  /// - Throws: `SettingsError` for options that the type does not know or cannot read.
  public func settings<S: Settings>(as type: S.Type = S.self) throws -> S {
    let tree = SettingNode(options, origin: .code)
    let merged = try SettingsMerge(file: "options of '\(name)'", tables: [:]).merge(
      tree, over: S(), at: SettingPath(name))
    return try merged.decode(as: S.self)
  }
}

extension Choice: Codable {
  public init(from decoder: any Decoder) throws {
    let entries = try decoder.singleValueContainer().decode([String: SettingValue].self)
    guard entries.count == 1, let (name, options) = entries.first else {
      throw DecodingError.dataCorrupted(
        .init(codingPath: decoder.codingPath, debugDescription: "a choice names one thing, got \(entries.count)"))
    }
    self.init(name, options: options)
  }

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode([name: options])
  }
}

/// What may be chosen at each key that holds a `Choice`: `["optimizer": ["adamw": AdamWSettings.self]]`.
public typealias ChoiceTables = [String: [String: any Settings.Type]]

/// A choice whose names are fixed by its own type, as the phases of a schedule; coded like `Choice`.
package protocol FixedChoice: Codable, Sendable, Equatable {
  /// What errors call one of them: "phase".
  static var noun: String { get }
  static var table: [String: any Settings.Type] { get }
  var settings: any Settings { get }
  var name: String { get }
}
