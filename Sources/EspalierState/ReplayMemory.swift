package import EspalierComm
package import EspalierTensor

/// One logical reservoir of records, shared out over the ranks: the samples as they came, before augmentation, and the logits that the
/// model had for them.
///
/// Every rank knows which sample is in which slot; what a slot holds lies on one rank. All methods that move records are collective.
package final class ReplayMemory {
  /// Records on their way into a batch.
  package struct Drawn: Sendable {
    package let entries: [Reservoir.Entry]
    /// `[entries, features]`.
    package let inputs: [Float]
    /// `[entries, columns]`; empty where no logits are kept.
    package let logits: [Float]

    package init(entries: [Reservoir.Entry] = [], inputs: [Float] = [], logits: [Float] = []) {
      self.entries = entries
      self.inputs = inputs
      self.logits = logits
    }
  }

  package var reservoir: Reservoir
  private let inputs: ExtraTensor
  private let logits: ExtraTensor?
  private let communicator: Communicator

  /// - Parameters:
  ///   - features: of a sample.
  ///   - columns: logits of a sample; 0 keeps none.
  package init(capacity: Int, features: Int, columns: Int, _ communicator: Communicator) {
    reservoir = Reservoir(capacity: capacity)
    self.communicator = communicator
    inputs = ExtraTensor(ExtraTensor.recordsPrefix + "inputs", rows: capacity, columns: features, communicator)
    logits =
      columns > 0
      ? ExtraTensor(ExtraTensor.recordsPrefix + "logits", rows: capacity, columns: columns, communicator) : nil
  }

  /// What a checkpoint holds of it, besides the reservoir.
  package var tensors: [ExtraTensor] { [inputs] + (logits.map { [$0] } ?? []) }

  /// A sample that this rank has computed.
  package struct Own {
    /// Which of the offered it is.
    package let index: Int
    package let inputs: ArraySlice<Float>
    package let logits: ArraySlice<Float>

    package init(index: Int, inputs: ArraySlice<Float>, logits: ArraySlice<Float>) {
      self.index = index
      self.inputs = inputs
      self.logits = logits
    }
  }

  /// Offers the samples of a step, in the order of the batch.
  /// - Parameters:
  ///   - samples: all of them, the same on every rank.
  ///   - own: what this rank has of them.
  package func offer(
    _ samples: [(sample: UInt64, row: Int32, task: Int)], own: [Own], key: RandomKey
  ) throws {
    let placed = reservoir.offer(samples, key: key)
    guard !placed.isEmpty else { return }
    let slots = Dictionary(uniqueKeysWithValues: placed.map { ($0.value, $0.key) })
    var sent: [Double] = []
    for sample in own {
      guard let slot = slots[sample.index] else { continue }
      if communicator.size == 1 {
        store(slot, sample.inputs, sample.logits)
      } else {
        sent.append(Double(slot))
        sent += sample.inputs.map(Double.init)
        if logits != nil { sent += sample.logits.map(Double.init) }
      }
    }
    guard communicator.size > 1 else { return }
    let width = 1 + inputs.columns + (logits?.columns ?? 0)
    for values in try communicator.allGather(sent, label: "new records").wait() {
      for start in stride(from: 0, to: values.count, by: width) where inputs.own.contains(Int(values[start])) {
        let record = values[start + 1..<start + width].map { Float($0) }
        store(Int(values[start]), record[..<inputs.columns], record[inputs.columns...])
      }
    }
  }

  private func store(_ slot: Int, _ sample: ArraySlice<Float>, _ kept: ArraySlice<Float>) {
    _ = inputs.row(slot).update(from: sample)
    if let logits { _ = logits.row(slot).update(from: kept) }
  }

  /// The records of some slots, in their order.
  package func fetch(_ slots: [Int]) throws -> Drawn {
    let width = inputs.columns + (logits?.columns ?? 0)
    var sent: [Double] = []
    for slot in slots where inputs.own.contains(slot) {
      sent += inputs.row(slot).map(Double.init)
      if let logits { sent += logits.row(slot).map(Double.init) }
    }
    let byRank = communicator.size > 1 ? try communicator.allGather(sent, label: "drawn records").wait() : [sent]
    var next = Array(repeating: 0, count: byRank.count)
    var samples: [Float] = [], kept: [Float] = []
    samples.reserveCapacity(slots.count * inputs.columns)
    for slot in slots {
      let rank = owner(of: slot)
      let record = byRank[rank][next[rank]..<next[rank] + width]
      next[rank] += width
      samples += record.prefix(inputs.columns).map { Float($0) }
      kept += record.dropFirst(inputs.columns).map { Float($0) }
    }
    return Drawn(entries: slots.map { reservoir.entries[$0] }, inputs: samples, logits: kept)
  }

  private func owner(of slot: Int) -> Int {
    (0..<communicator.size).first { slot < inputs.rows * ($0 + 1) / communicator.size } ?? 0
  }
}
