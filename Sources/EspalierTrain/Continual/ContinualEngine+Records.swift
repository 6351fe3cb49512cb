import EspalierComm
import EspalierMethods
import EspalierNN
import EspalierState
import EspalierTensor

/// Records on their way into the reservoir and out of it, and the notes that lanes take of their samples.
extension ContinualEngine {
  /// Records of a draw at this step. Collective.
  func draw(_ draw: Replay.Draw) throws -> ReplayMemory.Drawn {
    guard let records = session.records else { return ReplayMemory.Drawn() }
    let now = task?.number ?? 0
    let slots = records.reservoir.draw(
      draw.count, key: key.child("draw").child(draw.name).child(UInt64(step)),
      where: { !draw.earlierTasksOnly || $0.task < now })
    return try records.fetch(slots)
  }

  func offer(to records: ReplayMemory, _ task: TaskInfo) throws {
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
  func exchangeNotes() throws {
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
}
