public import EspalierNN

/// Where one weight of a grown model comes from: old weights through one map an axis, and a distribution for what is new.
public struct ParameterOrigin: Hashable, Sendable {
  /// One old weight's contribution; several are added.
  public struct Term: Hashable, Sendable {
    /// The name of the old weight.
    public let source: String
    /// What the contribution is multiplied by.
    public let coefficient: Double
    /// One for each axis, outermost first.
    public let maps: [AxisMap]

    /// A term of its parts.
    public init(_ source: String, coefficient: Double = 1, maps: [AxisMap]) {
      self.source = source
      self.coefficient = coefficient
      self.maps = maps
    }
  }

  /// Noise on top of the terms.
  public struct Noise: Hashable, Sendable {
    /// The spread.
    public let deviation: Float
    /// Whether elements that go on from an old one are left alone.
    public let onlyOnNew: Bool

    /// Noise of its parts.
    public init(deviation: Float, onlyOnNew: Bool) {
      self.deviation = deviation
      self.onlyOnNew = onlyOnNew
    }
  }

  /// Empty for a weight that is new altogether.
  public let terms: [Term]
  /// Of what is fresh.
  public let remainder: Initializer
  /// On top of the terms; nil for none.
  public let noise: Noise?
  /// A copy of a layer that goes on elsewhere, or a new layer: no element of it has a history.
  public let isNew: Bool

  /// An origin of its parts.
  public init(_ terms: [Term], remainder: Initializer, noise: Noise? = nil, isNew: Bool = false) {
    self.terms = terms
    self.remainder = remainder
    self.noise = noise
    self.isNew = isNew
  }

  /// The weight stays what it is.
  public static func identity(_ spec: ParameterSpec) -> ParameterOrigin {
    ParameterOrigin([Term(spec.name, maps: spec.axes.map { .identity($0.count) })], remainder: spec.initializer)
  }

  /// Whether the weight stays what it is.
  public var isIdentity: Bool {
    terms.count == 1 && terms[0].coefficient == 1 && terms[0].maps.allSatisfy(\.isIdentity) && noise == nil && !isNew
  }
}

/// What a growth keeps of the function that the model computes.
public enum Fidelity: Hashable, Sendable {
  /// All logits, up to rounding.
  case exact
  /// The logits of the old rows; the loss moves with the new ones.
  case exactOnOldLogits
  /// Neither, for the reasons given: the loss jumps.
  case lossy([String])

  /// Both at once.
  func and(_ other: Fidelity) -> Fidelity {
    switch (self, other) {
    case (.lossy(let a), .lossy(let b)): .lossy(a + b)
    case (.lossy, _): self
    case (_, .lossy): other
    case (.exact, .exact): .exact
    default: .exactOnOldLogits
    }
  }
}

extension Fidelity: CustomStringConvertible {
  /// "exact", or why not.
  public var description: String {
    switch self {
    case .exact: "exact: all logits stay what they are"
    case .exactOnOldLogits: "old logits stay what they are; new rows change the loss"
    case .lossy(let reasons): "not exact: " + reasons.joined(separator: "; ")
    }
  }
}

/// A growth, decided and not yet done: a pure value, the same on every rank and for every layout.
public struct GrowthPlan: Hashable, Sendable {
  /// The model before.
  public let old: Blueprint
  /// The model after, with the constants that the growth gives it.
  public let new: Blueprint
  /// By the names of the new model.
  public let origins: [String: ParameterOrigin]
  /// What becomes of the function.
  public let fidelity: Fidelity

  /// A plan whose parts fit each other.
  /// - Parameter constants: of the new model, by name; others stay what `new` says.
  /// - Throws: `GrowthError` where a weight of the new model has no origin, an origin does not fit the shapes, or two weights
  ///   disagree about the coordinates of one label.
  public init(
    from old: Blueprint, to new: Blueprint, origins: [String: ParameterOrigin], constants: [String: Double] = [:],
    fidelity: Fidelity
  ) throws {
    self.old = old
    self.new = Blueprint(
      parameters: new.parameters, segments: new.segments,
      constants: new.constants.map {
        ConstantSpec(name: $0.name, kind: $0.kind, label: $0.label, value: constants[$0.name] ?? $0.value)
      })
    self.origins = origins
    self.fidelity = fidelity
    try checkCover()
    try checkPairs()
  }

  /// The constants of the new model, for building it.
  public var constants: [String: Double] {
    Dictionary(uniqueKeysWithValues: new.constants.map { ($0.name, $0.value) })
  }

  /// Old elements that are read, all terms together.
  public var elementsRead: Int {
    let counts = Dictionary(uniqueKeysWithValues: old.parameters.map { ($0.name, $0.count) })
    return Set(origins.values.flatMap(\.terms).map(\.source)).reduce(0) { $0 + (counts[$1] ?? 0) }
  }
}

/// A growth that cannot be done.
public struct GrowthError: Error, CustomStringConvertible, Equatable {
  /// What is wrong, for a program.
  public enum Kind: String, Sendable {
    case shrinks, axesDisagree, notCovered, shapeDisagrees, notExact, unknownStack, headWidth, unsupportedAxis, option
    case slotMissing, notAtBorder, jumped
  }

  public let kind: Kind
  /// The label, parameter or option.
  public let subject: String
  public let reason: String
  public let remedy: String

  /// An error of its parts.
  public init(_ kind: Kind, _ subject: String, _ reason: String, remedy: String) {
    self.kind = kind
    self.subject = subject
    self.reason = reason
    self.remedy = remedy
  }

  /// The same, said of a place in a recipe.
  package func under(_ key: String) -> GrowthError {
    GrowthError(kind, subject.isEmpty ? key : "\(key): \(subject)", reason, remedy: remedy)
  }

  /// One sentence.
  public var description: String { "growth of '\(subject)': \(reason); \(remedy)" }
}
