import EspalierComm
import EspalierMethods
import EspalierNN
import EspalierState
import EspalierTensor

/// Second moments of what layers read, and decompositions of them: passes and collectives, the engine's.
extension ContinualEngine {
  /// Σ h hᵀ over the inputs of some layers, on samples of what the task is learned from: the first of a keyed order, as the model sees them
  /// when it is measured, in batches of `evaluate.batch`. Collective.
  /// - Parameter layers: names of weights, and how many samples each is to see; 0 = all.
  func moments(of layers: [(layer: String, samples: Int)], _ statistic: InputStatistic) throws
    -> InputMoments
  {
    let started = ReportClock.uptime()
    defer { note(.moments, since: started) }
    let data = run.source(inPhase: phase).dataset
    let order = EpochOrder(
      sampleCount: data.sampleCount,
      key: RandomKey(seed: run.settings.seed).child("moments").child(UInt64(task?.number ?? 0)))
    let limits = Dictionary(
      uniqueKeysWithValues: layers.map { layer, samples in
        (layer, samples == 0 ? data.sampleCount : min(samples, data.sampleCount))
      })
    let count = limits.values.max() ?? 0, size = max(run.settings.evaluate.batch, 1)
    var sums: [Int: [String: DoubleMatrix]] = [:]
    var failure: (any Error)?
    for first in stride(from: 0, to: count, by: size) {
      let batch = first..<min(first + size, count)
      for turn in session.turns {
        let own = turn.lane.map { BatchPlan.range(ofLane: $0, of: run.lanes, count: batch.count) } ?? 0..<0
        let places = UInt64(first + own.lowerBound)..<UInt64(first + own.upperBound)
        session.store.begin(turn)
        let samples = try own.isEmpty ? run.emptyBatch() : data.batch(of: order.samples(epoch: 0, places: places))
        // Channel norms are those of the task that is being learned, dropout and all, as in the authors' code.
        let tape = Tape(
          pool: session.pool, mode: statistic == .moments ? .inference : .unrecorded, key: key(of: "moments"),
          samples: samples.samples)
        tape.task = session.task
        tape.inputObserver = { layer, input in
          guard let lane = turn.lane, let limit = limits[layer], failure == nil else { return }
          let seen = min(max(limit - first - own.lowerBound, 0), own.count)
          let width = statistic == .moments ? input.width : input.channels
          var sum = sums[lane]?[layer] ?? DoubleMatrix(rows: width, columns: width)
          sums[lane, default: [:]][layer] = nil
          switch statistic {
          case .moments: input.addSecondMoments(ofFirst: seen, to: &sum)
          case .channelNorms:
            do { try input.addChannelNorms(ofFirst: seen, to: &sum) } catch { failure = error }
          }
          sums[lane, default: [:]][layer] = sum
        }
        _ = session.model.logits(samples, on: tape)
        try session.store.endPass(recording: false)
      }
      session.strike(.work(.moments))
    }
    try session.communicator.together("moments") { if let failure { throw failure } }
    return InputMoments(layers: layers.map(\.layer), lanes: sums)
  }

  /// Sums moments over lanes, in their order, on the rank that owns a layer; it answers and tells all. Collective.
  func decompose<Answer: Codable & Sendable>(
    _ moments: InputMoments, _ answer: (_ layer: String, _ moments: DoubleMatrix) throws -> Answer
  ) throws -> [String: Answer] {
    let started = ReportClock.uptime(), communicator = session.communicator
    defer { note(.decompositions, since: started) }
    let widths = try communicator.gatherValues(moments.widths, label: "widths of moments")
      .reduce(into: [:]) { $0.merge($1) { first, _ in first } }
    let owners = Self.owners(of: moments.layers, widths, ranks: communicator.size)
    // All sums before the first answer, so that no rank waits for what another one makes of its own.
    var sums: [(layer: String, moments: DoubleMatrix)] = []
    for layer in moments.layers {
      guard let width = widths[layer] else { continue }
      let sum = try Self.sum(layer, width, moments, communicator, owner: owners[layer] ?? 0)
      if let sum { sums.append((layer, sum)) }
    }
    session.enter(.updating)
    var own: [String: Answer] = [:]
    var failure: (any Error)?
    for (layer, sum) in sums where failure == nil {
      do { own[layer] = try answer(layer, sum) } catch { failure = error }
      session.strike(.work(.decompositions))
    }
    try communicator.together("decompositions") { if let failure { throw failure } }
    return try communicator.gatherLargeValues(own, label: "decompositions").reduce(into: [:]) { $0.merge($1) { $1 } }
  }

  /// The largest first, each to the rank that has least to do: a decomposition takes the cube of its width.
  static func owners(of layers: [String], _ widths: [String: Int], ranks: Int) -> [String: Int] {
    var loads = Array(repeating: 0.0, count: ranks)
    var owners: [String: Int] = [:]
    let places = layers.enumerated().sorted {
      let (first, second) = (widths[$0.element] ?? 0, widths[$1.element] ?? 0)
      return first == second ? $0.offset < $1.offset : first > second
    }
    for (_, layer) in places {
      let rank = loads.indices.min { loads[$0] == loads[$1] ? $0 < $1 : loads[$0] < loads[$1] } ?? 0
      owners[layer] = rank
      loads[rank] += Double(widths[layer] ?? 0) * Double(widths[layer] ?? 0) * Double(widths[layer] ?? 0)
    }
    return owners
  }

  /// Elements of the triangles that travel at once: 8 MiB.
  private static let stretch = 1 << 20

  /// Lane after lane, stretch after stretch; nil on ranks that are not the owner. Collective.
  private static func sum(
    _ layer: String, _ width: Int, _ moments: InputMoments, _ communicator: Communicator, owner: Int
  ) throws -> DoubleMatrix? {
    let lanes = moments.lanes.keys.sorted(), count = width * (width + 1) / 2
    let triangles = lanes.map { moments.lanes[$0]?[layer]?.upperTriangle ?? Array(repeating: 0, count: count) }
    var sum: [Double] = []
    for first in Swift.stride(from: 0, to: count, by: stretch) {
      let range = first..<min(first + stretch, count)
      let sent = zip(lanes, triangles).flatMap { [Double($0)] + $1[range] }
      let byRank =
        communicator.size > 1 ? try communicator.allGather(sent, label: "moments of \(layer)").wait() : [sent]
      guard communicator.rank == owner else { continue }
      var found: [(lane: Int, values: ArraySlice<Double>)] = []
      for values in byRank {
        for start in Swift.stride(from: 0, to: values.count, by: 1 + range.count) {
          found.append((Int(values[start]), values[start + 1..<start + 1 + range.count]))
        }
      }
      var part = Array(repeating: 0.0, count: range.count)
      for (_, values) in found.sorted(by: { $0.lane < $1.lane }) {
        part.withUnsafeMutableBufferPointer { part in
          values.withUnsafeBufferPointer { for index in part.indices { part[index] += $0[index] } }
        }
      }
      sum += part
    }
    return communicator.rank == owner ? DoubleMatrix(upperTriangle: sum, count: width) : nil
  }
}
