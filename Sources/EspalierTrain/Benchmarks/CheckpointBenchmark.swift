package import EspalierComm
package import EspalierState
internal import Foundation

/// How fast checkpoints are staged, encoded, written, read and verified, and how small they become.
package enum CheckpointBenchmark {
  /// How a measured save waits for the disk.
  package enum Durability: String, Codable, Sendable, CaseIterable {
    /// Not at all.
    case none
    /// As saves of training do: every file and folder of the checkpoint.
    case files
    /// After that for all of the file system, as `sync -f` does.
    case all
  }

  package struct Options: Sendable {
    /// Of all ranks together.
    package var parameters = 8 << 20
    package var repeats = 5
    package var durability = Durability.files
    /// Whether whole saves copy the state first, as those do that training does not wait for.
    package var isCopied = false
    package var compression = Compression.auto
    /// Leaves out the operations on their own.
    package var isWholeOnly = false
    /// An existing folder; the checkpoints in it are removed again.
    package var directory = "."

    package init() {}
  }

  /// One operation on one rank.
  package struct Row: Codable, Sendable {
    package let operation: String
    /// "f32 state" or "bf16 weights".
    package let state: String
    /// That `gigabytesPerSecond` counts: elements before compression, for `verify` stored bytes.
    package let bytes: Int
    /// Medians of rank 0.
    package let seconds: Double
    package let processorSeconds: Double
    /// For each second of one core.
    package let gigabytesPerSecond: Double
    /// Elements before by bytes after compression; 0 for operations without.
    package let ratio: Double
  }

  package struct Report: Codable, Sendable {
    package let ranks: Int
    package let rawBytes: Int
    package let storedBytes: Int
    package let durability: Durability
    package let rows: [Row]
    /// Of all ranks: every save from the copy to the commit, every load with all checks, on the clock of the slowest rank.
    package let saveSeconds: [Double]
    package let loadSeconds: [Double]
    package let medianSaveSeconds: Double
    package let medianLoadSeconds: Double
    /// The longest that training would have stood still for a save on any rank: the copy and its checksums.
    package let stallSeconds: Double
    /// The same memory copied without checksums.
    package let copySeconds: Double
  }

  /// Measures each operation on its own on every rank at once, then whole saves and loads. Collective.
  package static func run(_ communicator: Communicator, _ options: Options) throws -> Report {
    let state = SampledState(parameters: options.parameters, rank: communicator.rank, ranks: communicator.size)
    let job = CheckpointBenchmarkJob(communicator, state, options)
    var rows = options.isWholeOnly ? [] : try job.operations(.f32)
    let (save, load, sizes) = try job.wholeSaves()
    // Last, since reading what was rounded changes the state.
    if !options.isWholeOnly { rows += try job.operations(.bf16) }
    func slowest(_ seconds: Double) throws -> Double {
      try communicator.allGather([seconds], label: "times").wait().map { $0[0] }.max() ?? seconds
    }
    func seconds(_ operation: String) -> Double { rows.first { $0.operation == operation }?.seconds ?? 0 }
    return Report(
      ranks: communicator.size, rawBytes: sizes.raw, storedBytes: sizes.stored, durability: options.durability,
      rows: rows, saveSeconds: save, loadSeconds: load, medianSaveSeconds: median(save),
      medianLoadSeconds: median(load),
      stallSeconds: try slowest(seconds("stage")), copySeconds: try slowest(seconds("copy")))
  }

  static func median(_ values: [Double]) -> Double { values.sorted()[values.count / 2] }
}

/// The measuring of one rank.
struct CheckpointBenchmarkJob {
  private let communicator: Communicator
  private let state: SampledState
  private let options: CheckpointBenchmark.Options
  private let fileSystem: FileSystem
  private let directory: CheckpointDirectory

  init(_ communicator: Communicator, _ state: SampledState, _ options: CheckpointBenchmark.Options) {
    self.communicator = communicator
    self.state = state
    self.options = options
    fileSystem = FileSystem(syncs: options.durability != .none)
    directory = CheckpointDirectory(run: options.directory + "/espalier-bench-checkpoint", fileSystem: fileSystem)
  }

