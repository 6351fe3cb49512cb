package import EspalierNN

/// What happens to all weights along one label: one mechanism for every operator that widens.
package struct AxisGrowth: Hashable, Sendable {
  package enum Entry: Hashable, Sendable {
    /// A copy of an old coordinate that takes `share` of its part in what readers compute.
    case copy(of: Int, share: Double)
    case new
  }

  /// What a new coordinate holds, and so what its two sides hold.
  package enum Fill: Hashable, Sendable {
    /// 0 where it is written, fresh where it is read.
    case zero
    /// The mean of the old coordinates where it is written, fresh where it is read.
    case mean
    /// Fresh where it is written, 0 where it is read.
    case silent
    /// Fresh on both sides: keeps sizes in expectation, not the function.
    case fresh
  }

  package let entries: [Entry]
  package let oldCount: Int
  package let fill: Fill
  /// Takes the place of the shares where it is not nil: what every old column of a reader is multiplied by.
  package let readerFactor: Double?

  package init(_ entries: [Entry], oldCount: Int, fill: Fill, readerFactor: Double? = nil) {
    self.entries = entries
    self.oldCount = oldCount
    self.fill = fill
    self.readerFactor = readerFactor
  }

  /// Copies of each old coordinate.
  package var multiplicities: [Int] {
    entries.reduce(into: Array(repeating: 0, count: oldCount)) { counts, entry in
      if case .copy(let old, _) = entry { counts[old] += 1 }
    }
  }

  /// Entries of whole heads, spread over their coordinates.
  package func spread(over block: Int) -> AxisGrowth {
    AxisGrowth(
      entries.flatMap { entry in
        (0..<block).map { place -> Entry in
          guard case .copy(let old, let share) = entry else { return .new }
          return .copy(of: old * block + place, share: share)
        }
      }, oldCount: oldCount * block, fill: fill, readerFactor: readerFactor)
  }

  /// New coordinates behind the old ones: copies of `sources` in turn, or new ones without them.
  /// - Parameter copyShare: of each copy; nil for equal shares.
  /// - Throws: `GrowthError` where the copies would leave nothing to the original.
  package static func appended(
    _ oldCount: Int, to count: Int, copying sources: [Int]?, copyShare: Double?, fill: Fill, label: String
  ) throws -> AxisGrowth {
    let added = (0..<count - oldCount).map { index -> Int? in
      guard let sources, !sources.isEmpty else { return nil }
      return sources[index % sources.count]
    }
    return try shared(Array(0..<oldCount) + added, oldCount, copyShare, fill, label)
  }

  /// Gives the copies of each coordinate their shares; the first one of them is the original.
  package static func shared(
    _ sources: [Int?], _ oldCount: Int, _ copyShare: Double?, _ fill: Fill, _ label: String
  ) throws -> AxisGrowth {
    var counts = Array(repeating: 0, count: oldCount)
    for case .some(let source) in sources { counts[source] += 1 }
    var seen: Set<Int> = []
    let entries = try sources.map { source -> Entry in
      guard let source else { return .new }
      let copies = counts[source], isOriginal = seen.insert(source).inserted
      guard let copyShare, copies > 1 else { return .copy(of: source, share: 1 / Double(copies)) }
      let rest = 1 - copyShare * Double(copies - 1)
      guard rest > 0, copyShare > 0 else {
        throw GrowthError(
          .option, label, "\(copies - 1) copies of one coordinate with a share of \(copyShare) each leave it \(rest)",
          remedy: "choose a share between 0 and 1/\(copies - 1)")
      }
      return .copy(of: source, share: isOriginal ? rest : copyShare)
    }
    return AxisGrowth(entries, oldCount: oldCount, fill: fill)
  }

  /// The map of one part of one axis of a weight.
  /// - Parameter gainFactor: what a gain's old coordinates are multiplied by.
  package func map(for role: Axis.Role, gainFactor: Double = 1) -> AxisMap {
    AxisMap(
      entries.map { entry -> AxisMap.Entry in
        switch (entry, role) {
        case (.copy(let old, let share), .output), (.copy(let old, let share), .index):
          .copy(of: old, coefficient: 1, share: share)
        case (.copy(let old, let share), .input): .copy(of: old, coefficient: readerFactor ?? share, share: share)
        case (.copy(let old, let share), .elementwise): .copy(of: old, coefficient: gainFactor, share: share)
        case (.new, .index): .mean
        case (.new, .elementwise): .fresh
        case (.new, .output): fill == .zero ? .zero : fill == .mean ? .mean : .fresh
        case (.new, .input): fill == .silent ? .zero : .fresh
        }
      }, oldCount: oldCount)
  }
}
