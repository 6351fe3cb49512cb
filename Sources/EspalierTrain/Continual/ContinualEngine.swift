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
  /// The phase of the schedule that it is learned in, or was last.
  private(set) var phase = 0
  private var copies: [String: ModelCopy] = [:]
  let key: RandomKey
  /// By layer and task: inputs that methods have added.
  private(set) var added: [String: [Int]] = [:]
  /// Steps done before the one under way.
  private(set) var step = 0
  private var stepsPerEpoch = 1
  /// Seconds of the task under way, since it began or was resumed, outside of its steps.
  private(set) var secondsBetweenSteps: [BetweenSteps: Double] = [:]
  var draws: [String: ReplayMemory.Drawn] = [:]
  /// What this rank's lanes of the step had.
  var lanes: [LaneRecord] = []
  var heard: [String: [Double]] = [:]
  var sampleCount = 0

  /// What one lane leaves for the end of the step.
  struct LaneRecord {
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
    added = state.added ?? [:]
    if let reservoir = state.reservoir { session.records?.reservoir = reservoir }
  }

  /// What a checkpoint holds.
  package func state(_ results: TaskResults?) throws -> ContinualState {
    ContinualState(
      memories: Dictionary(uniqueKeysWithValues: try methods.map { ($0.name, try $0.encodedMemory()) }),
      reservoir: session.records?.reservoir, results: results, added: added.isEmpty ? nil : added)
  }

  /// Another model has taken the place of the old one. Collective.
  package func move(to session: RankSession) throws {
    self.session = session
    copies = [:]
    session.task = task?.number
    guard let plan = session.modelStage.growth?.plan else { return }
    // One rank's answer: what a method computes need not have the same bits on two nodes.
    let memories = try session.communicator.decide("memories of a growth") {
      try methods.indices.map { index in
        var method = methods[index]
        try method.grown(InputGrowth(plan))
        return try method.encodedMemory()
      }
    }
    for (index, memory) in memories.enumerated() { try methods[index].restoreMemory(memory) }
  }

  // MARK: Tasks

  /// The tasks of a phase are under way: also after a resume.
  package func enter(phase: Int) {
    task = run.taskInfo(inPhase: phase, headRows: headRows)
    self.phase = phase
    session.task = task?.number
    stepsPerEpoch = max(1, ResolvedRun.stepsPerEpoch(run.source(inPhase: phase), run.settings.batch))
  }

  private var headRows: Int {
    session.modelStage.blueprint.parameters.last { $0.tags.contains(.head) }?.axes.first?.count
      ?? run.sequence?.classCount ?? 0
  }

  package func begin(step: Int) throws {
    self.step = step
    secondsBetweenSteps = [:]
    try forEachMethod { try $0.taskBegan($1) }
  }

  package func end(step: Int) throws {
    self.step = step
    try forEachMethod { try $0.taskEnded($1) }
    task = nil
    session.task = nil
  }

  private func forEachMethod(_ body: (inout any ContinualMethod, MethodView) throws -> Void) throws {
    for index in methods.indices {
      var method = methods[index]
      try body(&method, view(of: method.name))
      methods[index] = method
    }
  }

  func note(_ work: BetweenSteps, since started: Double) {
    secondsBetweenSteps[work, default: 0] += ReportClock.uptime() - started
  }

  func view(of method: String) -> MethodView { MethodView(self, method) }

  /// Whether a step is the last of a pass over the task's samples.
  func endsEpoch(_ step: Int) -> Bool { (step + 1).isMultiple(of: stepsPerEpoch) }

  /// What methods want layers to read more before a step of the task. Collective.
  /// - Parameters:
  ///   - step: steps done before it.
  ///   - inTask: of these, in the phase.
  func widening(beforeStep step: Int, inTask: Int) throws -> LayerWidening? {
    guard let task else { return nil }
    self.step = step
    for index in methods.indices where methods[index].widensAfter(task).map({ $0 * stepsPerEpoch }) == inTask {
      var method = methods[index]
      let request = try method.widening(view(of: method.name))
      methods[index] = method
      guard let request else { continue }
      for (layer, count) in request.added {
        let before = added[layer] ?? []
        added[layer] = before + Array(repeating: 0, count: task.number - before.count) + [count]
      }
      return request
    }
    return nil
  }

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

  func copy(of slot: String) throws -> ModelCopy {
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

  func notes(_ name: String) -> [Double] { heard[name] ?? [] }
  func key(of method: String) -> RandomKey { key.child("method").child(method).child(UInt64(step)) }
}
