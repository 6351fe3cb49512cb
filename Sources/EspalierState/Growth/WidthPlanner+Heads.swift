import EspalierNN

/// Query heads and the groups of keys and values that they read (Ainslie et al. 2023, arXiv:2305.13245).
///
/// Queries lie group by group. With the groups fixed, new heads go *into* their group; where heads and groups grow by one
/// factor, whole groups go behind the old ones; where there are only more groups, each one is repeated in place.
extension WidthPlanner {
  func widenHeads(_ draft: inout GrowthDraft) throws {
    guard let query = old.part("query"), let newQuery = new.part("query"), let key = old.part("key"),
      let newKey = new.part("key"), query.count != newQuery.count || key.count != newKey.count
    else { return }
    let block = query.block
    let heads = (query.count / block, newQuery.count / block), groups = (key.count / block, newKey.count / block)
    let sources = try headSources(heads, groups)
    let fill: AxisGrowth.Fill = { if case .shrink = rule.stream { .fresh } else { .silent } }()
    for (label, list, count) in [("query", sources.queries, heads.0), ("key", sources.keys, groups.0)] {
      guard list.count != count else { continue }
      // A group that is repeated in place shares its readers evenly, whatever the shares of heads.
      let share = label == "key" && heads.0 == heads.1 ? nil : rule.copyShare
      var growth = try AxisGrowth.shared(list, count, share, fill, label)
      if case .preserveSize(let copies) = rule.stream, label == "query" {
        let c = Double(heads.1 - heads.0) / Double(heads.0)
        let factor = copies ? (c <= 1 ? 1 / (1 + 3 * c).squareRoot() : 1 / (1 + c)) : 1 / (1 + c).squareRoot()
        growth = AxisGrowth(growth.entries, oldCount: count, fill: .fresh, readerFactor: factor)
        if !copies || !heads.1.isMultiple(of: heads.0) {
          draft.fidelity = draft.fidelity.and(
            .lossy(["'query' from \(heads.0) to \(heads.1) heads keeps the size of what is computed, not its values"]))
        }
      }
      let spread = growth.spread(over: block)
      draft.axes[label] = spread
      if label == "key" { draft.axes["value"] = spread }
    }
  }

  /// For every new head and group the old one that it copies, or nil.
  private func headSources(
    _ heads: (Int, Int), _ groups: (Int, Int)
  ) throws -> (queries: [Int?], keys: [Int?]) {
    let perGroup = heads.0 / groups.0
    if groups.1 > groups.0, heads.1 * groups.0 == heads.0 * groups.1 {
      let keys = (0..<groups.1).map { group -> Int? in
        group < groups.0 ? group : rule.copies ? group % groups.0 : nil
      }
      let queries = (0..<heads.1).map { head -> Int? in
        head < heads.0 ? head : rule.copies ? (head / perGroup % groups.0) * perGroup + head % perGroup : nil
      }
      return (queries, keys)
    }
    guard groups.1.isMultiple(of: groups.0), heads.0.isMultiple(of: groups.1), heads.1.isMultiple(of: groups.1) else {
      throw GrowthError(
        .unsupportedAxis, "key",
        "\(heads.0) heads in \(groups.0) groups cannot become \(heads.1) heads in \(groups.1) groups",
        remedy: "keep the groups, multiply heads and groups alike, or repeat groups by a factor that divides the heads")
    }
    let keys = (0..<groups.1).map { Optional($0 * groups.0 / groups.1) }
    let (before, after) = (heads.0 / groups.1, heads.1 / groups.1)
    let queries = (0..<heads.1).map { head -> Int? in
      let (group, place) = (head / after, head % after)
      if place < before { return group * before + place }
      return rule.copies ? group * before + place % before : nil
    }
    return (queries, keys)
  }
}
