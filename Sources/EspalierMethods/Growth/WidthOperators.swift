public import EspalierNN
public import EspalierState

/// Where the factor goes that keeps the logits of a tied head when its inputs are copied.
public enum TiedHeadFactor: String, Codable, Sendable, CaseIterable { case logitScale, gain }

/// Widens by copies that share the work of their original.
///
/// Rows that write a coordinate are repeated, columns that read it are repeated and multiplied by shares that add up to 1. Exact
/// for any inner width, for heads, and for a residual stream that grows by a whole factor; a tied head then needs a factor.
/// - Chen, Goodfellow, Shlens 2016, arXiv:1511.05641 (Net2Net); uneven shares: Wang et al. 2023, arXiv:2310.07999 (LEMON).
public struct Duplicate: GrowthOperator {
  /// What a recipe may set; `fields` says what each option means.
  public struct Options: Settings {
    public var share = 0.0
    public var units: [Int] = []
    public var tiedHead = TiedHeadFactor.logitScale
    public var allowLossy = false
    public init() {}

    public static let fields: [SettingField] = [
      SettingField("share", unit: "fraction, 0 = equal", "Share of each copy in what its readers compute."),
      SettingField("units", unit: "indices, empty = all in turn", "Units of an inner width that are copied."),
      SettingField("tiedHead", unit: "logitScale | gain", "Where the factor of a tied head goes."),
      SettingField("allowLossy", unit: "bool", "Whether a stream that grows by no whole factor is told, not refused."),
    ]
  }

  public static let name = "duplicate"
  public static let summary =
    "Widens by copies that share the work: exact for inner widths, heads, and a stream grown by a whole factor "
    + "(Chen et al. 2016, arXiv:1511.05641)."
  let options: Options

  /// - Throws: `GrowthError` for a share outside 0 ..< 1.
  public init(_ options: Options) throws {
    guard (0..<1).contains(options.share) else {
      throw GrowthError(.option, "share", "\(options.share) is no fraction", remedy: "write 0 for equal shares")
    }
    self.options = options
  }

  /// How the new model's weights come from the old one's.
  public func plan(from old: Blueprint, to new: Blueprint) throws -> GrowthPlan {
    var rule = WidthPlanner.Rule(.duplicate)
    rule.copyShare = options.share == 0 ? nil : options.share
    rule.units = options.units
    rule.tiedHead = options.tiedHead == .gain ? .gain : .logitScale
    rule.allowsLossy = options.allowLossy
    return try widened(from: old, to: new, rule)
  }
}

/// Options of an operator that pads.
public struct PaddingOptions: Settings {
  public var allowLossy = false
  public init() {}

  public static let fields: [SettingField] = [
    SettingField("allowLossy", unit: "bool", "Whether a norm that does not fit is told, not refused.")
  ]
}

/// Adds coordinates of the residual stream that hold 0 under RMSNorm.
///
/// Writers get zero rows, readers random columns, gains are multiplied by √(d/D) and ε by d/D. Inner widths and heads get random
/// rows that nobody reads yet. Exact under RMSNorm, for any size, tied or not.
public struct ZeroPad: GrowthOperator {
  public static let name = "zeroPad"
  public static let summary =
    "Adds stream coordinates that hold 0, and units that nobody reads yet: exact under RMSNorm for any size; refused "
    + "under LayerNorm."
  let options: PaddingOptions
  /// Options of any value have a meaning.
  public init(_ options: PaddingOptions) { self.options = options }

  /// How the new model's weights come from the old one's.
  public func plan(from old: Blueprint, to new: Blueprint) throws -> GrowthPlan {
    var rule = WidthPlanner.Rule(.zero)
    rule.allowsLossy = options.allowLossy
    return try widened(from: old, to: new, rule)
  }
}

