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

  package func run() throws -> EvaluationResult {
    let ranks = session.communicator.size, rank = session.communicator.rank
    var own: [Double] = []
    for round in 0..<(batchCount + ranks - 1) / ranks {
      let index = round * ranks + rank
      // A rank without a batch takes part with an empty one: at stage 3 a pass is a sequence of collectives.
      let samples = index < batchCount ? index * batchSize..<min((index + 1) * batchSize, data.sampleCount) : 0..<0
      let term = try measure(samples.map(UInt64.init))
      if index < batchCount { own += [term.sum, Double(term.weight), Double(term.correct)] }
    }
    let byRank =
      ranks > 1 ? try session.communicator.allGather(own, label: "evaluation").wait() : [own]
    var loss = 0.0, weight = 0.0, correct = 0.0
    for index in 0..<batchCount {
      let values = byRank[index % ranks], place = 3 * (index / ranks)
      loss += values[place]
      weight += values[place + 1]
      correct += values[place + 2]
    }
    let mean = loss / max(weight, 1)
    return EvaluationResult(
      loss: mean, accuracy: correct / max(weight, 1),
      bitsPerByte: data.targetsAreBytes ? mean / 0.6931471805599453 : nil,
      targets: Int(weight))
  }

  private func measure(_ samples: [UInt64]) throws -> LossTerm {
    let batch = try data.batch(of: samples)
    ProgressCounter.tick()
    let tape = Tape(pool: session.pool, mode: .inference, samples: samples)
    let logits = session.model.logits(batch, on: tape)
    let term = logits.crossEntropy(targets: batch.targets, ignored: Batch.ignored, weight: max(batch.weight, 1))
    try session.store.endPass(recording: false)
    return term
  }
}
