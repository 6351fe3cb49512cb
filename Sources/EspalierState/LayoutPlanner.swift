public import EspalierNN
import EspalierTensor

/// What an optimizer or method asks of the cuts.
public enum Granularity: String, Codable, Sendable {
  /// Any chunk edge will do.
  case element
  /// Parameters must not be cut.
  case matrix
}

/// Chooses layouts: a pure function of the blueprint, the number of ranks and the granularity asked for.
public enum LayoutPlanner {
  /// Elements to which every parameter's start is aligned: 64 bytes.
  static let alignment = 16

  /// The layout of a blueprint for a number of ranks.
  /// - Precondition: at least one rank.
  public static func plan(_ blueprint: Blueprint, ranks: Int, granularity: Granularity = .element) -> Layout {
    require(ranks > 0, "a layout needs at least one rank, got \(ranks)")
    let runs = blueprint.segments.map { segment in
      let parameters = Array(blueprint.parameters(of: segment))
      let trained = part(parameters.filter(\.isTrainable).map(\.count), ranks, granularity)
      let frozen = part(parameters.filter { !$0.isTrainable }.map(\.count), ranks, granularity)
      var trainedOffsets = trained.offsets[...], frozenOffsets = frozen.offsets[...]
      let offsets = parameters.map { parameter in
        parameter.isTrainable ? trainedOffsets.removeFirst() : trained.length + frozenOffsets.removeFirst()
      }
      return Layout.Run(
        length: trained.length + frozen.length, trained: trained.length, offsets: offsets,
        boundaries: trained.boundaries, frozenBoundaries: frozen.boundaries)
    }
    return Layout(rankCount: ranks, runs: runs)
  }

  /// Parameters behind each other, by their numbers of elements, and where they are cut: no more of the model is needed.
  static func part(
    _ counts: [Int], _ ranks: Int, _ granularity: Granularity
  ) -> (length: Int, offsets: [Int], boundaries: [Int]) {
    var offsets: [Int] = []
    var length = 0
    for count in counts {
      offsets.append(length)
      length = (length + count + alignment - 1) / alignment * alignment
    }
    let cuts = AllowedCuts(offsets: offsets, counts: counts, length: length, granularity: granularity)
    return (length, offsets, boundaries(length, ranks, cuts))
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
  let granularity: Granularity

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
    guard granularity == .element, counts[low - 1] > 0 else { return (start, next) }
    let last = (counts[low - 1] - 1) / Layout.chunk
    let edge = Int(((place - Double(start)) / Double(Layout.chunk)).rounded(.up))
    return (
      start + min(edge - 1, last) * Layout.chunk, edge <= last ? start + edge * Layout.chunk : next
    )
  }
}
