/// A sum of consecutive lanes that one rank hands over: lanes `firstLane ..< firstLane + 2^level`.
public struct LaneNode: Hashable, Sendable, Codable {
  /// The rank that holds it.
  public let rank: Int
  /// A multiple of 2^level.
  public let firstLane: Int
  /// 0 for a single lane.
  public let level: Int

  public init(rank: Int, firstLane: Int, level: Int) {
    self.rank = rank
    self.firstLane = firstLane
    self.level = level
  }

  /// 2^level.
  public var laneCount: Int { 1 << level }
}

/// Which rank computes which lanes, and in which rounds their gradients are handed to the owners of the slices.
///
/// A pure value: the tree of a sum over lanes depends on the number of lanes alone, never on this.
public struct LaneDealing: Hashable, Sendable {
  public enum Order: String, Hashable, Sendable, Codable {
    /// Blocks as even as they go, the first ranks take one lane more; a rank hands over its maximal aligned subtrees once a step.
    case contiguous
    /// Lane i to rank i mod ranks; handed over after every round.
    case roundRobin
  }

  /// What is handed over at one time.
  public struct Round: Hashable, Sendable {
    /// In lane order.
    public let nodes: [LaneNode]
    /// Whether the sum is finished after it.
    public let isLast: Bool

    public init(nodes: [LaneNode], isLast: Bool) {
      self.nodes = nodes
      self.isLast = isLast
    }

    /// The nodes that `rank` contributes, in lane order.
    public func nodes(of rank: Int) -> [LaneNode] { nodes.filter { $0.rank == rank } }
  }

  public let lanes: Int
  public let ranks: Int
  public let order: Order
  /// Contiguous: one. Round-robin: ⌈lanes / ranks⌉.
  public let rounds: [Round]

  /// - Precondition: 1 ≤ ranks ≤ lanes.
  public init(lanes: Int, ranks: Int, order: Order) {
    precondition(1 <= ranks && ranks <= lanes, "\(lanes) lanes cannot be dealt to \(ranks) ranks: 1 ≤ ranks ≤ lanes")
    self.lanes = lanes
    self.ranks = ranks
    self.order = order
    switch order {
    case .contiguous:
      let nodes = (0..<ranks).flatMap { rank in
        Self.simulate(Self.block(of: rank, lanes: lanes, ranks: ranks), rank: rank).left
      }
      rounds = [Round(nodes: nodes, isLast: true)]
    case .roundRobin:
      rounds = stride(from: 0, to: lanes, by: ranks).map { first in
        let nodes = (first..<min(first + ranks, lanes)).map { LaneNode(rank: $0 - first, firstLane: $0, level: 0) }
        return Round(nodes: nodes, isLast: first + ranks >= lanes)
      }
    }
  }

  /// The lanes that `rank` computes, in the order in which it computes them.
  public func lanes(of rank: Int) -> [Int] {
    switch order {
    case .contiguous: Array(Self.block(of: rank, lanes: lanes, ranks: ranks))
    case .roundRobin: Array(stride(from: rank, to: lanes, by: ranks))
    }
  }

  /// Most nodes on an owner's counter between two rounds and at the end: the slots that its `LaneCounter` needs, at least 1.
  public var retainedNodes: Int {
    var levels: [Int] = []
    var most = 1
    for round in rounds {
      levels = CounterPlan(retained: levels, fed: round.nodes.map(\.level), isLast: round.isLast).levels
      most = max(most, levels.count)
    }
    return most
  }

  /// Whole slabs that a rank needs while it computes its lanes one by one and merges them; contiguous dealing only.
  ///
  /// 1 + log₂ for an aligned power of two of lanes.
  public func localSlabs(of rank: Int) -> Int {
    precondition(order == .contiguous, "round-robin lanes are not merged by the rank that computes them")
    return Self.simulate(Self.block(of: rank, lanes: lanes, ranks: ranks), rank: rank).mostAlive
  }

  private static func block(of rank: Int, lanes: Int, ranks: Int) -> Range<Int> {
    precondition(0 <= rank && rank < ranks, "rank \(rank) of \(ranks)")
    let least = lanes / ranks
    let longer = lanes % ranks
    let first = rank * least + min(rank, longer)
    return first..<first + least + (rank < longer ? 1 : 0)
  }

  /// A rank's own counter over its block: two neighbours merge where the whole tree would merge them.
  private static func simulate(_ block: Range<Int>, rank: Int) -> (left: [LaneNode], mostAlive: Int) {
    var nodes: [LaneNode] = []
    var mostAlive = 0
    for lane in block {
      nodes.append(LaneNode(rank: rank, firstLane: lane, level: 0))
      mostAlive = max(mostAlive, nodes.count)
      while let merged = Self.merged(nodes) { nodes.replaceSubrange((nodes.count - 2)..., with: [merged]) }
    }
    return (nodes, mostAlive)
  }

  /// The sum of the last two nodes if they are the two halves of an aligned subtree.
  private static func merged(_ nodes: [LaneNode]) -> LaneNode? {
    guard let right = nodes.last, let left = nodes.dropLast().last, left.level == right.level,
      left.firstLane % (2 * left.laneCount) == 0
    else { return nil }
    return LaneNode(rank: left.rank, firstLane: left.firstLane, level: left.level + 1)
  }
}
