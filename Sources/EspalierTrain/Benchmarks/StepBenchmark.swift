package import EspalierComm
import EspalierNN
import EspalierState
import EspalierTensor
import Foundation

/// Times whole training steps of a recipe on its real path: lanes, reductions, clipping, update; without saving or evaluation.
package enum StepBenchmark {
  package struct Report: Codable, Sendable {
    package let parameters: Int
    package let ranks: Int
    package let stage: Int
    package let lanes: Int
    package let threads: Int
    package let kernels: String
    /// Of the counted steps.
    package let medianSeconds: Double
    package let fastestSeconds: Double
    package let slowestSeconds: Double
    /// The median of the optimizer's part on rank 0.
    package let updateSeconds: Double
    package let tokensPerSecond: Double
    package let gigaflopsPerSecond: Double
    /// Of rank 0.
    package let poolBytes: Int
    package let slabBytes: Int
    package let residentBytes: Int
    package let loss: Double
    /// Seconds that rank 0 waited for collectives, a step.
    package let secondsWaited: Double
  }

  /// - Parameter steps: counted steps; `warmup` more come before them.
  package static func run(
    _ run: ResolvedRun, _ communicator: Communicator, steps: Int, warmup: Int
  ) throws -> Report {
    Kernels.threads = run.settings.threads
    try KernelLevel.requireUniform(communicator)
    let session = try RankSession(run, communicator)
    try session.store.initialize(seed: run.settings.seed)
    let step = TrainingStep(session, clip: run.settings.clip, seed: run.settings.seed)
    var seconds: [Double] = [], updates: [Double] = []
    var position: UInt64 = 0, loss = Double.nan, weight = 0, waited = 0.0
    for index in 0..<warmup + steps {
      let plan = BatchPlan(at: position, order: run.order, batch: run.settings.batch)
      let batches = try session.turns.map { turn in
        try turn.lane.map { try run.data.training.batch(of: plan.samples(ofLane: $0)) } ?? run.emptyBatch()
      }
      position = plan.next
      try communicator.barrier(label: "benchmark step").wait()
      if index == warmup { waited = communicator.statistics.secondsWaited }
      let started = ReportClock.uptime()
      let report = try step.run(
        TrainingStep.Input(
          step: index, updates: index, rate: run.optimizer.rate, batches: batches, note: RankNote()))
      try session.store.settle()
      seconds.append(ReportClock.uptime() - started)
      updates.append(report.updateSeconds)
      (loss, weight) = (report.loss, report.weight)
    }
    let counted = seconds.dropFirst(warmup).sorted()
    let median = counted[counted.count / 2]
    let operations =
      run.stages[0].operationsPerSample(recompute: run.settings.recompute)
      * run.settings.batch.samples
    return Report(
      parameters: run.blueprint.count, ranks: communicator.size, stage: run.settings.stage, lanes: run.lanes,
      threads: run.settings.threads, kernels: KernelLevel.description, medianSeconds: median,
      fastestSeconds: counted[0], slowestSeconds: counted[counted.count - 1],
      updateSeconds: updates.dropFirst(warmup).sorted()[counted.count / 2], tokensPerSecond: Double(weight) / median,
      gigaflopsPerSecond: Double(operations) / median / 1e9, poolBytes: session.pool.statistics.bytesHeld,
      slabBytes: communicator.statistics.slabBytes, residentBytes: ResidentMemory.bytes, loss: loss,
      secondsWaited: (communicator.statistics.secondsWaited - waited) / Double(steps))
  }
}

/// What the system counts for this process.
package enum ResidentMemory {
  /// The resident set now, in bytes; 0 where /proc does not say.
  package static var bytes: Int {
    guard let text = try? String(contentsOfFile: "/proc/self/statm", encoding: .utf8) else { return 0 }
    let fields = text.split(separator: " ")
    return fields.count > 1 ? (Int(fields[1]) ?? 0) * Int(sysconf(Int32(_SC_PAGESIZE))) : 0
  }
}
