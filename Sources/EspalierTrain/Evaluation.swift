import EspalierComm
import EspalierMethods
import EspalierNN
import EspalierState
import EspalierTensor

/// How well a model does on a data set.
package struct EvaluationResult: Codable, Sendable, Hashable {
  /// Mean loss in nats per target.
  package let loss: Double
  /// Share of targets that the largest logit names.
  package let accuracy: Double
  /// loss / ln 2 where every target is a byte; absent otherwise.
  package let bitsPerByte: Double?
  /// Targets that counted.
  package let targets: Int
}

/// Measures a data set in batches of a fixed size, cut by index: batch i is rank i mod N's, and the sums of all batches are added in
/// their order, so the figure does not depend on the number of ranks.
package struct Evaluation {
  let session: RankSession
  let data: any Dataset
  let batchSize: Int
  let batchCount: Int

  /// - Parameter limit: batches to measure, from the first; 0 = all.
  package init(_ session: RankSession, _ data: any Dataset, batch: Int, limit: Int) {
    self.session = session
    self.data = data
    batchSize = batch
    let all = (data.sampleCount + batch - 1) / batch
    batchCount = limit > 0 ? min(limit, all) : all
  }

  package func run() throws -> EvaluationResult { try run(nil) }

  /// - Parameter copy: measured in place of the session's weights.
  func run(_ copy: ModelCopy?) throws -> EvaluationResult {
    let sums = try sums(copy) { logits, batch in
      let batch = known(batch, rows: logits.shape.columns)
      let term = logits.crossEntropy(targets: batch.targets, ignored: Batch.ignored, weight: max(batch.weight, 1))
      return [term.sum, Double(term.weight), Double(term.correct)]
    }
    let mean = sums[0] / max(sums[1], 1)
    return EvaluationResult(
      loss: mean, accuracy: sums[2] / max(sums[1], 1),
      bitsPerByte: data.targetsAreBytes ? mean / 0.6931471805599453 : nil, targets: Int(sums[1]))
  }

  /// The batch without the targets that a growing head has no rows for yet.
  private func known(_ batch: Batch, rows: Int) -> Batch {
    guard session.run.settings.tasks.heads == .grow, session.run.sequence != nil else { return batch }
    return Batch(
      inputs: batch.inputs,
      targets: Indices(batch.targets.values.map { Int($0) < rows ? $0 : Batch.ignored }, shape: batch.targets.shape),
      samples: batch.samples)
  }

  /// The sums over all batches of what `terms` makes of a batch's logits: always as many numbers. Collective.
  func sums(_ copy: ModelCopy?, _ terms: (Tensor, Batch) -> [Double]) throws -> [Double] {
    let ranks = session.communicator.size, rank = session.communicator.rank
    var own: [Double] = [], width = 0
    for round in 0..<(batchCount + ranks - 1) / ranks {
      let index = round * ranks + rank
      // A rank without a batch takes part with an empty one: at stage 3 a pass is a sequence of collectives.
      let samples = index < batchCount ? index * batchSize..<min((index + 1) * batchSize, data.sampleCount) : 0..<0
      let values = try measure(samples.map(UInt64.init), copy, terms)
      width = values.count
      if index < batchCount { own += values }
    }
    let byRank =
      ranks > 1 ? try session.communicator.allGather(own, label: "evaluation").wait() : [own]
    var sums = Array(repeating: 0.0, count: width)
    for index in 0..<batchCount {
      for place in 0..<width { sums[place] += byRank[index % ranks][width * (index / ranks) + place] }
    }
    return sums
  }

  private func measure(
    _ samples: [UInt64], _ copy: ModelCopy?, _ terms: (Tensor, Batch) -> [Double]
  ) throws -> [Double] {
    let batch = try data.batch(of: samples)
    ProgressCounter.tick()
    let tape = Tape(pool: session.pool, mode: .inference, samples: samples)
    tape.task = session.task
    let logits = (copy?.model ?? session.model).logits(batch, on: tape)
    let values = terms(logits, batch)
    try (copy?.store ?? session.store).endPass(recording: false)
    return values
  }
}
