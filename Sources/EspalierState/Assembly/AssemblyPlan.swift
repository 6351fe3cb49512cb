package import EspalierComm
package import EspalierNN

/// Which parameters are brought together for their update, on which ranks, and what travels for it: a pure function of blueprint,
/// layout and optimizer.
///
/// In a segment that cuts none of its matrices each is updated where it lies. In any other all of them take part, also those that one rank
/// has, for even shares of memory are no even shares of work. Owners are found segment by segment, the costliest matrix first, each to
/// the rank that has the least to do so far: so ranks are busy at the same time, and segments follow each other without waiting.
package struct AssemblyPlan: Sendable {
  /// A rank's stretch of a parameter that another brings together.
  package struct Part: Hashable, Sendable {
    package let parameter: Int
    package let rank: Int
    package let owner: Int
    package let range: Range<Int>
    package let marks: Int
    /// Where it lies in what its rank sends, and in what its owner receives.
    package let sent: Int
    package let received: Int

    package var room: Int { Direction.room(range.count, marks: marks) }
  }

  /// What one segment exchanges.
  package struct Segment: Sendable {
    /// By parameter, then by rank.
    package var parts: [Part] = []
    package var counts: AllToAllCounts

    package func sentCount(of rank: Int) -> Int { counts.sendOffsets(of: rank)[counts.rankCount] }
    package func receivedCount(of rank: Int) -> Int { counts.receiveOffsets(of: rank)[counts.rankCount] }
  }

  /// By segment of the blueprint; without parts where nothing is brought together.
  package let segments: [Segment]
  private let assembled: Set<Int>
  /// What an update costs each rank, by the optimizer's own measure.
  package let costByRank: [Double]

  /// At most so many segments are under way at once.
  static let depth = 3

  package init(_ blueprint: Blueprint, _ layout: Layout, _ optimizer: any Optimizer) {
    let ranks = layout.rankCount
    var costs = Array(repeating: 0.0, count: ranks), segments: [Segment] = []
    for segment in layout.runs.indices {
      let stretches = (0..<ranks).flatMap { rank in
        layout.pieces(in: layout.runs[segment].slice(of: rank), segment: segment, blueprint).map { (rank, $0) }
      }
      let byParameter = Dictionary(grouping: stretches, by: \.1.parameter)
      var joined = byParameter.keys.filter { Self.assembles(optimizer, blueprint.parameters[$0]) }.sorted()
      if joined.allSatisfy({ byParameter[$0]?.count == 1 }) { joined = [] }
      for (parameter, stretches) in byParameter.sorted(by: { $0.key < $1.key }) where !joined.contains(parameter) {
        let spec = blueprint.parameters[parameter]
        for (rank, piece) in stretches {
          costs[rank] += optimizer.cost(of: spec) * Double(piece.range.count) / Double(spec.count)
        }
      }
      let plan = OwnerPlan(
        joined.map {
          OwnerPlan.Item(
            parameter: $0, cost: optimizer.cost(of: blueprint.parameters[$0]), memory: blueprint.parameters[$0].count)
        }, ranks: ranks, costs: costs)
      costs = plan.costs
      segments.append(Self.segment(joined, byParameter, plan.owners, blueprint, optimizer, ranks))
    }
    self.segments = segments
    assembled = Set(segments.flatMap(\.parts).map(\.parameter))
    costByRank = costs
  }

  /// Whether the optimizer can do with stretches of a parameter where it needs the whole for its direction alone.
  static func assembles(_ optimizer: any Optimizer, _ spec: ParameterSpec) -> Bool {
    optimizer is any AssemblingOptimizer && !spec.isStatistic && optimizer.granularity(of: spec) == .matrix
  }

  /// Places of the parts: each rank's and each owner's messages hold parameters in ascending order.
  private static func segment(
    _ parameters: [Int], _ stretches: [Int: [(Int, LayoutPiece)]], _ owners: [Int: Int], _ blueprint: Blueprint,
    _ optimizer: any Optimizer, _ ranks: Int
  ) -> Segment {
    var counts = AllToAllCounts(ranks: ranks)
    var drafts: [(part: Part, place: Int)] = []
    for parameter in parameters {
      let marks = (optimizer as? any AssemblingOptimizer)?.markCount(of: blueprint.parameters[parameter]) ?? 0
      for (rank, piece) in stretches[parameter] ?? [] {
        let owner = owners[parameter] ?? 0
        let part = Part(
          parameter: parameter, rank: rank, owner: owner, range: piece.range, marks: marks, sent: 0, received: 0)
        drafts.append((part, counts[rank, owner]))
        counts[rank, owner] += part.room
      }
    }
    let parts = drafts.map { draft, place in
      Part(
        parameter: draft.parameter, rank: draft.rank, owner: draft.owner, range: draft.range, marks: draft.marks,
        sent: counts.sendOffsets(of: draft.rank)[draft.owner] + place,
        received: counts.receiveOffsets(of: draft.owner)[draft.rank] + place)
    }
    return Segment(parts: parts, counts: counts)
  }

  /// Whether a parameter is brought together for its update.
  package func isAssembled(_ parameter: Int) -> Bool { assembled.contains(parameter) }

  /// Whether none is.
  package var isEmpty: Bool { assembled.isEmpty }

  /// Elements of the buffers of `rank`: what a segment sends and what it receives, at most.
  func bufferCounts(of rank: Int) -> (sent: Int, received: Int) {
    (
      segments.map { $0.sentCount(of: rank) }.max() ?? 0, segments.map { $0.receivedCount(of: rank) }.max() ?? 0
    )
  }

  /// Segments whose exchanges may be under way at once.
  var flights: Int { isEmpty ? 0 : min(Self.depth, segments.count) }

  /// Elements of all buffers of a rank.
  func bufferElementCount(of rank: Int) -> Int {
    let counts = bufferCounts(of: rank)
    return flights * (counts.sent + counts.received)
  }

  /// Bytes that a rank sends to others in one update, there and back; it receives as many.
  package func bytesSent(by rank: Int) -> Int {
    segments.reduce(0) { sum, segment in
      let counts = segment.counts
      let others = (0..<counts.rankCount).filter { $0 != rank }
      return sum + 4 * others.reduce(0) { $0 + counts[rank, $1] + counts[$1, rank] }
    }
  }
}
