import EspalierState
import EspalierTensor
import Foundation
import Testing

/// A state small enough to check bit by bit, and the ways to save it.
struct SampleState {
  struct Slot {
    let tensor: Int
    let name: String
    var values: [Float]
  }

  var tensors: [TensorRecord]
  var slots: [Slot]

  /// One slot "value" for each shape, and "adamw.m" for the trainable ones; random bits, so NaNs and denormals too.
  init(shapes: [[Int]], seed: UInt64 = 1) {
    tensors = shapes.enumerated().map { TensorRecord(name: "blocks.\($0).weight", shape: $1, trainable: $0 % 3 != 2) }
    slots = []
    for (number, record) in tensors.enumerated() {
      for name in record.trainable ? ["value", "adamw.m"] : ["value"] {
        let key = RandomKey(seed: seed).child(record.name).child(name)
        slots.append(
          Slot(
            tensor: number, name: name,
            values: (0..<record.elementCount).map {
              Float(bitPattern: UInt32(truncatingIfNeeded: key.bits(at: UInt64($0))))
            }))
      }
    }
  }

  var slotNames: [[String]] { tensors.indices.map { number in slots.filter { $0.tensor == number }.map(\.name) } }

  /// Cuts the elements of all slots, laid end to end, into `writers` runs at places drawn from `seed`; a writer may get nothing.
  func parts(writers: Int, seed: UInt64 = 7) -> [[(slot: Int, range: Range<Int>)]] {
    let total = slots.reduce(0) { $0 + $1.values.count }
    let key = RandomKey(seed: seed)
    var cuts = (1..<writers).map { Int(key.bits(at: UInt64($0)) % UInt64(total + 1)) }.sorted()
    cuts = [0] + cuts + [total]
    return (0..<writers).map { writer in
      var parts: [(Int, Range<Int>)] = []
      var start = 0
      for (number, slot) in slots.enumerated() {
        let range = (start..<start + slot.values.count).clamped(to: cuts[writer]..<cuts[writer + 1])
        if !range.isEmpty { parts.append((number, range.lowerBound - start..<range.upperBound - start)) }
        start += slot.values.count
      }
      return parts
    }
  }

  func snapshot(
    _ parts: [(slot: Int, range: Range<Int>)], chunkBytes: Int, element: (String) -> ElementType = { _ in .f32 }
  ) -> Snapshot {
    // Each piece is copied to memory of its own, as a shard would be, and destroyed as soon as the snapshot is taken.
    let pieces = parts.map { part in
      let buffer = UnsafeMutableBufferPointer<Float>.allocate(capacity: part.range.count)
      _ = buffer.initialize(from: slots[part.slot].values[part.range])
      return (
        buffer,
        StatePiece(
          tensor: slots[part.slot].tensor, slot: slots[part.slot].name, range: part.range,
          source: UnsafePointer(buffer.baseAddress!), element: element(slots[part.slot].name))
      )
    }
    let snapshot = Snapshot(tensors: tensors, pieces: pieces.map(\.1), chunkBytes: chunkBytes)
    for (buffer, _) in pieces {
      for i in buffer.indices { buffer[i] = -1 }
      buffer.deallocate()
    }
    return snapshot
  }

