import Dispatch
import EspalierState
import EspalierTensor
import Foundation
import Synchronization
import Testing

@Suite struct CheckpointRoundTripTests {
  /// Empty, scalar, one element, primes, and more than one chunk of 1 KiB.
  static let state = SampleState(shapes: [[0, 5], [], [1], [7, 13], [3, 5, 2], [2003], [31, 37]])

  @Test("every bit comes back, however many ranks wrote", arguments: 1...4, Compression.allCases)
  func roundTrip(writers: Int, compression: Compression) throws {
    try withTemporaryRun(onDisk: true) { run in
      let directory = CheckpointDirectory(run: run)
      let state = Self.state
      try state.save(to: directory, step: 20, writers: writers, chunkBytes: 1024, compression: compression)
      let (reader, refused) = try directory.newestValid()
      #expect(refused.isEmpty)
      let checkpoint = try #require(reader)
      #expect(checkpoint.path.hasSuffix("/checkpoints/step-0000000020"))
      #expect(checkpoint.step == 20)
      #expect(checkpoint.world.ranks == writers)
      #expect(try state.difference(from: checkpoint) == nil)
      #expect(try checkpoint.slots(of: "blocks.0.weight") == ["value", "adamw.m"])
      #expect(try checkpoint.slots(of: "blocks.2.weight") == ["value"])
    }
  }

  @Test("ranks write at the same time, each on a thread of its own, and one may hold nothing")
  func concurrentWriters() throws {
    try withTemporaryRun { run in
      let directory = CheckpointDirectory(run: run + "/a/new/folder")
      let prepared = try directory.prepare(.random())
      let plan = Self.state.plan(prepared.saveID, step: 5, ranks: 5)
      let parts = Self.state.parts(writers: 4) + [[]]
      let snapshots = parts.map { Self.state.snapshot($0, chunkBytes: 512) }
      let summaries = Mutex<[ShardSummary]>([])
      DispatchQueue.concurrentPerform(iterations: 5) { rank in
        do {
          let summary = try ShardWriter.write(
            snapshots[rank], to: prepared.path, rank: rank, world: plan.world, saveID: prepared.saveID)
          // What travels to rank 0 is JSON.
          let sent = try JSONDecoder().decode(ShardSummary.self, from: JSONEncoder().encode(summary))
          #expect(sent == summary)
          summaries.withLock { $0.append(sent) }
        } catch { Issue.record(error) }
      }
      let checkpoint = try directory.commit(plan, summaries: summaries.withLock { $0 })
      #expect(try Self.state.difference(from: CheckpointReader(checkpoint.path)) == nil)
      #expect(CheckpointReader.problems(at: checkpoint.path, full: true).isEmpty)
      #expect(FileManager.default.fileExists(atPath: checkpoint.path + "/shards/w00004.esp"))
    }
  }

  @Test("any range reads the same elements, across chunks and shards")
  func ranges() throws {
    try withTemporaryRun { run in
      let directory = CheckpointDirectory(run: run)
      try Self.state.save(to: directory, step: 1, writers: 4, chunkBytes: 256)
      let reader = try #require(try directory.newestValid().reader)
      let slot = try #require(Self.state.slots.first { $0.values.count == 2003 })
      let name = Self.state.tensors[slot.tensor].name
      let key = RandomKey(seed: 3)
      var ranges = (0..<200).map { i -> Range<Int> in
        let ends = [0, 1].map { Int(key.bits(at: UInt64(2 * i + $0)) % 2004) }.sorted()
        return ends[0]..<ends[1]
      }
      ranges += [0..<0, 2003..<2003, 0..<1, 2002..<2003, 63..<65, 64..<128, 0..<2003]
      for range in ranges {
        let read = try reader.floats(name, slot.name, range)
        #expect(read.map(\.bitPattern) == slot.values[range].map(\.bitPattern), "\(range)")
      }
    }
  }

  @Test("values changed right after the snapshot do not reach the file")
  func snapshotIsPrivate() throws {
    try withTemporaryRun { run in
      let directory = CheckpointDirectory(run: run)
      let tensors = [TensorRecord(name: "weight", shape: [1000], trainable: true)]
      var values = (0..<1000).map { Float($0) }
      let snapshot = values.withUnsafeMutableBufferPointer { buffer in
        let snapshot = Snapshot(
          tensors: tensors,
          pieces: [StatePiece(tensor: 0, slot: "value", range: 0..<1000, source: UnsafePointer(buffer.baseAddress!))])
        for i in buffer.indices { buffer[i] = -1 }
        return snapshot
      }
      let prepared = try directory.prepare(.random())
      let world = CheckpointWorld(ranks: 1, hosts: 1, stage: 0, transport: "in-process")
      let summary = try ShardWriter.write(
        snapshot, to: prepared.path, rank: 0, world: world, saveID: prepared.saveID)
      let plan = CheckpointPlan(
        saveID: prepared.saveID, step: 1, tensors: tensors, slots: [["value"]], state: Array("{}".utf8), world: world)
      _ = try directory.commit(plan, summaries: [summary])
      let reader = try #require(try directory.newestValid().reader)
      #expect(try reader.floats("weight", "value", 0..<1000) == (0..<1000).map { Float($0) })
    }
  }

