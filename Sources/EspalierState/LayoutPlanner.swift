public import EspalierNN
import EspalierTensor

/// What an optimizer or method asks of the cuts.
public enum Granularity: String, Codable, Sendable {
  /// Any chunk edge will do.
  case element
  /// Parameters must not be cut.
  case matrix
}

/// Chooses layouts: a pure function of the blueprint, the number of ranks, and what is asked of the cuts.
///
/// A segment in which a parameter must stay whole is made of whole ones: each has an owner, and the run has them in the order of
/// their owners. All other parts are cut evenly.
public enum LayoutPlanner {
  /// Elements to which every parameter's start is aligned: 64 bytes.
  static let alignment = 16

  /// Elements with their padding.
  static func aligned(_ count: Int) -> Int { (count + alignment - 1) / alignment * alignment }

  /// The layout of a blueprint for a number of ranks.
  /// - Parameters:
  ///   - granularity: what is asked of the cuts of a parameter.
  ///   - cost: what an update of a parameter costs, to share out whole ones.
  /// - Precondition: at least one rank.
  public static func plan(
    _ blueprint: Blueprint, ranks: Int, granularity: (ParameterSpec) -> Granularity = { _ in .element },
    cost: (ParameterSpec) -> Double = { Double($0.count) }
  ) -> Layout {
    plan(blueprint, ranks: ranks, costs: costs(blueprint, granularity: granularity, cost: cost))
  }

  /// By parameter: what decides the owner of one that stays whole, and 0 for one that may be cut.
  static func costs(
    _ blueprint: Blueprint, granularity: (ParameterSpec) -> Granularity, cost: (ParameterSpec) -> Double
  ) -> [Int] {
    var costs = Array(repeating: 0, count: blueprint.parameters.count)
    for segment in blueprint.segments {
      let trained = segment.parameters.filter { blueprint.parameters[$0].isTrainable }
      guard trained.contains(where: { granularity(blueprint.parameters[$0]) == .matrix }) else { continue }
      for index in trained { costs[index] = max(1, Int(min(cost(blueprint.parameters[index]), 1e15).rounded())) }
    }
    return costs
  }

  /// What an optimizer asks for. Where values are shards, state is cut evenly whatever becomes of a direction: an optimizer that can do
  /// with stretches has them brought together instead of asking for whole parameters.
  /// - Parameter isWhole: what others want whole as well.
  package static func costs(
    _ blueprint: Blueprint, for optimizer: any Optimizer, stage: ZeroStage,
    isWhole: (ParameterSpec) -> Bool = { _ in false }
  ) -> [Int] {
    costs(
      blueprint,
      granularity: { spec in
        if isWhole(spec) { return .matrix }
        return stage.shardsValues && AssemblyPlan.assembles(optimizer, spec)
          ? .element : optimizer.granularity(of: spec)
      }, cost: { optimizer.cost(of: $0) })
  }

  /// - Parameter costs: see above.
  package static func plan(_ blueprint: Blueprint, ranks: Int, costs: [Int]) -> Layout {
    require(ranks > 0, "a layout needs at least one rank, got \(ranks)")
    func places(_ segment: SegmentSpec, _ isTrained: Bool) -> [Int] {
      segment.parameters.filter { blueprint.parameters[$0].isTrainable == isTrained }
    }
    func elements(_ place: Int) -> Int { blueprint.parameters[place].count }
    let trained = parts(
      blueprint.segments.map { places($0, true).map { Item(place: $0, count: elements($0), cost: costs[$0]) } }, ranks)
    let runs = zip(blueprint.segments, trained).map { segment, front in
      let back = even(places(segment, false).map { Item(place: $0, count: elements($0), cost: 0) }, ranks)
      return Layout.Run(
        length: front.length + back.length, trained: front.length,
        offsets: segment.parameters.map { front.offsets[$0] ?? front.length + (back.offsets[$0] ?? 0) },
        boundaries: front.boundaries, frozenBoundaries: back.boundaries)
    }
    return Layout(rankCount: ranks, runs: runs)
  }

