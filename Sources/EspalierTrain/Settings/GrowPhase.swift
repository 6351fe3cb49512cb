public import EspalierNN
public import EspalierState

/// A growth of the model between two stretches of training, with all of its state.
///
///     - grow: { operator: duplicate, to: { width: 256 }, rate: { asymRewarm: { rise: 1.3 } } }
///
/// Grow phases that follow one another happen at one border, first to last: that is how width and depth grow together.
public struct GrowPhase: CheckedSettings {
  public var `operator` = Choice("")
  public var to = ModelChange()
  public var state = HistoryMode.asymmetric
  public var rate = GrowthRate.asymRewarm(AsymmetricRewarm())

  public init() {}

  public init(
    _ growth: Choice, to: ModelChange, state: HistoryMode = .asymmetric,
    rate: GrowthRate = .asymRewarm(AsymmetricRewarm())
  ) {
    self.operator = growth
    self.to = to
    self.state = state
    self.rate = rate
  }

  public static let fields = [
    SettingField("operator", unit: "one of the operators", "How old weights become new ones, with its options."),
    SettingField("to", unit: "options of the model", "The model's options that change, with their new values."),
    SettingField(
      "state", unit: "asymmetric | transport | dropAll",
      "What becomes of the optimizer's slots: old entries keep theirs and new ones begin empty, all are carried over "
        + "(copies then never part), or all begin empty."),
    SettingField(
      "rate", unit: "keep | asymRewarm | rewarmAll | fresh",
      "How the learning rate goes on: as it was; as it was for old entries and higher for new ones; with a warm-up for "
        + "all; or anew over the steps that are left."),
  ]

  public func problems() -> [SettingProblem] {
    to.options.isEmpty
      ? [SettingProblem("to", "a grow phase changes nothing", remedy: "say to what, as to: { width: 256 }")] : []
  }
}

/// Options of the model that a growth changes; what it does not name stays.
///
/// `SettingsFile` checks them against the model that the recipe names.
public struct ModelChange: Codable, Sendable, Equatable {
  public var options: [String: SettingValue]

  public init(_ options: [String: SettingValue] = [:]) { self.options = options }

  public init(from decoder: any Decoder) throws {
    options = try decoder.singleValueContainer().decode([String: SettingValue].self)
  }

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(options)
  }

  /// The model after the growth.
  package func applied(to choice: Choice) -> Choice {
    guard case .mapping(let old) = choice.options else {
      return Choice(choice.name, options: .mapping(options))
    }
    return Choice(choice.name, options: .mapping(old.merging(options) { $1 }))
  }
}

/// How the learning rate goes on after a growth; `RatePlan` has the formulas.
public enum GrowthRate: FixedChoice {
  /// The schedule goes on for all.
  case keep(NoOptions)
  /// Old entries follow the schedule; new ones rise above it and come down with it.
  case asymRewarm(AsymmetricRewarm)
  /// All entries warm up again and then follow the schedule.
  case rewarmAll(FullRewarm)
  /// The next train phase's own shape, over the steps that are left.
  case fresh(NoOptions)

  package static let noun = "policy of the rate"
  package static let table: [String: any Settings.Type] = [
    "keep": NoOptions.self, "asymRewarm": AsymmetricRewarm.self, "rewarmAll": FullRewarm.self, "fresh": NoOptions.self,
  ]

  package var name: String {
    switch self {
    case .keep: "keep"
    case .asymRewarm: "asymRewarm"
    case .rewarmAll: "rewarmAll"
    case .fresh: "fresh"
    }
  }

  package var settings: any Settings {
    switch self {
    case .keep(let options), .fresh(let options): options
    case .asymRewarm(let options): options
    case .rewarmAll(let options): options
    }
  }

  public init(from decoder: any Decoder) throws {
    let (name, options) = try Self.one(from: decoder)
    switch name {
    case "asymRewarm": self = .asymRewarm(try options.decode())
    case "rewarmAll": self = .rewarmAll(try options.decode())
    case "fresh": self = .fresh(NoOptions())
    default: self = .keep(NoOptions())
    }
  }

  public func encode(to encoder: any Encoder) throws { try encodeOne(to: encoder) }
}

/// New entries rise to `rise` times the rate that the growth met, in `steps`, and fall with the schedule's tail.
/// - SPARKLING, arXiv:2602.02472: flat optimum for a rise of 1.25 to 1.3 in up to 250 of 64 thousand steps.
public struct AsymmetricRewarm: CheckedSettings {
  public var rise = 1.3
  public var steps = 0

  public init() {}

  public init(rise: Double, steps: Int) {
    self.rise = rise
    self.steps = steps
  }

  public static let fields = [
    SettingField(
      "rise", unit: "times the rate", "The peak of the new entries, as a multiple of the rate at the growth."),
    SettingField("steps", unit: "steps, 0 = 0.4 % of the schedule", "Steps in which they rise to it."),
  ]
  public static let limits: [String: SettingLimit] = ["rise": .positive, "steps": .notNegative]
}

/// All entries rise in a line from 0 to `peak` times the schedule, in `steps`, and fall with its tail.
public struct FullRewarm: CheckedSettings {
  public var peak = 1.0
  public var steps = 0

  public init() {}

  public init(peak: Double, steps: Int) {
    self.peak = peak
    self.steps = steps
  }

  public static let fields = [
    SettingField("peak", unit: "times the rate", "Where the warm-up ends, as a multiple of the schedule's rate there."),
    SettingField("steps", unit: "steps, 0 = 0.4 % of the schedule", "Steps of the warm-up."),
  ]
  public static let limits: [String: SettingLimit] = ["peak": .positive, "steps": .notNegative]
}

extension FixedChoice {
  /// The one name and its options.
  package static func one(from decoder: any Decoder) throws -> (name: String, options: SettingValue) {
    let entries = try decoder.singleValueContainer().decode([String: SettingValue].self)
    guard let (name, options) = entries.first, entries.count == 1, table[name] != nil else {
      throw DecodingError.dataCorrupted(
        .init(
          codingPath: decoder.codingPath,
          debugDescription: "a \(noun) is one of \(table.keys.sorted().joined(separator: ", "))"))
    }
    return (name, options)
  }

  package func encodeOne(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode([name: SettingValue(encoding: settings)])
  }
}
