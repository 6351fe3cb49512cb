public import EspalierNN
public import EspalierState

/// Repeats the whole stack of layers.
/// - Gong et al. 2019 (StackBERT), PMLR 97; Du et al. 2024, arXiv:2405.15319 (G_stack).
public struct Stack: GrowthOperator {
  /// What a recipe may set; `fields` says what each option means.
  public struct Options: Settings {
    public enum Remainder: String, Codable, Sendable, CaseIterable { case refuse, bottom, top }
    public var remainder = Remainder.refuse
    public init() {}

    public static let fields: [SettingField] = [
      SettingField("remainder", unit: "refuse | bottom | top", "Which layers a depth that is no multiple repeats.")
    ]
  }

  public static let name = "stack"
  public static let summary =
    "Repeats the whole stack of layers: not exact, by design (Gong et al. 2019, PMLR 97; Du et al. 2024, "
    + "arXiv:2405.15319)."
  let options: Options
  /// Options of any value have a meaning.
  public init(_ options: Options) { self.options = options }

  /// How the new model's weights come from the old one's.
  public func plan(from old: Blueprint, to new: Blueprint) throws -> GrowthPlan {
    for stack in Set(old.segments.compactMap(\.stack)) where options.remainder == .refuse {
      let (before, after) = (old.segments.count { $0.stack == stack }, new.segments.count { $0.stack == stack })
      guard before == 0 || after <= before || after.isMultiple(of: before) else {
        throw GrowthError(
          .option, stack, "\(after) layers are no multiple of \(before)",
          remedy: "choose a multiple, or say with 'remainder' which layers come once more")
      }
    }
    return try deepened(from: old, to: new, .order(.stack(topRemainder: options.remainder == .top)))
  }
}

/// Repeats each layer in place, or the top ones, or the last one.
/// - Yao et al. 2024 (interposition), arXiv:2510.08008; AquilaMoE 2024, arXiv:2408.06567.
public struct Interleave: GrowthOperator {
  /// What a recipe may set; `fields` says what each option means.
  public struct Options: Settings {
    public enum Order: String, Codable, Sendable, CaseIterable { case inPlace, gradualTop, copyLast }
    public var order = Order.inPlace
    public init() {}

    public static let fields: [SettingField] = [
      SettingField(
        "order", unit: "inPlace | gradualTop | copyLast", "Each layer behind itself, the top ones once more, the last.")
    ]
  }

  public static let name = "interleave"
  public static let summary =
    "Repeats each layer in place: not exact, with a smaller jump than stack on trained models (AquilaMoE 2024, "
    + "arXiv:2408.06567)."
  let options: Options
  /// Options of any value have a meaning.
  public init(_ options: Options) { self.options = options }

  /// How the new model's weights come from the old one's.
  public func plan(from old: Blueprint, to new: Blueprint) throws -> GrowthPlan {
    let order: DepthOrder =
      switch options.order {
      case .inPlace: .interleave
      case .gradualTop: .gradualTop
      case .copyLast: .copyLast
      }
    return try deepened(from: old, to: new, .order(order))
  }
}

/// Inserts layers whose residual branches write nothing yet.
/// - Wu et al. 2024 (LLaMA Pro), arXiv:2401.02415; Chen et al. 2016 (Net2DeeperNet), arXiv:1511.05641.
public struct IdentityInsertion: GrowthOperator {
  /// What a recipe may set; `fields` says what each option means.
  public struct Options: Settings {
    public enum Source: String, Codable, Sendable, CaseIterable { case neighbour, random }
    public var source = Source.neighbour
    public init() {}

    public static let fields: [SettingField] = [
      SettingField("source", unit: "neighbour | random", "What the rest of a new layer is made of.")
    ]
  }

  public static let name = "identity"
  public static let summary =
    "Inserts layers whose last products are zero: exact where norms stand before the branches (Wu et al. 2024, "
    + "arXiv:2401.02415)."
  let options: Options
  /// Options of any value have a meaning.
  public init(_ options: Options) { self.options = options }