/// Adds coordinates of the residual stream that hold the mean of the others, which LayerNorm takes away.
///
/// Writers' new rows are the mean of their rows, gains are multiplied by √(d/D) and ε by d/D. Exact under LayerNorm for any size.
/// - After LEMON, Wang et al. 2023, arXiv:2310.07999.
public struct MeanPad: GrowthOperator {
  public static let name = "meanPad"
  public static let summary =
    "Adds stream coordinates that hold the mean of the others, and units that nobody reads yet: exact under LayerNorm "
    + "for any size; refused under RMSNorm (after Wang et al. 2023, arXiv:2310.07999)."
  let options: PaddingOptions
  /// Options of any value have a meaning.
  public init(_ options: PaddingOptions) { self.options = options }

  /// How the new model's weights come from the old one's.
  public func plan(from old: Blueprint, to new: Blueprint) throws -> GrowthPlan {
    var rule = WidthPlanner.Rule(.mean)
    rule.allowsLossy = options.allowLossy
    return try widened(from: old, to: new, rule)
  }
}

/// Widens by copies or random weights and scales the readers so that what they compute keeps its size.
///
/// Exact only where both sides are copied a whole number of times; otherwise the loss jumps, and that is told.
/// - SPARKLING, 2026, arXiv:2602.02472.
public struct SizePreserving: GrowthOperator {
  /// What a recipe may set; `fields` says what each option means.
  public struct Options: Settings {
    public enum Source: String, Codable, Sendable, CaseIterable { case copy, random }
    public var source = Source.copy
    public init() {}

    public static let fields: [SettingField] = [
      SettingField("source", unit: "copy | random", "What new rows and columns are made of.")
    ]
  }

  public static let name = "rmsPreserving"
  public static let summary =
    "Widens by any amount and scales readers so that activations keep their size: exact for whole factors, otherwise "
    + "told as lossy (SPARKLING 2026, arXiv:2602.02472)."
  let options: Options
  /// Options of any value have a meaning.
  public init(_ options: Options) { self.options = options }

  /// How the new model's weights come from the old one's.
  public func plan(from old: Blueprint, to new: Blueprint) throws -> GrowthPlan {
    try widened(from: old, to: new, WidthPlanner.Rule(.preserveSize(copies: options.source == .copy)))
  }
}

/// Shrinks every product's weight, pads it and adds fresh noise: W' = λ·pad(W) + N(0, σ²).
/// - arXiv:2605.13405, after Ash and Adams 2020, arXiv:1910.08475.
public struct ShrinkPerturb: GrowthOperator {
  /// What a recipe may set; `fields` says what each option means.
  public struct Options: Settings {
    public var shrink = 0.4
    public var noise = 0.1
    public init() {}

    public static let fields: [SettingField] = [
      SettingField("shrink", unit: "factor", "What old weights are multiplied by, λ."),
      SettingField("noise", unit: "times the initial spread", "Spread of the noise, σ."),
    ]
  }

  public static let name = "shrinkPerturb"
  public static let summary =
    "Shrinks, pads and disturbs every product's weight: never exact, for any architecture (Ash and Adams 2020, "
    + "arXiv:1910.08475; arXiv:2605.13405)."
  let options: Options

  /// - Throws: `GrowthError` for a factor outside 0 ... 1 or noise that is not positive.
  public init(_ options: Options) throws {
    guard (0...1).contains(options.shrink), options.noise > 0, options.noise.isFinite else {
      throw GrowthError(
        .option, "shrinkPerturb", "a factor of \(options.shrink) with noise \(options.noise) has no meaning",
        remedy: "choose shrink in 0 ... 1 and a positive noise")
    }
    self.options = options
  }

  /// How the new model's weights come from the old one's.
  public func plan(from old: Blueprint, to new: Blueprint) throws -> GrowthPlan {
    var draft = GrowthDraft(from: old, to: new)
    draft.shrink = options.shrink
    draft.noise = options.noise
    try WidthPlanner(from: old, to: new, WidthPlanner.Rule(.shrink)).widen(&draft)
    try DepthPlanner(.random).deepen(&draft)
    return try draft.plan()
  }
}

/// A plan that widens and leaves the depth alone.
private func widened(from old: Blueprint, to new: Blueprint, _ rule: WidthPlanner.Rule) throws -> GrowthPlan {
  var draft = GrowthDraft(from: old, to: new)
  try WidthPlanner(from: old, to: new, rule).widen(&draft)
  return try draft.plan()
}
