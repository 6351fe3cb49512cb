import EspalierComm
import EspalierNN
import EspalierTensor

/// Where the values of weights lie and when their windows are bound: whole at stages 0–2, gathered by segment at stage 3.
protocol SegmentValues: AnyObject {
  /// Makes sure that the segment's windows are bound to its gathered values.
  func enter(_ segment: Int, _ direction: PassDirection) throws
  func leave(_ segment: Int, _ direction: PassDirection, recording: Bool)
  /// A pass is over: nothing needs to stay gathered.
  func endPass()
  /// Where a stretch lies that this rank owns.
  func pointer(_ piece: LayoutPiece) -> UnsafeMutablePointer<Float>
  /// The slice that this rank updates: its own, or all that is trained where every rank updates everything.
  func updated(_ segment: Int) -> SlabRange
  /// Own slices are about to get new values: gathered copies of them are worth nothing.
  func expire()
  /// The own slice of a segment has new values: start to make gathered copies new. In the order of the segments, after `expire`.
  func refresh(_ segment: Int)
  /// Waits until nothing is under way.
  func settle() throws
  /// Slabs held, for the accounts.
  var elementCount: Int { get }
}

/// What both kinds share: the run of every segment and the windows on it.
struct SegmentWindows {
  let layout: Layout
  let blueprint: Blueprint
  let parameters: [Parameter]

  func bind(_ segment: Int, to base: UnsafeMutablePointer<Float>) {
    for (parameter, offset) in zip(blueprint.segments[segment].parameters, layout.runs[segment].offsets) {
      parameters[parameter].window.bind(base + offset)
    }
  }

  func unbind(_ segment: Int) {
    for parameter in blueprint.segments[segment].parameters { parameters[parameter].window.unbind() }
  }

  func bindGradients(_ segment: Int, to base: UnsafeMutablePointer<Float>) {
    for (parameter, offset) in zip(blueprint.segments[segment].parameters, layout.runs[segment].offsets) {
      parameters[parameter].gradient?.window.bind(base + offset)
    }
  }

  /// Ends the backward pass of a segment: clears what nobody wrote, padding included, and unbinds.
  func closeGradients(_ segment: Int, base: UnsafeMutablePointer<Float>) {
    let run = layout.runs[segment]
    let trained = zip(blueprint.segments[segment].parameters, run.offsets).filter {
      blueprint.parameters[$0.0].isTrainable
    }
    for (parameter, start) in trained {
      let count = blueprint.parameters[parameter].count
      let target = parameters[parameter].gradient
      let written = target?.isWritten == true ? count : 0
      (base + start + written).update(repeating: 0, count: LayoutPlanner.aligned(count) - written)
      target?.isWritten = false
      target?.window.unbind()
    }
  }
}

/// Stages 0–2: one slab a segment, bound for good; new values arrive by gathers that start after an update and are awaited where
/// the next pass enters.
final class WholeValues: SegmentValues {
  private let windows: SegmentWindows
  private let communicator: Communicator
  private let updatesWhole: Bool
  private let slabs: [Slab]
  private var pending: [Int: [Pending<Void>]] = [:]

  /// Elements of the slabs that neighbours write to.
  static func sharedCounts(_ windows: SegmentWindows) -> [Int] { windows.layout.runs.map(\.length) }

  /// - Parameter slabs: of `sharedCounts`.
  init(_ windows: SegmentWindows, _ communicator: Communicator, slabs: [Slab], updatesWhole: Bool) {
    self.windows = windows
    self.communicator = communicator
    self.updatesWhole = updatesWhole
    self.slabs = slabs
    for segment in slabs.indices { windows.bind(segment, to: slabs[segment].pointer) }
  }

  func enter(_ segment: Int, _ direction: PassDirection) throws {
    for pending in pending.removeValue(forKey: segment) ?? [] { try pending.wait() }
  }

  func leave(_ segment: Int, _ direction: PassDirection, recording: Bool) {}
  func endPass() {}

  func pointer(_ piece: LayoutPiece) -> UnsafeMutablePointer<Float> { slabs[piece.segment].pointer + piece.offset }

  func updated(_ segment: Int) -> SlabRange {
    let run = windows.layout.runs[segment], slice = run.slice(of: communicator.rank)
    return updatesWhole
      ? SlabRange(slab: slabs[segment], offset: 0, count: run.trained)
      : SlabRange(slab: slabs[segment], offset: slice.lowerBound, count: slice.count)
  }

  func expire() {}

  func refresh(_ segment: Int) {
    if !updatesWhole { gather(segment, frozen: false) }
  }

  /// Makes every rank's copy the one that the owners hold.
  func gather(_ segment: Int, frozen: Bool) {
    guard communicator.size > 1 else { return }
    let slab = slabs[segment], run = windows.layout.runs[segment], name = windows.blueprint.segments[segment].name
    if run.trained > 0 {
      pending[segment, default: []].append(
        communicator.allGather(
          SlabRange(slab: slab, offset: 0, count: run.trained), boundaries: run.boundaries, label: "values of \(name)"
        ))
    }
    if frozen, run.frozen > 0 {
      pending[segment, default: []].append(
        communicator.allGather(
          SlabRange(slab: slab, offset: run.trained, count: run.frozen), boundaries: run.frozenBoundaries,
          label: "frozen values of \(name)"))
    }
  }

  func settle() throws {
    for segment in pending.keys.sorted() {
      for pending in pending.removeValue(forKey: segment) ?? [] { try pending.wait() }
    }
  }

  var elementCount: Int { slabs.reduce(0) { $0 + $1.count } }
}