  /// How the new model's weights come from the old one's.
  public func plan(from old: Blueprint, to new: Blueprint) throws -> GrowthPlan {
    try deepened(from: old, to: new, .identity(fromNeighbour: options.source == .neighbour))
  }
}

/// Grows a model of no layer or one to its depth at once.
/// - Bu 2025, arXiv:2511.04981.
public struct ShallowStart: GrowthOperator {
  /// What a recipe may set; `fields` says what each option means.
  public struct Options: Settings {
    public enum Source: String, Codable, Sendable, CaseIterable { case random, repeated }
    public var source = Source.random
    public init() {}

    public static let fields: [SettingField] = [
      SettingField("source", unit: "random | repeated", "New layers as in a new model, or copies of the one layer.")
    ]
  }

  public static let name = "shallowStart"
  public static let summary =
    "Grows a model of no layer or one to its whole depth at once: not exact (Bu 2025, arXiv:2511.04981)."
  let options: Options
  /// Options of any value have a meaning.
  public init(_ options: Options) { self.options = options }

  /// How the new model's weights come from the old one's.
  public func plan(from old: Blueprint, to new: Blueprint) throws -> GrowthPlan {
    try deepened(from: old, to: new, .shallow(repeats: options.source == .repeated))
  }
}

/// Adds layers on top, as in a new model.
public struct RandomLayers: GrowthOperator {
  public static let name = "randomLayers"
  public static let summary = "Adds layers on top as a new model has them: not exact."
  /// There are no options.
  public init(_ options: NoOptions) {}

  /// How the new model's weights come from the old one's.
  public func plan(from old: Blueprint, to new: Blueprint) throws -> GrowthPlan {
    try deepened(from: old, to: new, .random)
  }
}

/// Wider and deeper at once, or either: the two halves do not see each other.
public struct WidthAndDepth: GrowthOperator {
  /// What a recipe may set; `fields` says what each option means.
  public struct Options: Settings {
    public enum Width: String, Codable, Sendable, CaseIterable { case duplicate, zeroPad, meanPad, rmsPreserving }
    public enum Depth: String, Codable, Sendable, CaseIterable { case identity, stack, interleave, random }
    public var width = Width.duplicate
    public var depth = Depth.identity
    public var allowLossy = false
    public init() {}

    public static let fields: [SettingField] = [
      SettingField("width", unit: "duplicate | zeroPad | meanPad | rmsPreserving", "How it widens."),
      SettingField("depth", unit: "identity | stack | interleave | random", "How it deepens."),
      SettingField("allowLossy", unit: "bool", "Whether a widening that is not exact is told, not refused."),
    ]
  }

  public static let name = "widthAndDepth"
  public static let summary = "Widens and deepens at once, by one operator each: exact where both are."
  let options: Options
  /// Options of any value have a meaning.
  public init(_ options: Options) { self.options = options }

  /// How the new model's weights come from the old one's.
  public func plan(from old: Blueprint, to new: Blueprint) throws -> GrowthPlan {
    var draft = GrowthDraft(from: old, to: new)
    var rule =
      switch options.width {
      case .duplicate: WidthPlanner.Rule(.duplicate)
      case .zeroPad: WidthPlanner.Rule(.zero)
      case .meanPad: WidthPlanner.Rule(.mean)
      case .rmsPreserving: WidthPlanner.Rule(.preserveSize(copies: true))
      }
    rule.allowsLossy = options.allowLossy
    try WidthPlanner(from: old, to: new, rule).widen(&draft)
    let depth: DepthPlanner.Rule =
      switch options.depth {
      case .identity: .identity(fromNeighbour: true)
      case .stack: .order(.stack(topRemainder: false))
      case .interleave: .order(.interleave)
      case .random: .random
      }
    try DepthPlanner(depth).deepen(&draft)
    return try draft.plan()
  }
}

/// A plan that deepens and leaves widths alone.
private func deepened(from old: Blueprint, to new: Blueprint, _ rule: DepthPlanner.Rule) throws -> GrowthPlan {
  var draft = GrowthDraft(from: old, to: new)
  try DepthPlanner(rule).deepen(&draft)
  return try draft.plan()
}
