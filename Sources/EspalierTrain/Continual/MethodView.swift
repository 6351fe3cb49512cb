import EspalierComm
import EspalierMethods
import EspalierNN
import EspalierState
import EspalierTensor

/// What one method sees of the engine.
final class MethodView: MethodSession {
  private let engine: ContinualEngine
  private let method: String
  private var store: Store { engine.session.store }

  init(_ engine: ContinualEngine, _ method: String) {
    self.engine = engine
    self.method = method
  }

  var task: TaskInfo {
    guard let task = engine.task else { preconditionFailure("method '\(method)' is asked outside of a task") }
    return task
  }

  var key: RandomKey { engine.key(of: method) }
  func notes(_ name: String) -> [Double] { engine.notes(name) }
  func forEachShard(_ body: (ParameterShard) -> Void) { store.forEachUpdated(body) }

  private func place(of vector: WeightVector) -> StoreVector {
    switch vector {
    case .values: .slot(SlotSpec.value.name)
    case .gradient: .gradient
    case .slot(let name): .slot(name)
    }
  }

  func dot(_ a: WeightVector, _ b: WeightVector) throws -> Double {
    let own = store.chunkProducts(place(of: a), place(of: b))
    let communicator = engine.session.communicator
    let byRank = communicator.size > 1 ? try communicator.allGather(own, label: "dot product").wait() : [own]
    let pieces = (0..<communicator.size).map { store.layout.trainedPieces(of: $0, store.blueprint) }
    return ChunkedScalars.inOrder(byRank.map { $0[...] }, pieces).reduce(0) { $0 + $1.value }
  }

  func copy(_ source: WeightVector, to destination: WeightVector) {
    store.forEachUpdated { shard in
      _ = Self.buffer(destination, of: shard).update(fromContentsOf: Self.buffer(source, of: shard))
    }
  }

  private static func buffer(_ vector: WeightVector, of shard: ParameterShard) -> UnsafeMutableBufferPointer<Float> {
    switch vector {
    case .values: shard.value
    case .gradient: shard.gradient
    case .slot(let name): shard.slot(name)
    }
  }

  func gradient(ofDraw name: String, into slot: String) throws -> Bool {
    guard let draw = engine.run.replay?.references.first(where: { $0.name == name }) else {
      preconditionFailure("method '\(method)' declares no reference draw '\(name)'")
    }
    let drawn = try engine.draw(draw)
    guard !drawn.entries.isEmpty else { return false }
    try engine.gradient(of: drawn)
    copy(.gradient, to: .slot(slot))
    return true
  }

  func addSquaredGradients(batches: Int, to slot: String) throws {
    let count = try engine.squaredGradients(batches: batches) { [store] factor in
      store.forEachUpdated { shard in
        let sum = shard.slot(slot)
        for index in sum.indices { sum[index] += factor * shard.gradient[index] }
      }
    }
    precondition(count > 0, "a task has at least one batch")
  }

  var parameters: [ParameterSpec] { store.blueprint.parameters }

  func gather(_ own: [String: Double]) throws -> [String: Double] {
    try engine.session.communicator.gatherValues(own, label: "numbers of a method").reduce(into: [:]) {
      $0.merge($1) { first, _ in first }
    }
  }

  func values(of parameters: [String]) throws -> [String: [Float]] {
    let source = GatheredSlots(store)
    var values: [String: [Float]] = [:]
    for name in parameters {
      guard let shape = source.shape(of: name), let start = try source.whole([name], slot: SlotSpec.value.name)[name]
      else { continue }
      values[name] = Array(UnsafeBufferPointer(start: start, count: shape.reduce(1, *)))
    }
    return values
  }

  func forEachBatchGradient(_ body: () throws -> Void) throws { try engine.forEachBatchGradient(body) }

  func moments(of layers: [(layer: String, samples: Int)], _ statistic: InputStatistic) throws -> InputMoments {
    try engine.moments(of: layers, statistic)
  }

  func decompose<Answer: Codable & Sendable>(
    _ moments: InputMoments, _ answer: (_ layer: String, _ moments: DoubleMatrix) throws -> Answer
  ) throws -> [String: Answer] {
    try engine.decompose(moments, answer)
  }

  func refresh(teacher slot: String) throws { try engine.refresh(slot) }
}