  func plan(_ saveID: SaveID, step: Int, ranks: Int) -> CheckpointPlan {
    CheckpointPlan(
      saveID: saveID, step: step, tensors: tensors, slots: slotNames,
      state: Array(#"{"seed":18446744073709551615,"rate":6e-4,"lineage":["first"]}"#.utf8),
      world: CheckpointWorld(ranks: ranks, hosts: 1, stage: 2, transport: "in-process"))
  }

  @discardableResult
  func save(
    to directory: CheckpointDirectory, step: Int, writers: Int = 1, chunkBytes: Int = 1 << 20,
    compression: Compression = .auto, parity: Bool = false, retention: Retention = .all, fileSystem: FileSystem = .real,
    element: (String) -> ElementType = { _ in .f32 }, noting note: (CheckpointError) -> Void = { _ in }
  ) throws -> CommittedCheckpoint {
    let prepared = try directory.prepare(.random())
    prepared.notes.forEach(note)
    let plan = plan(prepared.saveID, step: step, ranks: writers)
    let summaries = try parts(writers: writers).enumerated().map { rank, parts in
      try ShardWriter.write(
        snapshot(parts, chunkBytes: chunkBytes, element: element), to: prepared.path, rank: rank, world: plan.world,
        saveID: prepared.saveID, compression: compression, plan: plan, fileSystem: fileSystem)
    }
    let record =
      parity ? try ParityWriter.write(to: prepared.path, ranks: writers, fileSystem: fileSystem) : nil
    let committed = try directory.commit(plan, summaries: summaries, parity: record, retention: retention)
    committed.notes.forEach(note)
    return committed
  }

  /// Saves as a run with frozen tensors does: they are written to files of their own, or linked where `candidate` holds them.
  @discardableResult
  func saveSharing(
    _ candidate: FrozenShards?, to directory: CheckpointDirectory, step: Int, writers: Int = 1, chunkBytes: Int = 64,
    parity: Bool = false, retention: Retention = .all, fileSystem: FileSystem = .real
  ) throws -> CommittedCheckpoint {
    let prepared = try directory.prepare(.random())
    let plan = plan(prepared.saveID, step: step, ranks: writers)
    let fits = candidate?.hold(tensors, digests: frozenDigests) == true ? candidate : nil
    let links = try directory.prepareFrozen(prepared, candidate: fits)
    var summaries: [ShardSummary] = []
    for (rank, parts) in parts(writers: writers).enumerated() {
      for isFrozen in links ? [false] : [false, true] {
        let own = parts.filter { tensors[slots[$0.slot].tensor].trainable != isFrozen }
        if isFrozen && own.isEmpty { continue }
        summaries.append(
          try ShardWriter.write(
            snapshot(own, chunkBytes: chunkBytes), to: prepared.path, rank: rank, world: plan.world,
            saveID: prepared.saveID, isFrozen: isFrozen, plan: plan, fileSystem: fileSystem))
      }
    }
    if links, let fits { try directory.link(fits, into: prepared.path) }
    let record = parity ? try ParityWriter.write(to: prepared.path, ranks: writers, fileSystem: fileSystem) : nil
    return try directory.commit(
      plan, summaries: summaries, linked: links ? fits : nil, parity: record, retention: retention)
  }

  /// Of the values of frozen tensors.
  var frozenDigests: [Int: Digest] {
    var digests: [Int: Digest] = [:]
    for slot in slots where !tensors[slot.tensor].trainable {
      digests[slot.tensor] = slot.values.withUnsafeBufferPointer {
        Digest(parameter: tensors[slot.tensor].name, slot: slot.name, elements: $0)
      }
    }
    return digests
  }

  /// This state with the frozen tensors of another.
  func withFrozen(of other: SampleState) -> SampleState {
    var state = self
    for (number, slot) in other.slots.enumerated() where !tensors[slot.tensor].trainable { state.slots[number] = slot }
    return state
  }

  /// Where a checkpoint differs from this state; nil if nowhere.
  func difference(from reader: CheckpointReader) throws -> String? {
    guard reader.tensors == tensors else { return "the tensors" }
    for slot in slots {
      let name = tensors[slot.tensor].name
      let read = try reader.floats(name, slot.name, 0..<slot.values.count)
      for (i, pair) in zip(read, slot.values).enumerated() where pair.0.bitPattern != pair.1.bitPattern {
        return "'\(name)/\(slot.name)' at \(i): \(pair.0) ≠ \(pair.1)"
      }
    }
    return nil
  }
}

extension CheckpointReader {
  func floats(_ tensor: String, _ slot: String, _ range: Range<Int>) throws -> [Float] {
    try [Float](unsafeUninitializedCapacity: range.count + 1) { buffer, count in
      buffer.initialize(repeating: 12345)
      try read(tensor: tensor, slot: slot, range: range, into: buffer.baseAddress!)
      #expect(buffer[range.count] == 12345, "the read went beyond its end")
      count = range.count
    }
  }
}

/// A folder of a test's own, gone afterwards; in memory if that can be had, where `fsync` costs nothing.
func withTemporaryRun<R>(onDisk: Bool = false, _ body: (String) throws -> R) throws -> R {
  let memory = "/dev/shm"
  let isInMemory = !onDisk && FileManager.default.isWritableFile(atPath: memory)
  let parent = isInMemory ? memory : FileManager.default.temporaryDirectory.path
  let path = "\(parent)/espalier-checkpoint-\(UUID().uuidString)"
  try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
  defer { try? FileManager.default.removeItem(atPath: path) }
  return try body(path)
}
