import CKernels
import EspalierComm
import EspalierMethods
package import EspalierNN
package import EspalierState
import EspalierTensor

/// One training step of one rank: its lanes forward and backward, the sum over all lanes, one update.
///
/// Reads in the order in which things happen. Every decision is made from numbers that all ranks have gathered, so all ranks
/// take the same branch.
package final class TrainingStep {
  /// What a step computes from.
  package struct Input {
    /// Steps done before this one, skipped ones included: keys dropout.
    package let step: Int
    /// Updates done before this one.
    package let updates: Int
    package let rate: Double
    /// For each turn of this rank its lane's samples; an empty batch where it has no lane.
    package let batches: [Batch]
    /// Targets of the whole batch that count, where the step before has told; nil asks for them.
    package let weight: Int?
    /// What this rank tells the others with the step's one small gather.
    package let note: RankNote
    /// Entries that a growth has born, and their rates.
    package let births: UpdateBirths

    package init(
      step: Int, updates: Int, rate: Double, batches: [Batch], weight: Int? = nil, note: RankNote = RankNote(),
      births: UpdateBirths = .none
    ) {
      self.step = step
      self.updates = updates
      self.rate = rate
      self.batches = batches
      self.weight = weight
      self.note = note
      self.births = births
    }
  }

  /// What all ranks know after a step.
  package struct Report: Sendable {
    /// Mean loss over the global batch, in nats per target.
    package let loss: Double
    /// Targets that counted.
    package let weight: Int
    /// Norm of the mean gradient over all weights, before clipping.
    package let gradientNorm: Double
    /// False where loss or gradient were not finite and nothing was updated.
    package let isFinite: Bool
    /// What the optimizer took on this rank.
    package let updateSeconds: Double
    /// The largest logit of each head that is clipped, before clipping.
    package let peaks: [Double]
    /// How many of them were too large.
    package let clippedHeads: Int
    /// By rank.
    package let notes: [RankNote]
  }

  /// Where spans go while a trace is taken.
  package var trace: TraceRecorder?
  private let session: RankSession
  private let clip: Double
  private let key: RandomKey
  private let turns: [LaneTurn]
  private let pieces: [[LayoutPiece]]
  private let engine: ContinualEngine?

  /// - Parameter engine: of a run over tasks.
  package init(_ session: RankSession, clip: Double, seed: UInt64, engine: ContinualEngine? = nil) {
    self.session = session
    self.engine = engine
    self.clip = clip
    key = RandomKey(seed: seed).child("step")
    turns = session.turns
    let store = session.store
    pieces = (0..<session.communicator.size).map { store.layout.trainedPieces(of: $0, store.blueprint) }
  }

  package func run(_ input: Input) throws -> Report {
    let store = session.store
    session.enter(.exchanging)
    let weight = try input.weight ?? globalWeight(of: input.batches)
    session.logitClipping.clear()

    var losses: [LaneLoss] = []
    for (turn, batch) in zip(turns, input.batches) {
      let loss = try trace.span(turn.lane.map { "lane \($0)" } ?? "no lane", .phase) {
        store.begin(turn)
        return try pass(batch, lane: turn.lane, step: input.step, weight: weight)
      }
      if let lane = turn.lane { losses.append(LaneLoss(lane: lane, sum: loss.sum)) }
    }
    session.enter(.exchanging)
    try store.finishGradients()
    try engine?.adjust()

    let gathered = try StepExchange.gather(
      StepExchange(
        note: input.note, losses: losses, peaks: session.logitClipping.own, squares: store.gradientSquares()),
      over: session.communicator)
    let loss = StepExchange.lossSum(gathered) / Double(max(weight, 1))
    let norm = ChunkedScalars.inOrder(gathered.map { $0.squares[...] }, pieces).reduce(0) { $0 + $1.value }
      .squareRoot()
    let peaks = LogitClipping.largest(gathered.map(\.peaks))

    let isFinite = loss.isFinite && norm.isFinite
    let started = ReportClock.uptime()
    if isFinite {
      session.enter(.updating)
      let scale = clip > 0 && norm > clip ? clip / (norm + 1e-6) : 1
      let moment = UpdateMoment(count: input.updates + 1, rate: input.rate, gradientScale: scale)
      try trace.span("update", .phase) {
        try store.update(
          session.optimizer, groups: session.groups, births: input.births, at: moment,
          scaling: session.logitClipping.scales(for: peaks))
      }
      try engine?.endStep()
    }
    return Report(
      loss: loss, weight: weight, gradientNorm: norm, isFinite: isFinite,
      updateSeconds: ReportClock.uptime() - started, peaks: peaks,
      clippedHeads: isFinite ? session.logitClipping.clipped(peaks) : 0, notes: gathered.map(\.note))
  }

  /// Forward and backward of one lane; the gradient is left with the store.
  private func pass(_ stream: Batch, lane: Int?, step: Int, weight: Int) throws -> LossTerm {
    let shaped = try engine.flatMap { $0.shapes ? try $0.lane(lane, stream) : nil }
    let batch = shaped?.batch ?? session.run.augmented(stream, step: step)
    let tape = Tape(
      pool: session.pool, mode: .recording, key: key.child(UInt64(step)), samples: batch.samples)
    tape.share = Double(stream.weight) / Double(max(weight, 1))
    tape.groups = shaped?.groups ?? []
    tape.task = session.task
    let logits = session.model.logits(batch, on: tape)
    let loss =
      shaped.map { term(of: $0, logits, weight: weight) }
      ?? logits.crossEntropy(targets: batch.targets, ignored: Batch.ignored, weight: max(weight, 1))
    tape.backward(from: loss.tensor)
    try session.store.endPass(recording: true)
    session.count(samples: batch.samples.count)
    return loss
  }

  /// The loss of a lane as methods have shaped it, which is a mean already; `sum` is what the report divides by the weight.
  private func term(of lane: ContinualEngine.Lane, _ logits: Tensor, weight: Int) -> LossTerm {
    let parts = lane.parts.compactMap { part, rows -> (part: StepLoss.Part, rows: Range<Int>)? in
      switch part {
      case .stream: (lane.loss.stream, rows)
      case .draw(let name): lane.loss.draws[name].map { ($0, rows) }
      }
    }
    if let engine, engine.keepsLogits, lane.number != nil, let stream = lane.parts.first?.rows {
      engine.keep(
        logits: Array(
          UnsafeBufferPointer(start: logits.pointer, count: logits.count)[..<(stream.count * logits.shape.columns)]))
    }
    if lane.loss.isPlain {
      return logits.crossEntropy(targets: lane.batch.targets, ignored: Batch.ignored, weight: max(weight, 1))
    }
    let term = logits.shaped(parts)
    return LossTerm(
      tensor: term.tensor, sum: term.sum * Double(max(weight, 1)), weight: term.weight, correct: term.correct)
  }

  /// The targets of the whole batch that count, known before the backward pass so that every lane divides by it: masks and
  /// unequal lanes then change nothing.
  private func globalWeight(of batches: [Batch]) throws -> Int {
    let own = batches.reduce(0) { $0 + $1.weight }
    guard session.communicator.size > 1 else { return own }
    return try session.communicator.allGather([Double(own)], label: "weights of the step").wait()
      .reduce(0) { $0 + Int($1[0]) }
  }

  /// Repeats a step whose loss or gradient was not finite, lane by lane and without reducing, and says where it began.
  ///
  /// The weights were not updated, so every rank meets the same numbers again.
  package func explain(_ input: Input) throws -> [NonFinite] {
    let store = session.store
    let weight = try input.weight ?? globalWeight(of: input.batches)
    var found: [NonFinite] = []
    for (turn, batch) in zip(turns, input.batches) {
      var first: (segment: Int, parameter: Int)?
      store.inspector = { segment, parameter, gradient in
        if first == nil, ck_is_finite(gradient.baseAddress, gradient.count) == 0 { first = (segment, parameter) }
      }
      store.begin(turn)
      let loss = try pass(batch, lane: turn.lane, step: input.step, weight: weight)
      guard let lane = turn.lane, first != nil || !loss.sum.isFinite else { continue }
      found.append(
        NonFinite(
          lane: lane, samples: batch.samples, lossIsFinite: loss.sum.isFinite,
          segment: first.map { store.blueprint.segments[$0.segment].name } ?? "",
          parameter: first.map { store.blueprint.parameters[$0.parameter].name } ?? ""))
    }
    store.inspector = nil
    return try session.communicator.gatherValues(found, label: "non-finite step").flatMap { $0 }.sorted {
      $0.lane < $1.lane
    }
  }
}

/// Where a non-finite number was met in one lane.
package struct NonFinite: Codable, Sendable, Hashable {
  package let lane: Int
  /// Global indices.
  package let samples: [UInt64]
  package let lossIsFinite: Bool
  /// The first segment, in the order of the backward pass, with a gradient that is not finite.
  package let segment: String
  package let parameter: String
}
