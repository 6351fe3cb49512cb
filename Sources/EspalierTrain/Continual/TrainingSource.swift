package import EspalierMethods
import EspalierNN
import EspalierTensor

/// What a phase learns from, and in which order.
package struct TrainingSource: Sendable {
  package let dataset: any Dataset
  package let order: EpochOrder
}

extension ResolvedRun {
  /// What a phase of the schedule learns from.
  package func source(inPhase phase: Int) -> TrainingSource {
    let tasks = schedule.phases.indices.contains(phase) ? schedule.phases[phase].tasks : []
    return taskSources[tasks] ?? TrainingSource(dataset: data.training, order: order)
  }

  /// What the task phases of a recipe are learned from, by their tasks: joined once, since a joined set hashes all its labels.
  static func sources(
    of phases: [[Int]], _ sequence: TaskSequence?, _ exposure: Exposure, seed: UInt64
  ) -> [[Int]: TrainingSource] {
    var sources: [[Int]: TrainingSource] = [:]
    for tasks in phases where sources[tasks] == nil {
      guard let sequence, let last = tasks.last else { continue }
      let learned = exposure == .seen ? Array(0...(tasks.max() ?? last)) : tasks
      let dataset: any Dataset =
        learned.count == 1
        ? sequence.tasks[learned[0]].training
        : JoinedDataset(learned.map { sequence.tasks[$0].training }, named: "\(learned.count) tasks together")
      let key = RandomKey(seed: seed).child("data").child("task").child(UInt64(last))
      sources[tasks] = TrainingSource(dataset: dataset, order: EpochOrder(sampleCount: dataset.sampleCount, key: key))
    }
    return sources
  }

  /// The steps of one pass over what tasks are learned from.
  static func stepsPerEpoch(_ source: TrainingSource, _ batch: BatchSettings) -> Int {
    source.order.batchesPerEpoch(samples: batch.samples, last: batch.last)
  }

  /// The place of a task in the order of learning; nil for one that is never learned.
  func place(ofTask task: Int) -> Int? { schedule.phases.flatMap(\.tasks).firstIndex(of: task) }

  /// What methods may know of a phase's tasks; the last of them stands for them where they are learned together.
  package func taskInfo(inPhase phase: Int, headRows: Int) -> TaskInfo? {
    guard let sequence, schedule.phases.indices.contains(phase), let number = schedule.phases[phase].tasks.last else {
      return nil
    }
    let own = Set(schedule.phases[phase].tasks)
    var earlier: [Int] = []
    for planned in schedule.phases[..<phase] { earlier += planned.tasks }
    return TaskInfo(
      number: earlier.count, count: sequence.tasks.count, setting: sequence.setting,
      classes: own.count == 1 ? sequence.tasks[number].rows : own.sorted().flatMap { sequence.tasks[$0].rows },
      earlierTasks: earlier.map { sequence.tasks[$0].rows }, rowCount: headRows)
  }
}
