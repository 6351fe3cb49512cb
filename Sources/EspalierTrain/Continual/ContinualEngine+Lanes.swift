import EspalierMethods
import EspalierNN
import EspalierState
import EspalierTensor

/// What a lane computes: its share of the stream and of every draw, and the loss that methods make of it.
extension ContinualEngine {
  /// What one lane computes: its stream's samples and its share of every draw, and the loss as methods have shaped it.
  struct Lane {
    /// nil on a rank that only takes part in the round.
    let number: Int?
    let batch: Batch
    var loss: StepLoss
    /// The parts by where their rows are, the stream first.
    let parts: [(part: StepPart, rows: Range<Int>)]
    /// Samples of each batch that batch norm sees.
    let groups: [Int]
  }

  /// - Parameters:
  ///   - lane: nil for a rank without one.
  ///   - stream: its samples, as they are.
  func lane(_ lane: Int?, _ stream: Batch) throws -> Lane {
    guard let task else { preconditionFailure("no task is under way") }
    let seen = augmented(stream)
    var parts: [(part: StepPart, batch: Batch)] = [(.stream, seen)]
    var losses: [String: StepLoss.Part] = [:]
    // What joins the stream stands next to it.
    let planned = (run.replay?.draws ?? []).filter(\.joinsStream) + (run.replay?.draws ?? []).filter { !$0.joinsStream }
    var groups = [seen.samples.count]
    for draw in planned {
      guard let drawn = draws[draw.name] else { continue }
      let range = lane.map { BatchPlan.range(ofLane: $0, of: run.lanes, count: drawn.entries.count) } ?? 0..<0
      let batch = augmented(self.batch(of: drawn, range, like: stream))
      parts.append((.draw(draw.name), batch))
      if draw.joinsStream { groups[0] += batch.samples.count } else { groups.append(batch.samples.count) }
      losses[draw.name] = StepLoss.Part(
        targets: batch.targets.values, count: drawn.entries.count,
        competing: competing(batch.targets.values),
        keptLogits: keptLogits(drawn, range, task), keptRows: keptRows(drawn, range))
    }
    var teachers: [String: [StepPart: [Float]]] = [:]
    for teacher in methods.flatMap(\.teachers) {
      for (part, batch) in parts where teacher.parts.contains(part) {
        teachers[teacher.slot, default: [:]][part] = try copy(of: teacher.slot).logits(batch)
      }
    }
    var loss = StepLoss(
      task: task,
      stream: .init(
        targets: seen.targets.values, count: sampleCount, competing: competing(seen.targets.values)),
      draws: losses, teachers: teachers)
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
    return Lane(number: lane, batch: Self.joined(parts.map(\.batch)), loss: loss, parts: places, groups: groups)
  }

  /// For each target the rows that compete for it: in the task-incremental setting those of its own task, whichever task is under way;
  /// empty where all do.
  func competing(_ targets: [Int32]) -> [[Int32]] {
    guard let sequence = run.sequence, sequence.setting == .task else { return [] }
    return targets.map { sequence.rows(competingWith: $0) }
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
