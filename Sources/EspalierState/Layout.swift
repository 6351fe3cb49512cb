public import EspalierNN

/// Who owns which elements: for each segment, the boundaries that cut its flat run among ranks.
///
/// The parameters of a segment lie behind each other in one run, each on a 64-byte edge: first those that are trained, then the
/// frozen ones, and each of the two parts is shared out by itself, so that work and slots are even. Where parameters must stay
/// whole, the run has them in the order of their owners, otherwise in that of the blueprint. Boundaries fall on chunk edges or
/// parameter edges only (a chunk is 4,096 elements counted from the start of its parameter), so that a sum over chunks does not
/// depend on the number of ranks.
public struct Layout: Hashable, Codable, Sendable {
  /// The flat run of one segment.
  public struct Run: Hashable, Codable, Sendable {
    /// Elements, padding included.
    public let length: Int
    /// Elements of the part in front that is trained, padding included: what has gradients and optimizer slots.
    public let trained: Int
    /// Where each parameter of the segment begins.
    public let offsets: [Int]
    /// `rankCount + 1` ascending positions from 0 to `trained`: rank r owns `boundaries[r] ..< boundaries[r + 1]`.
    public let boundaries: [Int]
    /// The same for the frozen part, counted from where it begins.
    public let frozenBoundaries: [Int]

    /// What a rank owns of the part that is trained.
    public func slice(of rank: Int) -> Range<Int> { boundaries[rank]..<boundaries[rank + 1] }
    /// What a rank owns of the frozen part.
    public func frozenSlice(of rank: Int) -> Range<Int> {
      trained + frozenBoundaries[rank]..<trained + frozenBoundaries[rank + 1]
    }
    /// Elements of the frozen part.
    public var frozen: Int { length - trained }
  }

  /// How many ranks share the runs.
  public let rankCount: Int
  /// One for each segment of the blueprint.
  public let runs: [Run]

  /// The unit of every norm and dot product, and the finest cut of a parameter.
  public static let chunk = 4096

  /// The parts of parameters that `rank` owns, in the order of the blueprint.
  public func pieces(of rank: Int, segment: Int, _ blueprint: Blueprint) -> [LayoutPiece] {
    pieces(in: runs[segment].slice(of: rank), segment: segment, blueprint)
      + pieces(in: runs[segment].frozenSlice(of: rank), segment: segment, blueprint)
  }

  /// The parts of parameters in any slice of a segment's run.
  public func pieces(in slice: Range<Int>, segment: Int, _ blueprint: Blueprint) -> [LayoutPiece] {
    let run = runs[segment]
    return zip(blueprint.segments[segment].parameters, run.offsets).compactMap { parameter, offset in
      let part = (offset..<offset + blueprint.parameters[parameter].count).clamped(to: slice)
      guard !part.isEmpty else { return nil }
      return LayoutPiece(
        segment: segment, parameter: parameter, range: part.lowerBound - offset..<part.upperBound - offset,
        offset: part.lowerBound)
    }
  }

  /// All parts of `rank`, segment after segment.
  public func pieces(of rank: Int, _ blueprint: Blueprint) -> [LayoutPiece] {
    runs.indices.flatMap { pieces(of: rank, segment: $0, blueprint) }
  }
}

extension Layout {
  /// The parts of `rank` that are trained, segment after segment: what a norm or a dot product sums over.
  public func trainedPieces(of rank: Int, _ blueprint: Blueprint) -> [LayoutPiece] {
    runs.indices.flatMap { pieces(in: runs[$0].slice(of: rank), segment: $0, blueprint) }
  }
}

/// A stretch of one parameter inside one run.
public struct LayoutPiece: Hashable, Sendable {
  /// The place of the segment in the blueprint.
  public let segment: Int
  /// The place in the blueprint.
  public let parameter: Int
  /// Elements of the flattened parameter.
  public let range: Range<Int>
  /// Where the stretch begins in the segment's run.
  public let offset: Int

  /// Chunks that the stretch covers, the last one possibly short.
  public var chunkCount: Int { (range.count + Layout.chunk - 1) / Layout.chunk }
}