/// Stage 3: shards, and buffers for the segments in use. A gather runs one segment ahead of the pass and brings the shards straight
/// into the buffers; what is left behind is released, and overwritten with NaN where memory is checked.
final class ShardedValues: SegmentValues {
  private enum State {
    case released
    case gathering(Slab, [Pending<Void>])
    case gathered(Slab)
  }

  private let windows: SegmentWindows
  private let communicator: Communicator
  private let poisons: Bool
  private let shards: [Slab]
  /// Of the frozen parts; nil where a segment has none.
  private let frozenShards: [Slab?]
  /// By segment: the one that a backward pass comes to next.
  private let sweptBefore: [Int?]
  private var states: [State]
  private var shelf: [Slab]
  /// The length of every buffer: the longest run.
  private let bufferLength: Int
  private(set) var bufferCount: Int

  /// Elements of the buffers that neighbours write to: for the segment in use, the next one, and those that stay.
  static func sharedCounts(_ windows: SegmentWindows) -> [Int] {
    let residents = windows.blueprint.segments.count { $0.isResident }
    let runs = windows.layout.runs
    return Array(repeating: runs.map(\.length).max() ?? 0, count: min(runs.count, 2 + residents))
  }

  /// - Parameter buffers: of `sharedCounts`.
  init(_ windows: SegmentWindows, _ communicator: Communicator, buffers: [Slab], poisons: Bool) {
    shelf = buffers.reversed()
    bufferCount = buffers.count
    self.windows = windows
    self.communicator = communicator
    self.poisons = poisons
    let runs = windows.layout.runs
    shards = runs.map { communicator.slab(count: $0.slice(of: communicator.rank).count) }
    frozenShards = runs.map {
      $0.frozen > 0 ? communicator.slab(count: $0.frozenSlice(of: communicator.rank).count) : nil
    }
    let swept = windows.blueprint.sweptSegments
    sweptBefore = runs.indices.map { swept[..<$0].lastIndex(of: true) }
    states = Array(repeating: .released, count: runs.count)
    bufferLength = runs.map(\.length).max() ?? 0
  }

  func enter(_ segment: Int, _ direction: PassDirection) throws {
    if windows.blueprint.segments[segment].isResident, case .gathered = states[segment] { return }  // a second use
    request(segment)
    let next = direction == .forward ? segment + 1 : sweptBefore[segment]
    if let next, states.indices.contains(next) { request(next) }
    if case .gathering(let buffer, let pending) = states[segment] {
      for pending in pending { try pending.wait() }
      windows.bind(segment, to: buffer.pointer)
      states[segment] = .gathered(buffer)
    }
  }

  func leave(_ segment: Int, _ direction: PassDirection, recording: Bool) {
    let spec = windows.blueprint.segments[segment]
    let turnsHere = direction == .forward && recording && segment == states.count - 1
    let startsNextPass = direction == .backward && segment == 0
    if turnsHere || startsNextPass || (spec.isResident && direction == .forward) { return }
    release(segment)
  }

  func endPass() {
    for segment in states.indices { release(segment) }
  }

  private func request(_ segment: Int) {
    guard case .released = states[segment] else { return }
    let run = windows.layout.runs[segment]
    let buffer: Slab
    if let shelved = shelf.popLast() {
      buffer = shelved
    } else {
      buffer = communicator.slab(count: bufferLength)
      bufferCount += 1
    }
    let name = windows.blueprint.segments[segment].name
    var pending: [Pending<Void>] = []
    if run.trained > 0 {
      pending.append(
        communicator.allGather(
          SlabRange(slab: buffer, offset: 0, count: run.trained), from: shards[segment].range,
          boundaries: run.boundaries, label: "values of \(name)"))
    }
    if let frozen = frozenShards[segment] {
      pending.append(
        communicator.allGather(
          SlabRange(slab: buffer, offset: run.trained, count: run.frozen), from: frozen.range,
          boundaries: run.frozenBoundaries, label: "frozen values of \(name)"))
    }
    states[segment] = .gathering(buffer, pending)
  }

  private func release(_ segment: Int) {
    switch states[segment] {
    case .released:
      return
    case .gathering(let buffer, let pending):
      // A failure stays in the communicator and is thrown by the next request that is awaited.
      for pending in pending { try? pending.wait() }
      shelve(buffer, segment)
    case .gathered(let buffer):
      windows.unbind(segment)
      shelve(buffer, segment)
    }
    states[segment] = .released
  }

  private func shelve(_ buffer: Slab, _ segment: Int) {
    if poisons { Pool.poison(buffer.pointer, count: windows.layout.runs[segment].length) }
    shelf.append(buffer)
  }

  func pointer(_ piece: LayoutPiece) -> UnsafeMutablePointer<Float> {
    let run = windows.layout.runs[piece.segment], rank = communicator.rank
    if piece.offset < run.trained {
      return shards[piece.segment].pointer + (piece.offset - run.slice(of: rank).lowerBound)
    }
    guard let frozen = frozenShards[piece.segment] else { fatalError("no frozen part holds \(piece)") }
    return frozen.pointer + (piece.offset - run.frozenSlice(of: rank).lowerBound)
  }

  func updated(_ segment: Int) -> SlabRange { shards[segment].range }
  func expire() { endPass() }

  /// What the next pass enters first comes while later segments are still updated.
  func refresh(_ segment: Int) {
    if segment < ZeroStage.values.segmentsAhead { request(segment) }
  }

  func settle() throws { endPass() }

  var elementCount: Int {
    shards.reduce(0) { $0 + $1.count } + frozenShards.reduce(0) { $0 + ($1?.count ?? 0) } + bufferCount * bufferLength
  }
  /// The part of `elementCount` that is gathered copies.
  var bufferElementCount: Int { bufferCount * bufferLength }
}
