import EspalierMethods
import EspalierNN
import EspalierState
import EspalierTesting
import EspalierTrain
import Foundation
import Testing

/// What the optimizer does after a growth, against the figures of a double-precision program where it has some.
@Suite struct GrowthDynamicsTests {
  struct Golden: Decodable {
    struct Lock: Decodable {
      let optimizer: String
      let copy_share: Double
      let state: String
      let max_difference_between_copies_after_20_steps: Double
    }
    struct Dead: Decodable {
      let reader_columns: String
      let change_after_3_adamw_steps: [String: Double]
    }
    let symmetry_lock: [Lock]
    let dead_zone: [Dead]
  }

  static func golden() throws -> Golden {
    let url = try #require(Bundle.module.url(forResource: "Goldens/growth_dynamics", withExtension: "json"))
    return try JSONDecoder().decode(Golden.self, from: Data(contentsOf: url))
  }

  /// A feed-forward layer of 20 units, each with one copy.
  static let doubled = GrowthCase(
    model: GrowthCase.llama, growth: "operator: duplicate, to: { hidden: 40 }", isExact: true)

  /// The largest relative difference between rows of up and gate and those of their copies.
  static func apart(_ slots: [String: [Float]]) -> Float {
    var largest: Float = 0
    for layer in 0..<2 {
      let weights = slots["blocks.\(layer).feedForward.gateUp.weight/value"] ?? []
      // gate | up, 40 rows of 16 each.
      for part in 0..<2 {
        for row in 0..<20 {
          for column in 0..<16 {
            let a = weights[(part * 40 + row) * 16 + column], b = weights[(part * 40 + row + 20) * 16 + column]
            largest = max(largest, abs(a - b) / max(abs(a), 1e-3))
          }
        }
      }
    }
    return largest
  }

  @Test("copies part under the default, and stay equal where their history is copied or dropped, as in the golden")
  func symmetry() throws {
    let golden = try Self.golden().symmetry_lock.filter { $0.optimizer == "adamw" && $0.copy_share == 0.5 }
    try #require(golden.count == 3)
    for expected in golden {
      let state = ["copy": "transport", "drop_all": "dropAll", "asymmetric_reset": "asymmetric"][expected.state]
      let run = try Self.doubled.run(", state: \(try #require(state))")
      let trial = try GrowthTrial(run, ranks: 1, warmUp: 10, steps: 20, disturb: 0.2)
      #expect(Self.apart(trial.grown.slots) == 0)
      let apart = Self.apart(trial.after.slots)
      if expected.max_difference_between_copies_after_20_steps > 1e-3 {
        #expect(apart > 1e-3, "\(expected.state): copies differ by \(apart)")
      } else {
        #expect(apart <= 1e-5, "\(expected.state): copies differ by \(apart)")
      }
    }
  }

