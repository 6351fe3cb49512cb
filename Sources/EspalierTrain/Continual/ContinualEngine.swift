import EspalierComm
import EspalierMethods
import EspalierNN
import EspalierState
import EspalierTensor

/// The methods of a run on one rank: asks them their questions in the order of a step, and moves records, teachers and notes for them.
///
/// What is decided here is decided from numbers that all ranks share.
package final class ContinualEngine {
  let run: ResolvedRun
  private(set) var session: RankSession
  private(set) var methods: [any ContinualMethod]
  /// The task under way; nil outside of task phases.
  private(set) var task: TaskInfo?
  private var copies: [String: ModelCopy] = [:]
  private let key: RandomKey
  /// Steps done before the one under way.
  private(set) var step = 0
  private var stepsPerEpoch = 1
  private var draws: [String: ReplayMemory.Drawn] = [:]
  /// What this rank's lanes of the step had.
  private var lanes: [LaneRecord] = []
  private var heard: [String: [Double]] = [:]
  private var sampleCount = 0

  /// What one lane leaves for the end of the step.
  private struct LaneRecord {
    let range: Range<Int>
    let batch: Batch
    var logits: [Float] = []
    var notes: [String: [Float]] = [:]
  }

  /// nil where the run has no tasks.
  package init?(_ session: RankSession, _ state: ContinualState?) throws {
    guard session.run.sequence != nil else { return nil }
    run = session.run
    self.session = session
    methods = run.methods
    key = RandomKey(seed: run.settings.seed).child("continual")
    guard let state else { return }
    for index in methods.indices {
      if let memory = state.memories[methods[index].name] { try methods[index].restoreMemory(memory) }
    }
    if let reservoir = state.reservoir { session.records?.reservoir = reservoir }
  }

  /// What a checkpoint holds.
  package func state(_ results: TaskResults?) throws -> ContinualState {
    ContinualState(
      memories: Dictionary(uniqueKeysWithValues: try methods.map { ($0.name, try $0.encodedMemory()) }),
      reservoir: session.records?.reservoir, results: results)
  }

  /// Another model has taken the place of the old one.
  package func move(to session: RankSession) {
    self.session = session
    copies = [:]
  }

  // MARK: Tasks

  /// The tasks of a phase are under way: also after a resume.
  package func enter(phase: Int) {
    task = run.taskInfo(inPhase: phase, headRows: headRows)
    stepsPerEpoch = max(1, ResolvedRun.stepsPerEpoch(run.source(inPhase: phase), run.settings.batch))
  }

  private var headRows: Int {
    session.modelStage.blueprint.parameters.last { $0.tags.contains(.head) }?.axes.first?.count
      ?? run.sequence?.classCount ?? 0
  }

  package func begin(step: Int) throws {
    self.step = step
    try forEachMethod { try $0.taskBegan($1) }
  }

  package func end(step: Int) throws {
    self.step = step
    try forEachMethod { try $0.taskEnded($1) }
    task = nil
  }

  private func forEachMethod(_ body: (inout any ContinualMethod, MethodView) throws -> Void) throws {
    for index in methods.indices {
      var method = methods[index]
      try body(&method, view(of: method.name))
      methods[index] = method
    }
  }

  private func view(of method: String) -> MethodView { MethodView(self, method) }

  /// Whether a step is the last of a pass over the task's samples.
  func endsEpoch(_ step: Int) -> Bool { (step + 1).isMultiple(of: stepsPerEpoch) }

  // MARK: A step

  /// Whether lanes are more than a mean cross-entropy of the stream.
  package var shapes: Bool { task != nil && (!methods.isEmpty || task?.setting == .task) }

  /// Draws records and lets methods begin. Collective.
  /// - Parameters:
  ///   - step: steps done before it.
  ///   - inTask: of these, in the phase.
  ///   - samples: of the whole batch.
  package func beginStep(_ step: Int, inTask: Int, samples: Int) throws {
    guard task != nil else { return }
    self.step = step
    task?.step = inTask
    task?.epoch = inTask / stepsPerEpoch
    sampleCount = samples
    lanes = []
    try forEachMethod { try $0.stepBegan($1) }
    draws = [:]
    for draw in run.replay?.draws ?? [] {
      let drawn = try self.draw(draw)
      if !drawn.entries.isEmpty { draws[draw.name] = drawn }
    }
  }

  /// Records of a draw at this step. Collective.
  func draw(_ draw: Replay.Draw) throws -> ReplayMemory.Drawn {
    guard let records = session.records else { return ReplayMemory.Drawn() }
    let now = task?.number ?? 0
    let slots = records.reservoir.draw(
      draw.count, key: key.child("draw").child(draw.name).child(UInt64(step)),
      where: { !draw.earlierTasksOnly || $0.task < now })
    return try records.fetch(slots)
  }

  /// What one lane computes: its stream's samples and its share of every draw, and the loss as methods have shaped it.
  struct Lane {
    /// nil on a rank that only takes part in the round.
    let number: Int?
    let batch: Batch
    var loss: StepLoss
    /// The parts by where their rows are, the stream first.
    let parts: [(part: StepPart, rows: Range<Int>)]
  }

  /// - Parameters:
  ///   - lane: nil for a rank without one.
  ///   - stream: its samples, as they are.
  func lane(_ lane: Int?, _ stream: Batch) throws -> Lane {
    guard let task else { preconditionFailure("no task is under way") }
    let seen = augmented(stream)
    var parts: [(part: StepPart, batch: Batch)] = [(.stream, seen)]
    var losses: [String: StepLoss.Part] = [:]
    for (name, drawn) in draws.sorted(by: { $0.key < $1.key }) {
      let range = lane.map { BatchPlan.range(ofLane: $0, of: run.lanes, count: drawn.entries.count) } ?? 0..<0
      let batch = augmented(self.batch(of: drawn, range, like: stream))
      parts.append((.draw(name), batch))
      losses[name] = StepLoss.Part(
        targets: batch.targets.values, count: drawn.entries.count,
        competing: drawn.entries[range].map { rows(of: $0.task) }
          .filter { !$0.isEmpty },
        keptLogits: keptLogits(drawn, range, task), keptRows: keptRows(drawn, range))
    }
    let competing = task.setting == .task ? Array(repeating: task.classes, count: stream.samples.count) : []
    var teachers: [String: [StepPart: [Float]]] = [:]
    for teacher in methods.flatMap(\.teachers) {
      for (part, batch) in parts where teacher.parts.contains(part) {
        teachers[teacher.slot, default: [:]][part] = try copy(of: teacher.slot).logits(batch)
      }
    }
    var loss = StepLoss(
      task: task,
      stream: .init(targets: seen.targets.values, count: sampleCount, competing: competing), draws: losses,
      teachers: teachers)
    for method in methods { try method.shape(&loss) }
    var start = 0
    let places = parts.map { part, batch in
      defer { start += batch.samples.count }
      return (part: part, rows: start..<start + batch.samples.count)
    }
    if let lane {
      lanes.append(
        LaneRecord(
          range: BatchPlan.range(ofLane: lane, of: run.lanes, count: sampleCount), batch: stream, notes: loss.notes))
    }
    return Lane(number: lane, batch: Self.joined(parts.map(\.batch)), loss: loss, parts: places)
  }

  private func copy(of slot: String) throws -> ModelCopy {
    if let copy = copies[slot] { return copy }
    let copy = try ModelCopy(session, slot: slot)
    copies[slot] = copy
    return copy
  }

  /// The slot of a teacher has changed. Collective.
  func refresh(_ slot: String) throws {
    if let copy = copies[slot] { try copy.refresh() } else { _ = try copy(of: slot) }
  }

  /// The model that is measured.
  var measured: ModelCopy? {
    get throws { try methods.lazy.compactMap(\.measured).first.map { try copy(of: $0) } }
  }

  /// The rows that compete for a sample of a task; empty where all do.
  private func rows(of task: Int) -> [Int32] {
    guard let now = self.task, now.setting == .task else { return [] }
    return task < now.earlierTasks.count ? now.earlierTasks[task] : now.classes
  }

  private func keptLogits(_ drawn: ReplayMemory.Drawn, _ range: Range<Int>, _ task: TaskInfo) -> [Float] {
    guard !drawn.logits.isEmpty, let columns = run.sequence?.classCount else { return [] }
    return range.flatMap { drawn.logits[$0 * columns..<$0 * columns + task.rowCount] }
  }

  /// How many rows the head had when a record came.
  private func keptRows(_ drawn: ReplayMemory.Drawn, _ range: Range<Int>) -> [Int] {
    guard run.settings.tasks.heads == .grow, let task else { return [] }
    return range.map { index in
      let number = drawn.entries[index].task
      return task.earlierTasks.prefix(number + 1).reduce(number < task.number ? 0 : task.classes.count) {
        $0 + $1.count
      }
    }
  }

  func batch(of drawn: ReplayMemory.Drawn, _ range: Range<Int>, like stream: Batch) -> Batch {
    guard case .features(_, let shape) = stream.inputs else { preconditionFailure("records hold dense samples") }
    let size = shape.dimensions.dropFirst().reduce(1, *)
    return Batch(
      inputs: .features(
        Array(drawn.inputs[range.lowerBound * size..<range.upperBound * size]),
        Shape([range.count] + shape.dimensions.dropFirst())),
      targets: Indices(drawn.entries[range].map(\.row), shape: [range.count]),
      samples: drawn.entries[range].map(\.sample))
  }

  private func augmented(_ batch: Batch) -> Batch { run.augmented(batch, step: step) }

  private static func joined(_ batches: [Batch]) -> Batch {
    guard batches.count > 1 else { return batches[0] }
    var values: [Float] = [], shape: [Int] = []
    for batch in batches {
      guard case .features(let part, let dimensions) = batch.inputs else {
        preconditionFailure("records hold dense samples")
      }
      values += part
      shape = Array(dimensions.dimensions.dropFirst())
    }
    let count = batches.reduce(0) { $0 + $1.samples.count }
    return Batch(
      inputs: .features(values, Shape([count] + shape)),
      targets: Indices(batches.flatMap(\.targets.values), shape: [count]), samples: batches.flatMap(\.samples))
  }

  /// Remembers the logits that the stream's samples of the newest lane had.
  func keep(logits: [Float]) {
    if !lanes.isEmpty { lanes[lanes.count - 1].logits = logits }
  }

  var keepsLogits: Bool { run.replay?.keepsLogits ?? false }

  /// The gradient is the sum over all lanes.
  func adjust() throws {
    guard task != nil else { return }
    try exchangeNotes()
    try forEachMethod { try $0.adjust($1) }
  }

  /// The weights have been updated: records are taken in, and methods go on.
  func endStep() throws {
    guard let task else { return }
    if let records = session.records { try offer(to: records, task) }
    try forEachMethod { try $0.updated($1) }
  }

  private func offer(to records: ReplayMemory, _ task: TaskInfo) throws {
    let kept = methods.lazy.compactMap { $0.keeps(self.view(of: $0.name)) }.first
    // Everyone must know the samples of the whole batch to keep the same ones.
    let own = lanes.flatMap { lane in
      zip(lane.range, zip(lane.batch.samples, lane.batch.targets.values)).flatMap {
        [Double($0), Double($1.0), Double($1.1)]
      }
    }
    let byRank =
      session.communicator.size > 1
      ? try session.communicator.allGather(own, label: "samples of the step").wait() : [own]
    var samples = Array(repeating: (sample: UInt64(0), row: Int32(0), task: task.number), count: sampleCount)
    for values in byRank {
      for start in stride(from: 0, to: values.count, by: 3) {
        samples[Int(values[start])] = (UInt64(values[start + 1]), Int32(values[start + 2]), task.number)
      }
    }
    let places = samples.indices.filter { kept?[$0] ?? true }
    let order = Dictionary(uniqueKeysWithValues: places.enumerated().map { ($0.element, $0.offset) })
    let columns = run.sequence?.classCount ?? 0
    var offered: [ReplayMemory.Own] = []
    for lane in lanes {
      guard case .features(let values, let shape) = lane.batch.inputs else { continue }
      let size = shape.dimensions.dropFirst().reduce(1, *)
      let width = lane.range.isEmpty ? 0 : lane.logits.count / lane.range.count
      for (index, place) in lane.range.enumerated() {
        guard let order = order[place] else { continue }
        let logits = lane.logits[index * width..<(index + 1) * width]
        offered.append(
          .init(
            index: order, inputs: values[index * size..<(index + 1) * size],
            logits: (keepsLogits ? logits + Array(repeating: 0, count: columns - width) : [])[...]))
      }
    }
    try records.offer(places.map { samples[$0] }, own: offered, key: key.child("reservoir"))
  }

  /// Tells every rank what lanes have noted of their samples, in the order of the batch.
  private func exchangeNotes() throws {
    heard = [:]
    for name in Set(lanes.flatMap(\.notes.keys)).sorted() {
      heard[name] = Array(repeating: 0, count: sampleCount)
    }
    // A rank without a lane must take part as well: methods decide by themselves whether they note anything.
    guard methods.contains(where: { !$0.teachers.isEmpty }) else { return }
    var own: [Double] = []
    let names = Set(lanes.flatMap(\.notes.keys)).sorted()
    for lane in lanes {
      for (index, place) in lane.range.enumerated() {
        own.append(Double(place))
        own += names.map { Double(lane.notes[$0]?[index] ?? 0) }
      }
    }
    let byRank =
      session.communicator.size > 1 ? try session.communicator.allGather(own, label: "notes of the step").wait() : [own]
    for values in byRank {
      for start in stride(from: 0, to: values.count, by: 1 + names.count) {
        for (index, name) in names.enumerated() { heard[name]?[Int(values[start])] = values[start + 1 + index] }
      }
    }
  }

  func notes(_ name: String) -> [Double] { heard[name] ?? [] }
  func key(of method: String) -> RandomKey { key.child("method").child(method).child(UInt64(step)) }
}

extension ResolvedRun {
  /// A batch as the model is to see it while it learns: disturbed where the data say so, each sample by itself.
  func augmented(_ batch: Batch, step: Int) -> Batch {
    guard let augmentation = (data.training as? any AugmentedDataset)?.augmentation, !batch.samples.isEmpty else {
      return batch
    }
    return augmentation.augmented(
      batch, key: RandomKey(seed: settings.seed).child("augmentation").child(UInt64(step)))
  }
}
