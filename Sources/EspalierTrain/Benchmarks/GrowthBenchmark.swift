package import EspalierComm
import EspalierNN
import EspalierState
import EspalierTensor
import Foundation

/// Times the first growth of a recipe in the middle of its training, and what it takes of memory.
package enum GrowthBenchmark {
  package struct Report: Codable, Sendable {
    package let name: String
    package let parametersBefore: Int
    package let parametersAfter: Int
    package let ranks: Int
    package let stage: Int
    /// Of the whole growth with its two held batches, and of the relayout alone.
    package let seconds: Double
    package let relayoutSeconds: Double
    /// Medians.
    package let stepSecondsBefore: Double
    package let stepSecondsAfter: Double
    /// Of the rank that has most: all that state, gradients and gathered copies take.
    package let slabBytesBefore: Int
    package let slabBytesAtPeak: Int
    package let slabBytesAfter: Int
    /// One slot of the largest old weight.
    package let largestBytes: Int
    /// Resident set of the process of the rank that has most, before and at the peak; 0 where the system does not tell.
    package let residentBytesBefore: Int
    package let residentBytesAtPeak: Int
    package let lossBefore: Double
    package let lossAfter: Double

    /// What the peak may be: both states and one weight.
    package var boundBytes: Int { slabBytesBefore + slabBytesAfter + largestBytes }
  }

  /// What one rank has counted.
  private struct Counts: Codable, Sendable {
    let before, peak, after, residentBefore, residentPeak: Int
  }

  /// - Parameter steps: counted before and after, behind one that warms up.
  /// - Throws: `RunError` for a recipe that does not grow.
  package static func run(_ run: ResolvedRun, _ communicator: Communicator, steps: Int) throws -> Report {
    guard run.stages.count > 1 else {
      throw RunError(
        .wrongModel, subject: "schedule", reason: "the recipe has no growth", remedy: "add a grow phase")
    }
    Kernels.threads = run.settings.threads
    try KernelLevel.requireUniform(communicator)
    var session = try RankSession(run, communicator)
    try session.store.initialize(seed: run.settings.seed)
    var number = 0
    func median(_ births: UpdateBirths) throws -> Double {
      let step = TrainingStep(session, clip: run.settings.clip, seed: run.settings.seed)
      var seconds: [Double] = []
      for index in 0...steps {
        let plan = BatchPlan(
          at: UInt64(number) * UInt64(run.settings.batch.samples), order: run.order, batch: run.settings.batch)
        let batches = try session.turns.map { turn in
          try turn.lane.map { try run.data.training.batch(of: plan.samples(ofLane: $0)) } ?? run.emptyBatch()
        }
        try communicator.barrier(label: "benchmark step").wait()
        let started = ReportClock.uptime()
        _ = try step.run(
          TrainingStep.Input(
            step: number, updates: number, rate: run.optimizer.rate, batches: batches, births: births))
        try session.store.settle()
        if index > 0 { seconds.append(ReportClock.uptime() - started) }
        number += 1
      }
      return seconds.sorted()[seconds.count / 2]
    }
    let before = try median(.none)
    let slabsBefore = communicator.statistics.slabBytes, residentBefore = ResidentMemory.bytes
    ResidentMemory.forgetPeak()
    try communicator.barrier(label: "before the growth").wait()
    let growth = try RunningGrowth(session, number: 1, history: 0, isSaving: false, isAtBorder: true)
    let grown = try growth.run()
    let residentPeak = ResidentMemory.peakBytes, slabsPeak = communicator.statistics.highWaterSlabBytes
    session = grown.session
    try communicator.reclaimSlabs(label: "after the growth")
    let slabsAfter = communicator.statistics.slabBytes
    let after = try median(UpdateBirths(ranges: growth.births(after: [:], updates: number)))
    let counts = try communicator.gatherValues(
      Counts(
        before: slabsBefore, peak: slabsPeak, after: slabsAfter, residentBefore: residentBefore,
        residentPeak: residentPeak), label: "memory")
    func most(_ path: KeyPath<Counts, Int>) -> Int { counts.map { $0[keyPath: path] }.max() ?? 0 }
    let largest = run.stages[0].blueprint.parameters.map(\.count).max() ?? 0
    return Report(
      name: grown.finished.name, parametersBefore: grown.finished.parametersBefore,
      parametersAfter: grown.finished.parametersAfter, ranks: communicator.size, stage: run.settings.stage,
      seconds: grown.finished.seconds, relayoutSeconds: grown.finished.relayoutSeconds, stepSecondsBefore: before,
      stepSecondsAfter: after, slabBytesBefore: most(\.before), slabBytesAtPeak: most(\.peak),
      slabBytesAfter: most(\.after), largestBytes: 4 * largest, residentBytesBefore: most(\.residentBefore),
      residentBytesAtPeak: most(\.residentPeak), lossBefore: grown.finished.lossBefore,
      lossAfter: grown.finished.lossAfter)
  }
}

extension ResidentMemory {
  /// The most that has been resident since `forgetPeak`, in bytes.
  package static var peakBytes: Int {
    guard let text = try? String(contentsOfFile: "/proc/self/status", encoding: .utf8),
      let line = text.split(separator: "\n").first(where: { $0.hasPrefix("VmHWM:") })
    else { return 0 }
    return (line.split(separator: " ").compactMap { Int($0) }.first ?? 0) * 1024
  }

  /// Begins the count of the peak anew, where the system allows it.
  package static func forgetPeak() {
    try? "5".write(toFile: "/proc/self/clear_refs", atomically: false, encoding: .utf8)
  }
}
