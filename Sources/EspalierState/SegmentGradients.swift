import CKernels
package import EspalierComm
import EspalierNN

/// Where gradients are born, how lanes are summed, and where this rank's part of the sum ends up.
///
/// It covers the part of each run that is trained; a segment that is frozen as a whole has no gradient and sends nothing.
///
/// A lane is one micro-batch from a cleared gradient; the sum over lanes follows the tree of `LaneDealing`, so its bits do not
/// depend on who computed which lane.
protocol SegmentGradients: AnyObject {
  /// The next lane of this rank begins; nil where this rank only takes part in the round.
  func begin(_ turn: LaneTurn)
  /// Backward reaches a segment: its gradient windows are bound on return.
  func enter(_ segment: Int) throws
  /// Backward of a segment is complete.
  func leave(_ segment: Int)
  /// Backward of a segment is complete and its gradient is not wanted.
  func discard(_ segment: Int)
  /// Waits for every reduction of the step.
  func finish() throws
  /// This rank's slice of the sum over all lanes.
  func own(_ segment: Int) -> SlabRange
  /// The slice that this rank updates with.
  func updated(_ segment: Int) -> SlabRange
  var elementCount: Int { get }
}

/// One turn of a rank: which lane it computes, in which round of the dealing.
package struct LaneTurn: Hashable, Sendable {
  package let round: Int
  /// nil where the rank has no lane in this round and takes part with an empty batch.
  package let lane: Int?
  /// Whether this is the last turn of the round on this rank, after which the round's nodes are handed over.
  package let endsRound: Bool

  /// The turns of a rank in one step, in order.
  package static func turns(of rank: Int, in dealing: LaneDealing, order: LaneDealing.Order) -> [LaneTurn] {
    switch order {
    case .contiguous:
      let lanes = dealing.lanes(of: rank)
      return lanes.enumerated().map { LaneTurn(round: 0, lane: $1, endsRound: $0 == lanes.count - 1) }
    case .roundRobin:
      return dealing.rounds.enumerated().map { index, round in
        LaneTurn(round: index, lane: round.nodes.first { $0.rank == rank }?.firstLane, endsRound: true)
      }
    }
  }
}

/// Stages 0–1: a rank sums its own lanes to their maximal subtrees in whole slabs and hands those over once a step.
final class WholeGradients: SegmentGradients {
  private struct Node {
    let slab: Int
    let firstLane: Int
    let level: Int
  }

  private let windows: SegmentWindows
  private let communicator: Communicator
  private let dealing: LaneDealing
  private let gathersSum: Bool
  /// By segment: as many slabs as the rank's own counter needs.
  private let slabs: [[Slab]]
  private let counters: [LaneCounter]
  private var stacks: [[Node]]
  private var turn = LaneTurn(round: 0, lane: nil, endsRound: false)
  private var pending: [Pending<Void>] = []

  /// Elements of the slabs that neighbours read and write.
  static func sharedCounts(_ windows: SegmentWindows, _ communicator: Communicator, lanes: Int) -> [Int] {
    let dealing = LaneDealing(lanes: lanes, ranks: communicator.size, order: .contiguous)
    let count = dealing.localSlabs(of: communicator.rank)
    return windows.layout.runs.flatMap { Array(repeating: $0.trained, count: count) }
  }

  /// - Parameter slabs: of `sharedCounts`.
  init(_ windows: SegmentWindows, _ communicator: Communicator, slabs all: [Slab], lanes: Int, gathersSum: Bool) {
    self.windows = windows
    self.communicator = communicator
    self.gathersSum = gathersSum
    let dealing = LaneDealing(lanes: lanes, ranks: communicator.size, order: .contiguous)
    self.dealing = dealing
    let count = dealing.localSlabs(of: communicator.rank)
    slabs = windows.layout.runs.indices.map { Array(all[$0 * count..<($0 + 1) * count]) }
    stacks = windows.layout.runs.map { _ in [] }
    // The first node always lies in slab 0, so the sum is reduced in place there.
    counters = zip(slabs, windows.layout.runs).map { slabs, run in
      let slice = run.slice(of: communicator.rank)
      return LaneCounter(
        slots: [SlabRange(slab: slabs[0], offset: slice.lowerBound, count: slice.count)], nodesIn: slabs)
    }
  }

  func begin(_ turn: LaneTurn) { self.turn = turn }

  func enter(_ segment: Int) throws {
    guard windows.layout.runs[segment].trained > 0 else { return }
    let used = Set(stacks[segment].map(\.slab))
    guard let free = slabs[segment].indices.first(where: { !used.contains($0) }) else {
      fatalError("no slab is free for the next lane of segment \(segment)")
    }
    guard let lane = turn.lane else { fatalError("a backward pass without a lane at stage 0 or 1") }
    stacks[segment].append(Node(slab: free, firstLane: lane, level: 0))
    windows.bindGradients(segment, to: slabs[segment][free].pointer)
  }

  func leave(_ segment: Int) {
    guard windows.layout.runs[segment].trained > 0 else { return }
    guard let node = stacks[segment].last else { fatalError("segment \(segment) was left without entering") }
    windows.closeGradients(segment, base: slabs[segment][node.slab].pointer)
    merge(segment)
    guard turn.endsRound else { return }
    let run = windows.layout.runs[segment]
    let name = windows.blueprint.segments[segment].name
    let nodes = stacks[segment].map { SlabRange(slab: slabs[segment][$0.slab], offset: 0, count: run.trained) }
    stacks[segment] = []
    let round = dealing.rounds[turn.round], label = "gradients of \(name)"
    pending.append(
      gathersSum
        ? communicator.allReduce(
          nodes, round: round, boundaries: run.boundaries, into: slabs[segment][0].range, label: label)
        : communicator.reduceScatter(
          nodes, round: round, boundaries: run.boundaries, into: counters[segment], label: label))
  }

