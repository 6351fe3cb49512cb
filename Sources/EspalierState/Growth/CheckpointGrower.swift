import EspalierNN
import EspalierTensor

/// Grows a checkpoint into another one, weight by weight, without ranks: what a live store of as many ranks would have saved right
/// after the same growth, to the bit.
///
/// Memory: one slot of one old weight, and a few chunks.
package struct CheckpointGrower: Sendable {
  private let source: CheckpointReader
  private let growth: StateGrowth
  private let table: SlotTable
  private let layout: Layout
  package let plan: CheckpointPlan

  /// - Parameters:
  ///   - optimizer: whose slots and layout the checkpoint has.
  ///   - world: of the new checkpoint; its ranks are the shards.
  ///   - state: the trainer's document for it.
  /// - Throws: `GrowthError` where the plan is not of this checkpoint.
  package init(
    _ source: CheckpointReader, _ growth: StateGrowth, for optimizer: any Optimizer,
    world: CheckpointWorld, state: [UInt8], saveID: SaveID, created: String = timestamp()
  ) throws {
    self.source = source
    self.growth = growth
    let blueprint = growth.plan.new
    let table = SlotTable(blueprint, optimizer)
    let costs = LayoutPlanner.costs(blueprint, for: optimizer, stage: ZeroStage(rawValue: world.stage) ?? .slots)
    self.table = table
    try growth.check(table, StoredSlots(source))
    layout = LayoutPlanner.plan(blueprint, ranks: world.ranks, costs: costs)
    plan = CheckpointPlan(
      saveID: saveID, step: source.step,
      tensors: blueprint.parameters.map {
        TensorRecord(name: $0.name, shape: $0.shape.dimensions, trainable: $0.isTrainable)
      },
      slots: blueprint.parameters.indices.map(table.names),
      state: state, world: world,
      segments: SegmentRecord(segments: blueprint.segments.map { Array($0.parameters) }, costs: costs),
      created: created)
  }

  /// Writes the shards of some ranks into a prepared folder.
  /// - Returns: in the order of `ranks`.
  package func write(
    ranks: [Int], to folder: String, compression: Compression = .auto, fileSystem: FileSystem = .real
  ) throws -> [ShardSummary] {
    let old = StoredSlots(source)
    let encoder = ChunkEncoder(chunkBytes: Snapshot.defaultChunkBytes, compression: compression)
    let stream = ShardStream(plan: plan, fileSystem: fileSystem)
    let elements = UnsafeMutableBufferPointer<Float>.allocate(capacity: Snapshot.defaultChunkBytes / 4)
    defer { elements.deallocate() }
    return try ranks.map { rank in
      let pieces = layout.pieces(of: rank, growth.plan.new).flatMap { piece in
        plan.slots[piece.parameter].map {
          ShardStream.Piece(tensor: piece.parameter, slot: $0, range: piece.range, element: .f32)
        }
      }
      return try stream.write(rank: rank, to: folder, pieces) { piece, number, body in
        try write(piece, number, old, elements, encoder, to: &body)
      }
    }
  }

  private func write(
    _ piece: ShardStream.Piece, _ number: Int, _ old: StoredSlots, _ elements: UnsafeMutableBufferPointer<Float>,
    _ encoder: ChunkEncoder, to body: inout ShardBody
  ) throws -> ShardStream.Written {
    let spec = growth.plan.new.parameters[piece.tensor]
    guard let slot = table.all.first(where: { $0.name == piece.slot }), let filling = growth.filling(spec, slot),
      let start = elements.baseAddress
    else { preconditionFailure("no plan says what '\(piece.slot)' of '\(spec.name)' is") }
    let values = try old.whole(filling.sources.filter { old.has(slot: slot.name, of: $0) }, slot: slot.name)
    let key = Digest.key(parameter: spec.name, slot: slot.name)
    var digest = Digest.zero, first = piece.range.lowerBound, ordinal = 0
    while first < piece.range.upperBound {
      let range = first..<min(first + elements.count, piece.range.upperBound)
      filling.fill(range, from: values, into: start)
      let raw = UnsafeRawBufferPointer(start: start, count: 4 * range.count)
      digest += Digest(key: key, firstIndex: first, stored: UnsafeRawPointer(start), .f32, count: range.count)
      let checksum = Checksum(of: raw).value
      let (record, stored) = try encoder.encode(
        raw, of: .f32, checksum: checksum, tensor: piece.tensor, piece: number, ordinal: ordinal)
      try body.append(record, storedLength: stored, rawLength: raw.count, checksum: checksum)
      first = range.upperBound
      ordinal += 1
    }
    return ShardStream.Written(digest: digest, rawBytes: 4 * piece.range.count)
  }
}
