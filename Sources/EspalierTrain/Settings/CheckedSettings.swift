public import EspalierNN

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

  package func allows(_ value: Double) -> Bool {
    switch self {
    case .positive: value > 0
    case .notNegative: value >= 0
    case .within(let range): range.contains(value)
    }
  }

  package func phrase(_ noun: String) -> String {
    func text(_ bound: Double) -> String { bound == bound.rounded() ? String(Int(bound)) : "\(bound)" }
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