  /// A parameter as the cuts see it.
  struct Item {
    /// Its number.
    let place: Int
    /// Elements.
    let count: Int
    /// Above 0 for one that stays whole.
    let cost: Int
  }

  /// One of the two parts of a run: how long it is, where each parameter begins by its number, and where it is cut.
  typealias Part = (length: Int, offsets: [Int: Int], boundaries: [Int])

  /// The parts of all segments that are trained: owners are found over the whole model.
  static func parts(_ segments: [[Item]], _ ranks: Int) -> [Part] {
    let owned = segments.joined().filter { $0.cost > 0 }
    let owners = OwnerPlan(
      owned.map { OwnerPlan.Item(parameter: $0.place, cost: Double($0.cost), memory: aligned($0.count)) }, ranks: ranks
    ).owners
    return segments.map { items in
      items.contains { $0.cost > 0 } ? whole(items, ranks, owners) : even(items, ranks)
    }
  }

  /// Whole parameters in the order of their owners.
  private static func whole(_ items: [Item], _ ranks: Int, _ owners: [Int: Int]) -> Part {
    var offsets: [Int: Int] = [:], boundaries = [0], length = 0
    for rank in 0..<ranks {
      for item in items where owners[item.place, default: 0] == rank {
        offsets[item.place] = length
        length += aligned(item.count)
      }
      boundaries.append(length)
    }
    return (length, offsets, boundaries)
  }

  /// Parameters behind each other, cut at the chunk and parameter edges nearest to an even share.
  static func even(_ items: [Item], _ ranks: Int) -> Part {
    var offsets: [Int] = [], length = 0
    for item in items {
      offsets.append(length)
      length += aligned(item.count)
    }
    let cuts = AllowedCuts(offsets: offsets, counts: items.map(\.count), length: length)
    return (
      length, Dictionary(uniqueKeysWithValues: zip(items.map(\.place), offsets)), boundaries(length, ranks, cuts)
    )
  }

  /// The boundaries nearest to an even cut among the allowed ones, ascending; of two equally near the lower one.
  private static func boundaries(_ length: Int, _ ranks: Int, _ cuts: AllowedCuts) -> [Int] {
    var boundaries = [0]
    for rank in 1..<max(ranks, 1) {
      let ideal = Double(length) * Double(rank) / Double(ranks)
      let (below, above) = cuts.around(ideal)
      let nearest = ideal - Double(below) <= Double(above) - ideal ? below : above
      boundaries.append(max(nearest, boundaries[boundaries.count - 1]))
    }
    return boundaries + [length]
  }
}

/// Where a run may be cut: its ends, the starts of parameters, and chunk edges inside parameters. Found by arithmetic and not
/// listed, since the shapes may come from a file that lies.
private struct AllowedCuts {
  let offsets: [Int]
  let counts: [Int]
  let length: Int

  /// The last cut before a place and the first at or after it; of the place 0 both are 0.
  func around(_ place: Double) -> (below: Int, above: Int) {
    // The last parameter that starts before the place.
    var low = 0, high = offsets.count
    while low < high {
      let middle = (low + high) / 2
      if Double(offsets[middle]) < place { low = middle + 1 } else { high = middle }
    }
    guard low > 0 else { return (0, offsets.first ?? 0) }
    let start = offsets[low - 1]
    let next = low < offsets.count ? offsets[low] : length
    guard counts[low - 1] > 0 else { return (start, next) }
    let last = (counts[low - 1] - 1) / Layout.chunk
    let edge = Int(((place - Double(start)) / Double(Layout.chunk)).rounded(.up))
    return (
      start + min(edge - 1, last) * Layout.chunk, edge <= last ? start + edge * Layout.chunk : next
    )
  }
}
