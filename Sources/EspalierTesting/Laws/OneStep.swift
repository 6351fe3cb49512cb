import EspalierComm
import EspalierMethods
package import EspalierNN
import EspalierState
import EspalierTensor
package import EspalierTrain

/// One training step of a recipe on in-process ranks, from given weights and on given samples, and all that it left behind.
package struct OneStep: Sendable {
  package let loss: Double
  package let gradientNorm: Double
  /// Of each head that is clipped, before that.
  package let peaks: [Double]
  package let clippedHeads: Int
  /// Whole slots after the step, by "parameter/slot".
  package let slots: [String: [Float]]

  /// Opens a recipe (YAML text) with every check on.
  package static func open(_ recipe: String, set overrides: [String] = []) throws -> ResolvedRun {
    try ResolvedRun(
      RunSettings(
        recipe: SettingsFile(text: recipe, name: "recipe"),
        overrides: ["checks.memory=true", "checks.collectives=true"] + overrides, choices: Catalogue.standard.choices))
  }

  /// Lane l of L computes samples l·n/L ..< (l + 1)·n/L of the data set.
  package static func samples(of run: ResolvedRun, lane: Int) throws -> Batch {
    let count = run.settings.batch.samples
    return try run.data.training.batch(
      of: (UInt64(lane * count / run.lanes)..<UInt64((lane + 1) * count / run.lanes)).map { $0 })
  }

  /// - Parameter weights: by parameter, whole.
  package init(_ run: ResolvedRun, ranks: Int, weights: [String: [Float]]) throws {
    let shares = try Ranks.run(ranks) { communicator in
      let session = try RankSession(run, communicator)
      let store = session.store
      try Relayout(
        from: GivenState(slots: weights.reduce(into: [:]) { $0["\($1.key)/value"] = $1.value }, store.blueprint)
      )
      .read(into: store, slots: [.value])
      try store.share()
      let step = TrainingStep(session, clip: run.settings.clip, seed: run.settings.seed)
      let report = try step.run(
        TrainingStep.Input(
          step: 0, updates: 0, rate: session.optimizer.rate,
          batches: session.turns.map { try $0.lane.map { try Self.samples(of: run, lane: $0) } ?? run.emptyBatch() },
          note: RankNote()))
      try store.settle()
      let pieces = store.ownPieces.flatMap { piece in
        store.slots.filter { store.has($0, piece.parameter) }.map { slot in
          SlotPiece(
            name: "\(store.blueprint.parameters[piece.parameter].name)/\(slot.name)", start: piece.range.lowerBound,
            values: Array(UnsafeBufferPointer(start: store.pointer(slot.name, piece), count: piece.range.count)))
        }
      }
      return (report, pieces)
    }
    loss = shares[0].0.loss
    gradientNorm = shares[0].0.gradientNorm
    peaks = shares[0].0.peaks
    clippedHeads = shares[0].0.clippedHeads
    slots = Dictionary(grouping: shares.flatMap(\.1), by: \.name)
      .mapValues { $0.sorted { $0.start < $1.start }.flatMap(\.values) }
  }
}

/// A stretch of a slot on its way out of a rank.
private struct SlotPiece: Sendable {
  let name: String
  let start: Int
  let values: [Float]
}

/// Whole slots from memory, as a source for any layout.
package struct GivenState: SlotSource, Sendable {
  /// By "parameter/slot".
  private let slots: [String: [Float]]
  private let shapes: [String: [Int]]

  package init(slots: [String: [Float]], _ blueprint: Blueprint) {
    self.slots = slots
    shapes = Dictionary(uniqueKeysWithValues: blueprint.parameters.map { ($0.name, $0.shape.dimensions) })
  }

  package init(slots: [String: [Float]], shapes: [String: [Int]]) {
    self.slots = slots
    self.shapes = shapes
  }

  package func shape(of parameter: String) -> [Int]? { shapes[parameter] }
  package func has(slot: String, of parameter: String) -> Bool { slots["\(parameter)/\(slot)"] != nil }

  package func read(
    _ parameter: String, slot: String, range: Range<Int>, into destination: UnsafeMutablePointer<Float>
  ) throws {
    for (offset, value) in (slots["\(parameter)/\(slot)"] ?? [])[range].enumerated() { destination[offset] = value }
  }
}
