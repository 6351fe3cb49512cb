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
  static var table: [String: any Settings.Type] { get }
  var settings: any Settings { get }
  var name: String { get }
}

/// Settings that check themselves beyond their types.
public protocol CheckedSettings: Settings {
  /// What each number may be.
  static var limits: [String: SettingLimit] { get }
  /// Combinations that make no sense, each under the key where it is reported; both keys are named in the reason.
  func problems() -> [SettingProblem]
}

extension CheckedSettings {
  public static var limits: [String: SettingLimit] { [:] }
  public func problems() -> [SettingProblem] { [] }
}

/// What a number may be.
public enum SettingLimit: Sendable, Equatable {
  case positive
  case notNegative
  /// Both ends included.
  case within(ClosedRange<Double>)

  func allows(_ value: Double) -> Bool {
    switch self {
    case .positive: value > 0
    case .notNegative: value >= 0
    case .within(let range): range.contains(value)
    }
  }

  func phrase(_ noun: String) -> String {
    func text(_ bound: Double) -> String { SettingValue.number(bound).recipeText }
    switch self {
    case .positive: return "a positive \(noun)"
    case .notNegative: return "a \(noun) of 0 or more"
    case .within(let range): return "a \(noun) from \(text(range.lowerBound)) to \(text(range.upperBound))"
    }
  }
}

/// A combination of settings that makes no sense.
public struct SettingProblem: Sendable, Equatable {
  /// The key, relative to the settings that report it: "lanes".
  public let key: String
  public let reason: String
  public let remedy: String

  public init(_ key: String, _ reason: String, remedy: String = "") {
    self.key = key
    self.reason = reason
    self.remedy = remedy
  }
}
