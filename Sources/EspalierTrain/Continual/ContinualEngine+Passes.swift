import EspalierMethods
import EspalierNN
import EspalierState
import EspalierTensor

/// Passes over samples that update nothing: the engine's, never a method's.
extension ContinualEngine {
  /// Leaves the mean gradient of the cross-entropy over records with the store. Collective.
  func gradient(of drawn: ReplayMemory.Drawn) throws {
    let like = try run.emptyBatch()
    try pass(count: drawn.entries.count) { range in
      self.run.augmented(self.batch(of: drawn, range, like: like), step: self.step)
    }
  }

  /// Hands out the squares of gradients, batch after batch of what the task is learned from: of each lane's mean gradient, summed over lanes in
  /// order; `body` gets the factor that makes the whole a mean over lanes. Collective.
  /// - Parameter batches: 0 = one pass.
  /// - Returns: the batches.
  func squaredGradients(batches: Int, _ body: (Float) -> Void) throws -> Int {
    guard let task else { return 0 }
    let started = ReportClock.uptime(), data = run.source(inPhase: phase).dataset
    defer { note(.gradients, since: started) }
    let order = EpochOrder(
      sampleCount: data.sampleCount,
      key: RandomKey(seed: run.settings.seed).child("importance").child(UInt64(task.number)))
    let size = min(run.settings.batch.samples, data.sampleCount)
    let all = data.sampleCount / size
    let count = batches > 0 ? min(batches, all) : all
    let store = session.store
    store.squaresLanes = true
    defer { store.squaresLanes = false }
    for index in 0..<count {
      let samples = order.samples(epoch: 0, places: UInt64(index * size)..<UInt64((index + 1) * size))
      try pass(count: size, divides: .byLane) { range in
        try data.batch(of: Array(samples[range]))
      }
      body(1 / Float(count * run.lanes))
    }
    return count
  }

  /// One pass in batches of the run's size, the last one too; each leaves its mean gradient with the store for `body`. Collective.
  func forEachBatchGradient(_ body: () throws -> Void) throws {
    guard let task else { return }
    let started = ReportClock.uptime(), data = run.source(inPhase: phase).dataset
    defer { note(.gradients, since: started) }
    let order = EpochOrder(
      sampleCount: data.sampleCount,
      key: RandomKey(seed: run.settings.seed).child("retention").child(UInt64(task.number)))
    for first in stride(from: 0, to: data.sampleCount, by: run.settings.batch.samples) {
      let count = min(run.settings.batch.samples, data.sampleCount - first)
      let samples = order.samples(epoch: 0, places: UInt64(first)..<UInt64(first + count))
      try pass(count: count) { range in
        self.run.augmented(try data.batch(of: Array(samples[range])), step: self.step)
      }
      try body()
      session.strike(.work(.gradients))
    }
  }

  private enum Divisor { case byBatch, byLane }

  /// Forward and backward of the lanes of some samples. Collective.
  private func pass(
    count: Int, divides: Divisor = .byBatch, _ batch: (Range<Int>) throws -> Batch
  ) throws {
    let store = session.store
    for turn in session.turns {
      let range = turn.lane.map { BatchPlan.range(ofLane: $0, of: run.lanes, count: count) } ?? 0..<0
      store.begin(turn)
      let samples = try range.isEmpty ? run.emptyBatch() : batch(range)
      let tape = Tape(pool: session.pool, mode: .recording, key: key(of: "pass"), samples: samples.samples)
      tape.share = Double(range.count) / Double(max(count, 1))
      tape.task = session.task
      let logits = session.model.logits(samples, on: tape)
      let part = StepLoss.Part(
        targets: samples.targets.values, count: divides == .byLane ? max(range.count, 1) : count,
        competing: competing(samples.targets.values))
      tape.backward(from: logits.shaped([(part, 0..<range.count)]).tensor)
      try store.endPass(recording: true)
    }
    try store.finishGradients()
  }
}

extension Tensor {
  /// The loss of some parts of a lane's logits, `[samples, rows of the head]`, as methods have shaped it.
  func shaped(_ parts: [(part: StepLoss.Part, rows: Range<Int>)]) -> LossTerm {
    let columns = shape.columns, logits = UnsafeBufferPointer(start: pointer, count: count)
    let sums = [Double](unsafeUninitializedCapacity: max(count, 1)) { buffer, size in
      buffer.initialize(repeating: 0)
      size = count
    }
    var gradient = sums, loss = 0.0, correct = 0
    gradient.withUnsafeMutableBufferPointer { all in
      for (part, rows) in parts where !rows.isEmpty {
        let range = rows.lowerBound * columns..<rows.upperBound * columns
        let term = part.evaluate(
          UnsafeBufferPointer(rebasing: logits[range]), columns: columns,
          gradient: UnsafeMutableBufferPointer(rebasing: all[range]))
        loss += term.loss
        correct += term.correct
      }
    }
    let output = tape.pool.storage(count: 1)
    output.pointer[0] = Float(loss)
    let share = tape.pool.storage(count: max(count, 1))
    for (index, value) in gradient.enumerated() { share.pointer[index] = Float(value) }
    let place = self
    let tensor = tape.record(output, [], inputs: [self]) { dy, gradients in
      gradients.pass(Tensor(shape: place.shape, storage: share, tape: dy.tape, node: nil), to: place)
    }
    return LossTerm(tensor: tensor, sum: loss, weight: parts.first?.rows.count ?? 0, correct: correct)
  }
}
