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
      let trained = part(parameters.filter(\.isTrainable), ranks, granularity)
      let frozen = part(parameters.filter { !$0.isTrainable }, ranks, granularity)
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

  /// Parameters behind each other, and where they are cut.
  private static func part(
    _ parameters: [ParameterSpec], _ ranks: Int, _ granularity: Granularity
  ) -> (length: Int, offsets: [Int], boundaries: [Int]) {
    var offsets: [Int] = [], cuts = [0]
    var length = 0
    for parameter in parameters {
      offsets.append(length)
      if length > 0 { cuts.append(length) }
      if granularity == .element {
        cuts += stride(from: length + Layout.chunk, to: length + parameter.count, by: Layout.chunk)
      }
      length = (length + parameter.count + alignment - 1) / alignment * alignment
    }
    cuts.append(length)
    return (length, offsets, boundaries(length, ranks, cuts))
  }

  /// The boundaries nearest to an even cut among the allowed ones, ascending; of two equally near the lower one.
  private static func boundaries(_ length: Int, _ ranks: Int, _ cuts: [Int]) -> [Int] {
    var boundaries = [0]
    for rank in 1..<max(ranks, 1) {
      let ideal = Double(length) * Double(rank) / Double(ranks)
      var low = 0, high = cuts.count - 1
      while low < high {  // first cut ≥ ideal
        let middle = (low + high) / 2
        if Double(cuts[middle]) < ideal { low = middle + 1 } else { high = middle }
      }
      let above = cuts[low], below = cuts[max(low - 1, 0)]
      let nearest = ideal - Double(below) <= Double(above) - ideal ? below : above
      boundaries.append(max(nearest, boundaries[boundaries.count - 1]))
    }
    return boundaries + [length]
  }
}