  private var world: CheckpointWorld {
    CheckpointWorld(
      ranks: communicator.size, hosts: Set(communicator.members.map(\.host)).count, stage: 3, transport: "benchmark")
  }

  // MARK: Single operations

  func operations(_ element: ElementType) throws -> [CheckpointBenchmark.Row] {
    let pieces = state.pieces(element)
    let label = element == .f32 ? "f32 state" : "bf16 weights"
    let raw = pieces.reduce(0) { $0 + $1.range.count * $1.element.size }
    var rows: [CheckpointBenchmark.Row] = []
    func add(_ operation: String, bytes: Int, ratio: Double = 0, _ action: () throws -> Void) throws {
      var wall: [Double] = [], processor: [Double] = []
      for _ in 0..<options.repeats {
        let started = (ReportClock.uptime(), Self.processorTime())
        try action()
        wall.append(ReportClock.uptime() - started.0)
        processor.append(Self.processorTime() - started.1)
      }
      let (seconds, used) = (CheckpointBenchmark.median(wall), CheckpointBenchmark.median(processor))
      rows.append(
        .init(
          operation: operation, state: label, bytes: bytes, seconds: seconds, processorSeconds: used,
          gigabytesPerSecond: Double(bytes) / max(used, 1e-9) / 1e9, ratio: ratio))
    }
    try communicator.barrier(label: "benchmark").wait()
    if element == .f32 { try add("copy", bytes: raw) { Self.copy(pieces) } }
    try add("stage", bytes: raw) { _ = Snapshot(tensors: state.tensors, pieces: pieces) }
    let snapshot = Snapshot(tensors: state.tensors, pieces: pieces)
    let stored = try snapshot.encodedByteCount(compression: options.compression)
    let ratio = Double(raw) / Double(max(stored, 1))
    try add("encode", bytes: raw, ratio: ratio) { _ = try snapshot.encodedByteCount(compression: options.compression) }
    let prepared = try prepare()
    var summary: ShardSummary?
    let file = "\(prepared.path)/\(ShardWriter.file(rank: communicator.rank))"
    try add("write", bytes: raw, ratio: ratio) {
      unlink(file)
      summary = try write(snapshot, prepared)
    }
    let path = try commit(prepared, summary, element)
    let reader = try CheckpointReader(path, fileSystem: fileSystem)
    try add("read", bytes: raw) { try read(reader, element) }
    try add("verify", bytes: reader.manifest.storedBytes) {
      guard reader.verify(full: true).isEmpty else { throw BenchmarkFailure(path: path) }
    }
    // Shards of thirds begin inside chunks, all but the first; shards of the same number of ranks are copied as they are.
    let (own, size) = (communicator.rank, communicator.size)
    for (operation, ranks, shards) in [
      ("reshard", 3 * size, [3 * own + 1, 3 * own + 2]), ("reshard by copy", size, [own]),
    ] {
      let prepared = try prepare()
      let resharder = try Resharder(
        reader, world: CheckpointWorld(ranks: ranks, hosts: 1, stage: 3, transport: "benchmark"), state: reader.state,
        saveID: prepared.saveID)
      func once() throws -> Int {
        for shard in shards { unlink("\(prepared.path)/\(ShardWriter.file(rank: shard))") }
        return try resharder.write(ranks: shards, to: prepared.path, workers: 1, fileSystem: fileSystem)
          .reduce(0) { $0 + $1.counts.copiedBytes + $1.counts.recodedBytes }
      }
      try add(operation, bytes: once()) { _ = try once() }
      try communicator.barrier(label: "resharded").wait()
    }
    try remove()
    return rows
  }