  @Test(
    "a state that is borrowed gives the same shard as its copy", arguments: Compression.allCases, [64, 512, 1 << 20])
  func borrowed(compression: Compression, chunkBytes: Int) throws {
    try withTemporaryRun { run in
      let (state, saveID) = (Self.state, SaveID.random())
      let world = CheckpointWorld(ranks: 1, hosts: 1, stage: 0, transport: "in-process")
      let buffers = state.slots.map { slot in
        let buffer = UnsafeMutableBufferPointer<Float>.allocate(capacity: slot.values.count)
        _ = buffer.initialize(from: slot.values)
        return buffer
      }
      defer { for buffer in buffers { buffer.deallocate() } }
      let pieces = zip(state.slots, buffers).compactMap { slot, buffer in
        UnsafePointer(buffer.baseAddress).map {
          StatePiece(tensor: slot.tensor, slot: slot.name, range: 0..<buffer.count, source: $0)
        }
      }
      let written = try [
        Snapshot(tensors: state.tensors, pieces: pieces, chunkBytes: chunkBytes),
        Snapshot(borrowing: pieces, tensors: state.tensors, chunkBytes: chunkBytes),
      ].enumerated().map { number, snapshot in
        try FileManager.default.createDirectory(
          atPath: "\(run)/\(number)/shards", withIntermediateDirectories: true)
        let summary = try ShardWriter.write(
          snapshot, to: "\(run)/\(number)", rank: 0, world: world, saveID: saveID, compression: compression)
        return (summary, try Data(contentsOf: URL(filePath: "\(run)/\(number)/\(summary.file)")))
      }
      #expect(written[0] == written[1])
      for piece in written[1].0.pieces {
        let slot = try #require(state.slots.first { $0.tensor == piece.tensor && $0.name == piece.slot })
        let digest = slot.values.withUnsafeBufferPointer {
          Digest(parameter: state.tensors[piece.tensor].name, slot: piece.slot, elements: $0)
        }
        #expect(piece.digest == digest)
      }
    }
  }

  @Test("payloads of NaNs, signs of zero and denormals survive", arguments: Compression.allCases)
  func specialValues(compression: Compression) throws {
    let bits: [UInt32] = [
      0x7fc0_0000, 0x7f80_0001, 0xffff_ffff, 0x7fa5_5aa5, 0, 0x8000_0000, 1, 0x807f_ffff, 0x7f80_0000, 0xff80_0000,
    ]
    var state = SampleState(shapes: [[bits.count]])
    state.slots[0].values = bits.map { Float(bitPattern: $0) }
    // A signalling NaN and nothing else: constant chunks keep bits, too.
    state.slots[1].values = bits.map { _ in Float(bitPattern: 0x7f80_0001) }
    try withTemporaryRun { run in
      let directory = CheckpointDirectory(run: run)
      try state.save(to: directory, step: 1, compression: compression)
      #expect(try state.difference(from: #require(try directory.newestValid().reader)) == nil)
    }
  }

  @Test("digests do not depend on who wrote, on chunks or on compression")
  func digests() throws {
    try withTemporaryRun { run in
      var digests: Set<Digest> = []
      for (step, writers) in [1, 2, 3, 4].enumerated() {
        let directory = CheckpointDirectory(run: run)
        let compression = Compression.allCases[step % 3]
        try Self.state.save(
          to: directory, step: step, writers: writers, chunkBytes: 256 << step, compression: compression)
        let reader = try #require(try directory.newestValid().reader)
        digests.insert(reader.digest)
        for slot in Self.state.slots {
          let name = Self.state.tensors[slot.tensor].name
          let expected = slot.values.withUnsafeBufferPointer { Digest(parameter: name, slot: slot.name, elements: $0) }
          #expect(try reader.digest(of: name, slot: slot.name) == expected)
        }
      }
      #expect(digests.count == 1)
    }
  }

  @Test("the trainer's state comes back number by number")
  func stateIsKept() throws {
    try withTemporaryRun { run in
      let directory = CheckpointDirectory(run: run)
      try Self.state.save(to: directory, step: 1)
      let reader = try #require(try directory.newestValid().reader)
      let expected = #"{"lineage":["first"],"rate":6e-4,"seed":18446744073709551615}"#
      #expect(String(decoding: reader.state, as: UTF8.self) == expected)
    }
  }

  @Test("auto stores a constant in four bytes, noise as it is, and weights smaller than raw")
  func compressionIsChosenPerChunk() throws {
    func stored(_ values: [Float], _ compression: Compression = .auto) throws -> Int {
      var state = SampleState(shapes: [[values.count]])
      state.slots = [.init(tensor: 0, name: "value", values: values)]
      return try withTemporaryRun { run in
        let directory = CheckpointDirectory(run: run)
        try state.save(to: directory, step: 1, compression: compression)
        let reader = try #require(try directory.newestValid().reader)
        #expect(reader.manifest.rawBytes == 4 * values.count)
        return reader.manifest.storedBytes
      }
    }
    let key = RandomKey(seed: 5)
    let constant = [Float](repeating: 0.25, count: 600_000)
    #expect(try stored(constant) == 3 * 4)
    let noise = (0..<50_000).map { Float(bitPattern: UInt32(truncatingIfNeeded: key.bits(at: UInt64($0)))) }
    #expect(try stored(noise) == 4 * noise.count)
    // Sums of uniform numbers: exponents as concentrated as those of trained weights. Small tensors gain as large ones do.
    for count in [4096, 1 << 16, 300_000] {
      let weights = (0..<count).map { i -> Float in
        var sum = -6.0
        for draw in 0..<12 { sum += key.uniform(at: UInt64(12 * i + draw)) }
        return Float(sum * 0.02)
      }
      #expect(try stored(weights, .none) == 4 * count)
      #expect(Double(4 * count) / Double(try stored(weights)) > 1.17, "\(count) weights")
    }
  }
}