  func discard(_ segment: Int) {
    if windows.layout.runs[segment].trained > 0 { stacks[segment].removeLast() }
  }

  /// Adds the two nodes on top while they are the halves of one node of the tree.
  private func merge(_ segment: Int) {
    while stacks[segment].count > 1 {
      let right = stacks[segment][stacks[segment].count - 1], left = stacks[segment][stacks[segment].count - 2]
      guard left.level == right.level, left.firstLane % (2 << left.level) == 0 else { return }
      let sum = slabs[segment][left.slab].pointer
      ck_add(sum, slabs[segment][right.slab].pointer, sum, windows.layout.runs[segment].trained)
      stacks[segment].removeLast(2)
      stacks[segment].append(Node(slab: left.slab, firstLane: left.firstLane, level: left.level + 1))
    }
  }

  func finish() throws {
    for pending in pending { try pending.wait() }
    pending = []
    for counter in counters { counter.reset() }
  }

  func own(_ segment: Int) -> SlabRange {
    let slice = windows.layout.runs[segment].slice(of: communicator.rank)
    return SlabRange(slab: slabs[segment][0], offset: slice.lowerBound, count: slice.count)
  }

  func updated(_ segment: Int) -> SlabRange {
    gathersSum ? SlabRange(slab: slabs[segment][0], offset: 0, count: slabs[segment][0].count) : own(segment)
  }

  var elementCount: Int { slabs.joined().reduce(0) { $0 + $1.count } }
}

/// Stages 2–3: one whole gradient at a time; after every round of lanes each owner feeds what arrives to the counter on its shard.
/// A resident segment, whose gradient collects from two places, has a buffer of its own.
final class ShardedGradients: SegmentGradients {
  private let windows: SegmentWindows
  private let communicator: Communicator
  private let dealing: LaneDealing
  /// The shared buffer, then one for each resident segment.
  private let buffers: [Slab]
  private let bufferOfSegment: [Int]
  private var pending: [Pending<Void>?]
  private let slots: [[SlabRange]]
  private let counters: [LaneCounter]
  private var turn = LaneTurn(round: 0, lane: nil, endsRound: false)

  /// Elements of the buffers that neighbours read: the one that segments share, then one for each resident.
  static func sharedCounts(_ windows: SegmentWindows) -> [Int] {
    let segments = zip(windows.blueprint.segments, windows.layout.runs)
    return [segments.filter { !$0.0.isResident }.map(\.1.trained).max() ?? 0]
      + segments.filter { $0.0.isResident }.map(\.1.trained)
  }

  /// - Parameter buffers: of `sharedCounts`.
  init(_ windows: SegmentWindows, _ communicator: Communicator, buffers: [Slab], lanes: Int) {
    self.windows = windows
    self.communicator = communicator
    let dealing = LaneDealing(lanes: lanes, ranks: communicator.size, order: .roundRobin)
    self.dealing = dealing
    let runs = windows.layout.runs
    var residents = 0
    bufferOfSegment = windows.blueprint.segments.map { segment in
      guard segment.isResident else { return 0 }
      residents += 1
      return residents
    }
    self.buffers = buffers
    pending = buffers.map { _ in nil }
    slots = runs.map { run in
      let count = run.slice(of: communicator.rank).count
      return (0..<dealing.retainedNodes).map { _ in
        SlabRange(slab: communicator.slab(count: count), offset: 0, count: count)
      }
    }
    counters = zip(slots, bufferOfSegment).map { LaneCounter(slots: $0, nodesIn: [buffers[$1]]) }
  }

  func begin(_ turn: LaneTurn) { self.turn = turn }

  func enter(_ segment: Int) throws {
    guard windows.layout.runs[segment].trained > 0 else { return }
    let index = bufferOfSegment[segment]
    windows.bindGradients(segment, to: buffers[index].pointer)
    try pending[index]?.wait()
    pending[index] = nil
  }

  func leave(_ segment: Int) {
    let run = windows.layout.runs[segment], index = bufferOfSegment[segment]
    guard run.trained > 0 else { return }
    windows.closeGradients(segment, base: buffers[index].pointer)
    let nodes = turn.lane == nil ? [] : [SlabRange(slab: buffers[index], offset: 0, count: run.trained)]
    pending[index] = communicator.reduceScatter(
      nodes, round: dealing.rounds[turn.round], boundaries: run.boundaries, into: counters[segment],
      label: "gradients of \(windows.blueprint.segments[segment].name)")
  }

  func discard(_ segment: Int) {}

  func finish() throws {
    for index in pending.indices {
      try pending[index]?.wait()
      pending[index] = nil
    }
    for counter in counters { counter.reset() }
  }

  func own(_ segment: Int) -> SlabRange { slots[segment][0] }
  func updated(_ segment: Int) -> SlabRange { own(segment) }

  /// The part of `elementCount` that is whole gradients in the making.
  var bufferElementCount: Int { buffers.reduce(0) { $0 + $1.count } }

  var elementCount: Int { buffers.reduce(0) { $0 + $1.count } + slots.joined().reduce(0) { $0 + $1.count } }
}
