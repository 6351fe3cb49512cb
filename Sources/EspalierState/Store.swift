import CKernels
package import EspalierComm
package import EspalierNN
import EspalierTensor

/// The memory of all slots on this rank, under a layout: values, gradients, optimizer slots.
///
/// It lends values to the model as passes enter and leave segments, takes gradients as they are born, sums them over lanes in
/// the order of the tree, and hands stretches to the optimizer. The model never learns the stage.
package final class Store {
  package struct Options: Sendable {
    package var stage: ZeroStage
    package var lanes: Int
    /// Overwrite released values with NaN.
    package var poisons: Bool

    package init(stage: ZeroStage, lanes: Int, poisons: Bool = false) {
      self.stage = stage
      self.lanes = lanes
      self.poisons = poisons
    }
  }

  package let blueprint: Blueprint
  package let layout: Layout
  /// By parameter: what decided the owner of one that stays whole, and 0 for one that may be cut.
  let ownerCosts: [Int]
  package let options: Options
  /// Which parameters have which slots.
  package let table: SlotTable
  /// Value first, then the optimizer's.
  package var slots: [SlotSpec] { table.all }
  package let communicator: Communicator
  let values: any SegmentValues
  let gradients: any SegmentGradients
  /// By slot name, then by segment; `value` is not among them.
  private let slotSlabs: [String: [Slab]]
  /// How those lie, likewise.
  private let packings: [String: [SlotPacking]]
  private let scratch = Scratch()
  /// Brings cut matrices together for the optimizer; nil where every rank has what it updates, or updates everything.
  let assembly: MatrixAssembly?
  let parameters: [Parameter]
  private let handles: [SegmentHandle]
  private var openGradients: Set<Int> = []
  /// The first failure of a collective inside a pass, thrown by `endPass`: a layer cannot throw.
  private var failure: (any Error)?
  /// What is saved with the weights and is none.
  package var extras: [ExtraTensor] = []
  /// Whether the gradient of every lane is squared before lanes are added: for importances.
  package var squaresLanes = false
  /// Looks at a lane's gradient in place of reducing it, while a non-finite step is being explained.
  package var inspector: ((_ segment: Int, _ parameter: Int, _ gradient: UnsafeBufferPointer<Float>) -> Void)?

  /// Told when a pass enters a segment: what this rank is busy with.
  package var phaseObserver: ((_ segment: Int, _ direction: PassDirection) -> Void)?
  /// Told first when a pass enters a segment and last when it leaves one.
  package var passObserver: ((_ segment: Int, _ direction: PassDirection, _ isEntering: Bool) -> Void)?

  /// Under the layout and with the slots that an optimizer asks for.
  package convenience init<Model>(
    _ built: Built<Model>, for optimizer: any Optimizer, methods: [SlotSpec] = [], options: Options,
    communicator: Communicator
  ) {
    self.init(
      built, table: SlotTable(built.blueprint, optimizer, methods: methods),
      ownerCosts: LayoutPlanner.costs(built.blueprint, for: optimizer, stage: options.stage), optimizer: optimizer,
      options: options, communicator: communicator)
  }

  /// With the same slots for every parameter that is trained, cut at any chunk edge.
  package convenience init<Model>(
    _ built: Built<Model>, slots: [SlotSpec], options: Options, communicator: Communicator
  ) {
    self.init(
      built, table: SlotTable(built.blueprint, all: slots) { _ in slots },
      ownerCosts: Array(repeating: 0, count: built.blueprint.parameters.count), optimizer: nil, options: options,
      communicator: communicator)
  }

  /// - Parameter optimizer: which will update; nil where none will.
  /// - Precondition: at least as many lanes as ranks.
  package init<Model>(
    _ built: Built<Model>, table: SlotTable, ownerCosts: [Int], optimizer: (any Optimizer)?, options: Options,
    communicator: Communicator
  ) {
    require(communicator.size <= options.lanes, "\(communicator.size) ranks for \(options.lanes) lanes")
    blueprint = built.blueprint
    parameters = built.parameters
    handles = built.handles
    self.options = options
    self.ownerCosts = ownerCosts
    let layout = LayoutPlanner.plan(blueprint, ranks: communicator.size, costs: ownerCosts)
    self.communicator = communicator
    self.table = table
    self.layout = layout
    let windows = SegmentWindows(layout: layout, blueprint: blueprint, parameters: parameters)
    let stage = options.stage
    let valueCounts =
      stage.shardsValues ? ShardedValues.sharedCounts(windows) : WholeValues.sharedCounts(windows)
    let gradientCounts =
      stage.shardsGradients
      ? ShardedGradients.sharedCounts(windows)
      : WholeGradients.sharedCounts(windows, communicator, lanes: options.lanes)
    // One window for the layout.
    let shared = communicator.slabs(counts: valueCounts + gradientCounts, label: "slabs of the layout")
    let valueSlabs = Array(shared.prefix(valueCounts.count)), gradientSlabs = Array(shared.dropFirst(valueCounts.count))
    values =
      stage.shardsValues
      ? ShardedValues(windows, communicator, buffers: valueSlabs, poisons: options.poisons)
      : WholeValues(windows, communicator, slabs: valueSlabs, updatesWhole: !stage.shardsSlots)
    gradients =
      stage.shardsGradients
      ? ShardedGradients(windows, communicator, buffers: gradientSlabs, lanes: options.lanes)
      : WholeGradients(
        windows, communicator, slabs: gradientSlabs, lanes: options.lanes, gathersSum: !stage.shardsSlots)
    let blueprint = blueprint
    packings = Dictionary(
      uniqueKeysWithValues: table.all.dropFirst().map { slot in
        (
          slot.name,
          layout.runs.enumerated().map { segment, run in
            let held = stage.shardsSlots ? run.slice(of: communicator.rank) : 0..<run.trained
            return table.packing(slot.name, in: held, segment: segment, layout, blueprint)
          }
        )
      })
    assembly = optimizer.flatMap { optimizer in
      stage.shardsSlots && communicator.size > 1 ? MatrixAssembly(blueprint, layout, optimizer, communicator) : nil
    }
    slotSlabs = packings.mapValues { $0.map { communicator.slab(count: $0.count) } }
    for handle in handles { handle.keeper = self }
  }

  /// Whether backward passes compute segments again instead of keeping their activations.
  package func recompute(_ flag: Bool) {
    for handle in handles { handle.recomputes = flag }
  }

  // MARK: Passes

  /// The next lane of this rank begins.
  package func begin(_ turn: LaneTurn) { gradients.begin(turn) }

  /// A pass is over.
  /// - Throws: the first failure of a collective inside it.
  package func endPass(recording: Bool) throws {
    if !recording { values.endPass() }
    if let failure { throw failure }
  }

  // MARK: The state of parameters

  /// The part of a slot's slab that a stretch of this rank's own slice occupies.
  package func pointer(_ slot: String, _ piece: LayoutPiece) -> UnsafeMutablePointer<Float> {
    if slot == SlotSpec.value.name { return values.pointer(piece) }
    guard let slab = slotSlabs[slot]?[piece.segment], let offset = packings[slot]?[piece.segment].offset(piece) else {
      fatalError("there is no slot '\(slot)' of '\(blueprint.parameters[piece.parameter].name)'")
    }
    return slab.pointer + offset
  }

  func slabCount(_ slot: String, _ segment: Int) -> Int { slotSlabs[slot]?[segment].count ?? 0 }

  /// The stretches that this rank owns.
  package var ownPieces: [LayoutPiece] { layout.pieces(of: communicator.rank, blueprint) }

  /// Whether a parameter has a slot: frozen weights have a value alone.
  package func has(_ slot: SlotSpec, _ parameter: Int) -> Bool { table.has(slot.name, parameter) }

  /// Fills every weight from its initializer, keyed by its name; all other slots start at zero.
  package func initialize(seed: UInt64) throws {
    let key = RandomKey(seed: seed).child("weights")
    for piece in ownPieces {
      let spec = blueprint.parameters[piece.parameter]
      ProgressCounter.tick()
      spec.initializer.fill(piece.range, of: key.child(spec.name), into: pointer(SlotSpec.value.name, piece))
    }
    try share()
  }

  /// Makes what owners hold known wherever it is held whole: after slots were filled from outside.
  package func share() throws {
    values.expire()
    if let whole = values as? WholeValues {
      for segment in layout.runs.indices { whole.gather(segment, frozen: true) }
    }
    if !options.stage.shardsSlots, communicator.size > 1 {
      for slot in slots.dropFirst() {
        for (segment, slab) in (slotSlabs[slot.name] ?? []).enumerated() where slab.count > 0 {
          try communicator.allGather(
            SlabRange(slab: slab, offset: 0, count: slab.count), boundaries: boundaries(of: slot.name, segment),
            label: "\(slot.name) of \(blueprint.segments[segment].name)"
          ).wait()
        }
      }
    }
    try values.settle()
  }

  /// Where ranks' parts of a slot that is held whole begin, and the end.
  private func boundaries(of slot: String, _ segment: Int) -> [Int] {
    (0..<communicator.size).reduce(into: [0]) { boundaries, rank in
      let slice = layout.runs[segment].slice(of: rank)
      boundaries.append(
        boundaries[rank] + table.packing(slot, in: slice, segment: segment, layout, blueprint).count)
    }
  }

  /// Calls `body` for every stretch of every trainable parameter that this rank updates.
  package func forEachUpdated(
    _ groups: [ParameterGroup], _ body: (ParameterShard) -> Void
  ) {
    for segment in layout.runs.indices {
      for shard in shards(of: segment, groups) { body(shard.value) }
    }
  }

  /// The stretches of a segment that this rank updates, with the numbers of their parameters.
  func shards(of segment: Int, _ groups: [ParameterGroup]) -> [(parameter: Int, value: ParameterShard)] {
    let value = values.updated(segment), gradient = gradients.updated(segment)
    let run = layout.runs[segment]
    let slice = options.stage.shardsSlots ? run.slice(of: communicator.rank) : 0..<run.trained
    return layout.pieces(in: slice, segment: segment, blueprint).map { piece in
      let start = piece.offset - slice.lowerBound, count = piece.range.count
      ProgressCounter.tick()
      let slots = Dictionary(
        uniqueKeysWithValues: slots.dropFirst().filter { has($0, piece.parameter) }.map {
          ($0.name, UnsafeMutableBufferPointer(start: pointer($0.name, piece), count: count))
        })
      return (
        piece.parameter,
        ParameterShard(
          spec: blueprint.parameters[piece.parameter], range: piece.range, group: groups[piece.parameter],
          value: UnsafeMutableBufferPointer(start: value.pointer + start, count: count),
          gradient: UnsafeMutableBufferPointer(start: gradient.pointer + start, count: count), slots: slots,
          scratch: scratch)
      )
    }
  }

  // MARK: The end of a step

  /// Waits until this rank holds its part of the sum over lanes.
  package func finishGradients() throws { try gradients.finish() }

  /// One double for every chunk of this rank's gradient: its sum of squares, in (segment, parameter, chunk) order. A statistic's
  /// chunks have no part in the norm: they count 0, or NaN where they are not finite.
  package func gradientSquares() -> [Double] {
    layout.trainedPieces(of: communicator.rank, blueprint).flatMap { piece -> [Double] in
      let slice = layout.runs[piece.segment].slice(of: communicator.rank)
      let gradient = UnsafePointer(gradients.own(piece.segment).pointer + (piece.offset - slice.lowerBound))
      guard blueprint.parameters[piece.parameter].isStatistic else {
        return ChunkedScalars.squares(of: [piece]) { _ in gradient }
      }
      let isFinite = ck_is_finite(gradient, piece.range.count) != 0
      return Array(repeating: isFinite ? 0 : .nan, count: piece.chunkCount)
    }
  }

  /// Makes values known that were changed where they are updated. Collective.
  package func shareUpdated() throws {
    values.expire()
    for segment in layout.runs.indices { values.refresh(segment) }
    try values.settle()
  }

  /// Waits until nothing is under way.
  package func settle() throws { try values.settle() }
}