  @Test(
    "moments that are transported are those that the larger model's own gradients would have left", arguments: [0, 0.3])
  func dualMaps(_ share: Double) throws {
    // One step from nothing: m = (1 − β₁)·g and v = (1 − β₂)·g², so a step before the growth, transported, is the same step after it.
    // A norm hands its own part of the gradient to the copies evenly, so uneven shares of the stream are left out.
    let example = GrowthCase(
      model: GrowthCase.llama,
      growth: "operator: { duplicate: { share: \(share) } }, "
        + "to: { hidden: 40, heads: 8, keyValueHeads: 4\(share == 0 ? ", width: 32" : "") }",
      isExact: true)
    // A rate of zero leaves the weights, and with them the gradient, as they were.
    func trial(_ state: String, warmUp: Int, steps: Int) throws -> GrowthTrial {
      try GrowthTrial(
        example.run(", state: \(state)", set: ["clip=0"], optimizer: "{ adamw: { rate: 0, decay: 0 } }"), ranks: 1,
        warmUp: warmUp, steps: steps, disturb: 0.2)
    }
    let moved = try trial("transport", warmUp: 1, steps: 0).grown.slots
    let own = try trial("dropAll", warmUp: 0, steps: 1).after.slots
    for name in moved.keys.sorted() where !name.hasSuffix("/value") {
      let (a, b) = (try #require(moved[name]), try #require(own[name]))
      let scale = b.map(abs).max() ?? 0
      let worst = zip(a, b).map { abs($0 - $1) }.max() ?? 0
      #expect(worst <= 2e-5 * scale + 1e-12, "\(name): \(worst) of \(scale)")
    }
  }

  @Test("under the default, old entries keep their moments and all others begin empty")
  func asymmetry() throws {
    let trial = try GrowthTrial(Self.doubled.run(), ranks: 2, warmUp: 5, steps: 0)
    for slot in ["adamw.m", "adamw.v"] {
      let name = "blocks.0.feedForward.down.weight/\(slot)"
      let (old, new) = (try #require(trial.before.slots[name]), try #require(trial.grown.slots[name]))
      for row in 0..<16 {
        // Columns of the old units have share 1/2 and with it the same gradient as before.
        #expect(Array(new[row * 40..<row * 40 + 20]) == Array(old[row * 20..<(row + 1) * 20]))
        #expect(new[row * 40 + 20..<(row + 1) * 40].allSatisfy { $0 == 0 })
      }
    }
    let births = try #require(trial.births["blocks.0.feedForward.down.weight"])
    #expect(births.blocks == [BirthRanges.Block(rows: 0..<16, columns: 20..<40, birth: 5, growth: 1)])
    #expect(trial.births["embed.table"] == nil)
  }

  @Test("zeros that random weights read come to life in two steps; zeros that zeros read never do, and are refused")
  func deadZone() throws {
    let golden = try Self.golden().dead_zone
    let random = try #require(golden.first { $0.reader_columns == "random" }).change_after_3_adamw_steps
    let zero = try #require(golden.first { $0.reader_columns == "zero" }).change_after_3_adamw_steps
    try #require(random.values.allSatisfy { $0 > 1e-3 } && zero["writers_new_rows"] == 0)
    let example = GrowthCase(model: GrowthCase.llama, growth: "operator: zeroPad, to: { width: 24 }", isExact: true)
    let run = try example.run(set: ["clip=0"], optimizer: "{ adamw: { rate: 1e-2, decay: 0 } }")
    let readers: @Sendable (Store) throws -> Void = { store in
      // New columns of whatever reads the stream.
      for piece in store.ownPieces {
        let spec = store.blueprint.parameters[piece.parameter]
        guard let axis = spec.axes.last, axis.role == .input, axis.parts.contains(where: { $0.label == "model" }) else {
          continue
        }
        let values = store.pointer("value", piece)
        for (offset, element) in piece.range.enumerated() where element % axis.count >= 16 { values[offset] = 0 }
      }
      try store.share()
    }
    for (prepare, moves) in [({ @Sendable (_: Store) in }, true), (readers, false)] {
      let trial = try GrowthTrial(run, ranks: 1, warmUp: 4, steps: 3, disturb: 0.2, prepare: prepare)
      let name = "blocks.0.attention.output.weight/value"
      let (a, b) = (try #require(trial.grown.slots[name]), try #require(trial.after.slots[name]))
      let change = (16 * 16..<24 * 16).map { abs(a[$0] - b[$0]) }.max() ?? 0
      #expect(moves ? change > 1e-3 : change == 0, "new rows of a writer move by \(change)")
    }
    // A plan that pairs zeros with zeros.
    let plan = try #require(run.stages[1].growth?.plan)
    let dead = plan.origins.mapValues { origin in
      ParameterOrigin(
        origin.terms.map { term in
          ParameterOrigin.Term(
            term.source, coefficient: term.coefficient,
            maps: term.maps.map { map in
              AxisMap(map.entries.map { $0 == .fresh ? .zero : $0 }, oldCount: map.oldCount)
            })
        }, remainder: origin.remainder)
    }
    #expect {
      try GrowthPlan(from: plan.old, to: plan.new, origins: dead, fidelity: .exact)
    } throws: {
      ($0 as? GrowthError)?.kind == .axesDisagree
    }
  }
}
