public import EspalierNN

/// What ends a train phase before its steps are done; what is left of them falls to the train phase that goes on with it.
///
///     - train: { steps: 4000, until: { fraction: 0.5 } }
///     - grow:  { operator: duplicate, to: { width: 256 } }
///     - train: {}
public enum Until: FixedChoice {
  /// The steps that the phase states, or those left of them.
  case end(NoOptions)
  case fraction(UntilFraction)
  case step(UntilStep)
  case tokens(UntilTokens)
  case marginalReturn(MarginalReturn)

  package static let noun = "end of a phase"
  package static let table: [String: any Settings.Type] = [
    "end": NoOptions.self, "fraction": UntilFraction.self, "step": UntilStep.self, "tokens": UntilTokens.self,
    "marginalReturn": MarginalReturn.self,
  ]

  package var name: String {
    switch self {
    case .end: "end"
    case .fraction: "fraction"
    case .step: "step"
    case .tokens: "tokens"
    case .marginalReturn: "marginalReturn"
    }
  }

  package var settings: any Settings {
    switch self {
    case .end(let options): options
    case .fraction(let options): options
    case .step(let options): options
    case .tokens(let options): options
    case .marginalReturn(let options): options
    }
  }

  /// Ends with all of its steps.
  package var isEnd: Bool { name == "end" }

  public init(from decoder: any Decoder) throws {
    let (name, options) = try Self.one(from: decoder)
    switch name {
    case "fraction": self = .fraction(try options.decode())
    case "step": self = .step(try options.decode())
    case "tokens": self = .tokens(try options.decode())
    case "marginalReturn": self = .marginalReturn(try options.decode())
    default: self = .end(NoOptions())
    }
  }

  public func encode(to encoder: any Encoder) throws { try encodeOne(to: encoder) }
}

/// Options of one number, which may stand alone: `fraction: 0.5` for `fraction: { at: 0.5 }`.
package protocol ScalarSettings: Settings {
  static var scalarKey: String { get }
}

/// Ends at a part of the steps that the phase, or the one that it goes on with, states.
public struct UntilFraction: CheckedSettings, ScalarSettings {
  public var at = 0.5
  public init() {}
  public init(at: Double) { self.at = at }
  package static let scalarKey = "at"
  public static let fields = [
    SettingField("at", unit: "fraction", "The part of the stated steps, counted from where they began.")
  ]
  public static let limits: [String: SettingLimit] = ["at": .within(0...1)]
}

/// Ends when so many steps of the run are done.
public struct UntilStep: CheckedSettings, ScalarSettings {
  public var at = 1
  public init() {}
  public init(at: Int) { self.at = at }
  package static let scalarKey = "at"
  public static let fields = [SettingField("at", unit: "steps", "Steps of the whole run.")]
  public static let limits: [String: SettingLimit] = ["at": .positive]
}

/// Ends with the step that brings the run to so many targets learned from.
public struct UntilTokens: CheckedSettings, ScalarSettings {
  public var at = 1
  public init() {}
  public init(at: Int) { self.at = at }
  package static let scalarKey = "at"
  public static let fields = [SettingField("at", unit: "targets", "Targets of the whole run: tokens, or samples.")]
  public static let limits: [String: SettingLimit] = ["at": .positive]
}

/// Ends when more of the same is worth little: see `ReturnHistory`.
public struct MarginalReturn: CheckedSettings {
  public var window = 0.02
  public var lag = 0.1
  public var kappa = 0.5
  public var minimum = 0.1
  public var maximum = 0.9
  public init() {}

  public static let fields = [
    SettingField("window", unit: "fraction", "The stretch, of the stated steps, over which a slope is taken."),
    SettingField("lag", unit: "fraction", "How far back the window ends that the newest one is compared with."),
    SettingField(
      "kappa", unit: "",
      "The phase ends when the fall of the loss per factor of work, −dL/d log FLOPs, is below this share of what it was."
    ),
    SettingField("minimum", unit: "fraction", "It never ends before this part of the stated steps."),
    SettingField("maximum", unit: "fraction", "It ends at this part of the stated steps at the latest."),
  ]

  public static let limits: [String: SettingLimit] = [
    "window": .within(0.005...0.5), "lag": .within(0...0.5), "kappa": .positive, "minimum": .within(0...1),
    "maximum": .within(0...1),
  ]

  public func problems() -> [SettingProblem] {
    minimum > maximum
      ? [
        SettingProblem(
          "minimum", "marginalReturn.minimum (\(minimum)) is more than marginalReturn.maximum (\(maximum))",
          remedy: "exchange them")
      ] : []
  }
}
