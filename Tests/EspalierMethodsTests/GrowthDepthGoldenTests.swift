import EspalierMethods
import EspalierNN
import EspalierState
import EspalierTesting
import Foundation
import Testing

/// Depth growth against index maps, weights and logits of a double-precision program.
@Suite struct GrowthDepthGoldenTests {
  typealias Case = GrowthWidthGoldenTests.Golden.Case

  struct Golden: Decodable {
    let token_ids: [[Int32]]
    let layer_maps_target_to_source: [String: [Int]]
    let cases: [Entry]
  }

  /// Experts have another shape of model, which is not this catalogue's.
  enum Entry: Decodable {
    case dense(Case)
    case other

    init(from decoder: any Swift.Decoder) throws { self = (try? Case(from: decoder)).map { .dense($0) } ?? .other }

    var dense: Case? { if case .dense(let example) = self { example } else { nil } }
  }

  static func golden() throws -> Golden {
    let url = try #require(Bundle.module.url(forResource: "Goldens/growth_depth_moe", withExtension: "json"))
    return try JSONDecoder().decode(Golden.self, from: Data(contentsOf: url))
  }

  @Test("every index map of the golden is an order's")
  func layerMaps() throws {
    let maps = try Self.golden().layer_maps_target_to_source
    let orders: [(String, DepthOrder)] = [
      ("stack_top_remainder_", .stack(topRemainder: true)), ("stack_", .stack(topRemainder: false)),
      ("interleave_", .interleave), ("copy_last_", .copyLast), ("gradual_top_", .gradualTop),
    ]
    try #require(maps.count >= 21)
    for (name, expected) in maps {
      let (prefix, order) = try #require(orders.first { name.hasPrefix($0.0) })
      let numbers = name.dropFirst(prefix.count).split(separator: "_").compactMap { Int($0) }
      #expect(try order.sources(numbers[0], to: numbers[1]) == expected, "\(name)")
    }
  }

  static func plan(_ example: Case) throws -> GrowthPlan {
    let (before, after) = try (
      GrowthWidthGoldenTests.configuration(example.config_before),
      GrowthWidthGoldenTests.configuration(example.config_after)
    )
    let old = Scope.build { Decoder($0, before) }.blueprint, new = Scope.build { Decoder($0, after) }.blueprint
    switch example.name {
    case "identity_insert_middle": return try IdentityInsertion(IdentityInsertion.Options()).plan(from: old, to: new)
    case "stack_2_to_4": return try Stack(Stack.Options()).plan(from: old, to: new)
    default: return try Interleave(Interleave.Options()).plan(from: old, to: new)
    }
  }

  @Test(
    "deeper models are the golden's, to every weight and logit",
    arguments: ["identity_insert_middle", "stack_2_to_4", "interleave_2_to_4"])
  func deepens(_ name: String) throws {
    let golden = try Self.golden()
    let example = try #require(golden.cases.compactMap(\.dense).first { $0.name == name })
    let plan = try Self.plan(example)
    let before = GrowthWidthGoldenTests.weights(example.weights_before, example.config_before)
    let after = GrowthWidthGoldenTests.weights(example.weights_after, example.config_after)
    let old = HeldTensors(before)
    var grown: [String: [Float]] = [:]
    for spec in plan.new.parameters {
      let origin = try #require(plan.origins[spec.name]), expected = try #require(after[spec.name])
      var values = [Float](repeating: .nan, count: spec.count)
      let fill = OriginFill(spec, origin, rule: .likeValue, mode: .asymmetric, seed: 1, growth: 1)
      values.withUnsafeMutableBufferPointer { fill.fill(0..<spec.count, from: old.pointers, into: $0.baseAddress!) }
      #expect(values == expected, "\(spec.name)")
      grown[spec.name] = values
    }
    withExtendedLifetime(old) {}
    let configuration = try GrowthWidthGoldenTests.configuration(example.config_after)
    let tolerance = Tolerance(absolute: 1e-5, relative: 0)
    let logits = GrowthWidthGoldenTests.logits(configuration, plan.constants, grown, golden.token_ids)
    #expect(difference("logits", logits, example.logits_after.data, tolerance) == nil)
    let jump = difference("logits", logits, example.logits_before.data, tolerance)
    #expect((jump == nil) == (plan.fidelity == .exact), "\(plan.fidelity): \(jump ?? "no jump")")
  }
}
