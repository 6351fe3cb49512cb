/// Where the coordinates of a grown axis come from, one entry a new coordinate.
///
/// The element of a weight whose coordinates come from old ones is the old element times the coefficients of all its axes;
/// one `zero` makes it 0, and a `fresh` one, where there is no `zero`, leaves it to the weight's initializer.
public struct AxisMap: Hashable, Sendable {
  /// The source of one new coordinate.
  public enum Entry: Hashable, Sendable {
    /// Old coordinate `of` times `coefficient`. The copies of one coordinate share its part of the output among them: `share`.
    case copy(of: Int, coefficient: Double, share: Double)
    /// The mean over all old coordinates.
    case mean
    /// 0, to be read by fresh weights.
    case zero
    /// What the initializer gives.
    case fresh
  }

  /// In the order of the new axis.
  public let entries: [Entry]
  /// Coordinates of the old axis.
  public let oldCount: Int

  /// A map from an axis of `oldCount` coordinates.
  public init(_ entries: [Entry], oldCount: Int) {
    self.entries = entries
    self.oldCount = oldCount
  }

  /// Every coordinate stays what it is.
  public static func identity(_ count: Int) -> AxisMap {
    AxisMap((0..<count).map { .copy(of: $0, coefficient: 1, share: 1) }, oldCount: count)
  }

  /// Coordinates of the new axis.
  public var count: Int { entries.count }
  /// Whether nothing changes along this axis.
  public var isIdentity: Bool { self == .identity(oldCount) }

  /// How gradients follow: where the weight copies with coefficient a and the copy has the share w of the output, its gradient
  /// is the old one times w/a. Squared gradients take the square. What is new starts without a history.
  ///
  /// A producer's copy (a = 1) receives w·G, a consumer's (a = w) receives G. Exact where copies have equal shares or no norm runs over
  /// the axis; a norm hands its own part of the gradient to the copies evenly, whatever their shares.
  public var dual: AxisMap {
    AxisMap(
      entries.map { entry in
        guard case .copy(let old, let coefficient, let share) = entry else { return .zero }
        return coefficient == 0 ? .zero : .copy(of: old, coefficient: share / coefficient, share: share)
      }, oldCount: oldCount)
  }

  /// Whether each new coordinate is the first copy of an old one: the old block, whose history goes on.
  public var isKept: [Bool] {
    var seen: Set<Int> = []
    return entries.map { entry in
      guard case .copy(let old, _, _) = entry else { return false }
      return seen.insert(old).inserted
    }
  }

  /// Maps behind each other: parts of a fused axis.
  static func joined(_ maps: [AxisMap]) -> AxisMap {
    if maps.count == 1 { return maps[0] }
    var entries: [Entry] = [], old = 0
    for map in maps {
      entries += map.entries.map { entry in
        guard case .copy(let index, let coefficient, let share) = entry else { return entry }
        return .copy(of: old + index, coefficient: coefficient, share: share)
      }
      old += map.oldCount
    }
    return AxisMap(entries, oldCount: old)
  }
}