  /// The memory of all pieces into fresh memory of the kind that a snapshot takes.
  private static func copy(_ pieces: [StatePiece]) {
    let total = pieces.reduce(0) { $0 + $1.range.count * 4 }
    let target = UnsafeMutableRawPointer.allocate(byteCount: max(total, 1), alignment: 2 << 20)
    defer { target.deallocate() }
    _ = madvise(target, total, MADV_HUGEPAGE)
    var offset = 0
    for piece in pieces {
      (target + offset).copyMemory(from: piece.source, byteCount: piece.range.count * 4)
      offset += piece.range.count * 4
    }
  }

  private static func processorTime() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
  }

  // MARK: Whole saves

  /// Seconds of every save and load, on the slowest rank, and the bytes of the last before and after compression.
  func wholeSaves() throws -> (save: [Double], load: [Double], sizes: (raw: Int, stored: Int)) {
    var save: [Double] = [], load: [Double] = []
    var sizes = (raw: 0, stored: 0)
    func slowest(_ action: () throws -> Void) throws -> Double {
      try communicator.barrier(label: "benchmark").wait()
      let started = ReportClock.uptime()
      try action()
      let seconds = ReportClock.uptime() - started
      return try communicator.allGather([seconds], label: "times").wait().map { $0[0] }.max() ?? seconds
    }
    for _ in 0..<options.repeats {
      var path = ""
      save.append(
        try slowest {
          let prepared = try prepare()
          let pieces = state.pieces(.f32)
          let summary = try write(
            options.isCopied
              ? Snapshot(tensors: state.tensors, pieces: pieces) : Snapshot(borrowing: pieces, tensors: state.tensors),
            prepared)
          path = try commit(prepared, summary, .f32)
          if options.durability == .all, communicator.rank == 0 { try fileSystem.syncAll(path) }
          try communicator.barrier(label: "saved").wait()
        })
      load.append(
        try slowest {
          let reader = try CheckpointReader(path, fileSystem: fileSystem)
          sizes = (reader.manifest.rawBytes, reader.manifest.storedBytes)
          try read(reader, .f32)
        })
      try remove()
    }
    return (save, load, sizes)
  }

  private func prepare() throws -> PreparedCheckpoint {
    try communicator.decide("a save begins") {
      let prepared = try directory.prepare(.random())
      return PreparedCheckpoint(saveID: prepared.saveID, path: prepared.path)
    }
  }

  private func write(_ snapshot: Snapshot, _ prepared: PreparedCheckpoint) throws -> ShardSummary {
    try ShardWriter.write(
      snapshot, to: prepared.path, rank: communicator.rank, world: world, saveID: prepared.saveID,
      compression: options.compression, fileSystem: fileSystem)
  }

  private func commit(
    _ prepared: PreparedCheckpoint, _ summary: ShardSummary?, _ element: ElementType
  ) throws -> String {
    let summaries = try communicator.gatherValues(summary.map { [$0] } ?? [], label: "shards").flatMap { $0 }
    let plan = CheckpointPlan(
      saveID: prepared.saveID, step: 1, tensors: state.tensors, slots: [state.pieces(element).map(\.slot)],
      state: Array("{}".utf8), world: world)
    return try communicator.decide("commit") { try directory.commit(plan, summaries: summaries).path }
  }

  /// Into the memory that it was saved from.
  private func read(_ reader: CheckpointReader, _ element: ElementType) throws {
    for piece in state.pieces(element) {
      guard let slot = SampledState.slots.firstIndex(of: piece.slot),
        let target = state.elements(slot).baseAddress
      else { continue }
      try reader.read(tensor: state.tensors[piece.tensor].name, slot: piece.slot, range: piece.range, into: target)
    }
  }

  private func remove() throws {
    try communicator.barrier(label: "done").wait()
    if communicator.rank == 0 { try FileManager.default.removeItem(atPath: directory.run) }
    try communicator.barrier(label: "removed").wait()
  }
}

/// What rank 0 says of a save that is to begin.
private struct PreparedCheckpoint: Codable, Sendable {
  let saveID: SaveID
  let path: String
}

/// What was just written could not be read.
private struct BenchmarkFailure: Error, CustomStringConvertible {
  let path: String

  var description: String { "\(path): a chunk that was just written does not decode; check the memory and the disk" }
}
