public import EspalierNN

/// A way to grow a model: a pure function from two blueprints to a plan.
///
/// It sees labels of axes and stacks of segments, never arrays, ranks or a model's type, so it serves every model of the
/// catalogue and the plan is the same for every layout.
public protocol GrowthOperator: Sendable, SendableMetatype {
  /// What a recipe may set.
  associatedtype Options: Settings
  /// The name in recipes.
  static var name: String { get }
  /// One sentence, with the source and with when it keeps the function, for `espalier describe`.
  static var summary: String { get }
  /// - Throws: `GrowthError` where an option has no meaning.
  init(_ options: Options) throws
  /// How the new model's weights come from the old one's.
  /// - Throws: `GrowthError` where this operator cannot lead from the one to the other.
  func plan(from old: Blueprint, to new: Blueprint) throws -> GrowthPlan
}