extension Store: SegmentKeeper {
  package func enter(_ segment: Int, _ direction: PassDirection) {
    phaseObserver?(segment, direction)
    passObserver?(segment, direction, true)
    do {
      try values.enter(segment, direction)
      if direction == .backward, openGradients.insert(segment).inserted { try gradients.enter(segment) }
    } catch {
      failure = failure ?? error
    }
  }

  package func leave(_ segment: Int, _ direction: PassDirection, recording: Bool) {
    if direction == .backward, openGradients.remove(segment) != nil {
      if let inspector {
        inspect(segment, inspector)
      } else {
        if squaresLanes { square(segment) }
        gradients.leave(segment)
      }
    }
    values.leave(segment, direction, recording: recording)
    passObserver?(segment, direction, false)
  }

  private func square(_ segment: Int) {
    for parameter in blueprint.segments[segment].parameters {
      guard let target = parameters[parameter].gradient, target.isWritten else { continue }
      let gradient = target.window.pointer
      for index in 0..<target.window.count { gradient[index] *= gradient[index] }
    }
  }

  private func inspect(
    _ segment: Int, _ inspector: (Int, Int, UnsafeBufferPointer<Float>) -> Void
  ) {
    for parameter in blueprint.segments[segment].parameters {
      guard let target = parameters[parameter].gradient else { continue }
      if target.isWritten {
        inspector(segment, parameter, UnsafeBufferPointer(start: target.window.pointer, count: target.window.count))
      }
      target.isWritten = false
    }
    gradients.discard(segment)
  }
}
