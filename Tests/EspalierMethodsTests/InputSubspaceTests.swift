import EspalierMethods
import EspalierTensor
import EspalierTesting
import Foundation
import Testing

/// Memories of input spaces against the authors' code (`dualgpm.json`, `api.json`), and their laws.
@Suite struct InputSubspaceTests {
  struct Golden: Decodable {
    struct Case: Decodable {
      let `case`: String
      let variant: String
      let steps: [Step]
    }
    struct Step: Decodable {
      let activation: [[Double]]
      let threshold: Double
      let kind: String
      let columns: Int
      let stored_projector: [[Double]]
      let gradient_projector: [[Double]]
      let extra_input_dims_before_update: Int?
    }
    let cases: [Case]
    let tolerance: [String: Double]
  }

  struct APIGolden: Decodable {
    struct Memory: Decodable {
      let activation: [[Double]]
      let threshold: Double
    }
    struct Retention: Decodable {
      let gradients: [[[[[Double]]]]]
      let projected: [[[[[Double]]]]]
      let ratios: [Double]
    }
    struct Widening: Decodable {
      let old_inputs: Int
      let gradient: [[[[Double]]]]
      let projected: [[[[Double]]]]
    }
    let memory: Memory
    let retention: Retention
    let projection_after_widening: Widening
  }

  private static func golden<G: Decodable>(_ name: String) throws -> G {
    let url = try #require(Bundle.module.url(forResource: "Goldens/\(name)", withExtension: "json"))
    return try JSONDecoder().decode(G.self, from: Data(contentsOf: url))
  }

  private static func moments(_ inputs: [[Double]]) -> DoubleMatrix {
    let matrix = DoubleMatrix(rows: inputs.count, columns: inputs.first?.count ?? 0, inputs.flatMap { $0 })
    return matrix.times(matrix, otherTransposed: true)
  }

  private static func distance(_ found: DoubleMatrix, _ wanted: [[Double]]) -> Double {
    zip(found.values, wanted.flatMap { $0 }).map { abs($0 - $1) }.max() ?? .infinity
  }

  @Test("six cases of the authors' code: both kinds, flips both ways, widening")
  func goldens() throws {
    let golden: Golden = try Self.golden("dualgpm")
    #expect(golden.cases.count == 6)
    let tolerance = try #require(golden.tolerance["float32"])
    for example in golden.cases {
      let flip: InputSubspace.Flip = example.variant == "api" ? .both : .once
      var memory: InputSubspace?
      for (index, step) in example.steps.enumerated() {
        let moments = Self.moments(step.activation), name = Comment(rawValue: "\(example.case), step \(index)")
        if var known = memory {
          known.embed(adding: step.extra_input_dims_before_update ?? 0)
          try known.update(moments, threshold: step.threshold, flip: flip)
          memory = known
        } else {
          memory = try InputSubspace(
            first: moments, threshold: step.threshold, flip: flip, keepsOne: example.variant == "inflora")
        }
        let found = try #require(memory)
        #expect(found.kind.rawValue == step.kind && found.count == step.columns, name)
        let own = found.vectors
        #expect(Self.distance(own.times(own, transposed: true), step.stored_projector) < tolerance, name)
        #expect(Self.distance(found.gradientProjector, step.gradient_projector) < tolerance, name)
      }
    }
  }

  @Test("gradients are projected as in the authors' code, and new columns are left alone")
  func projection() throws {
    let golden: APIGolden = try Self.golden("api")
    let memory = try InputSubspace(
      first: Self.moments(golden.memory.activation), threshold: golden.memory.threshold, flip: .both)
    func flat(_ gradient: [[[[Double]]]]) -> [Float] { gradient.joined().joined().joined().map(Float.init) }
    func norm(_ values: [Float]) -> Double { values.reduce(0) { $0 + Double($1) * Double($1) }.squareRoot() }
    var examples = zip(golden.retention.gradients, golden.retention.projected).map { ($0, $1) }
    examples.append((golden.projection_after_widening.gradient, golden.projection_after_widening.projected))
    for (index, (gradient, wanted)) in examples.enumerated() {
      let before = flat(gradient)
      var found = before
      found.withUnsafeMutableBufferPointer { memory.project($0, outputs: gradient.count) }
      #expect(zip(found, flat(wanted)).allSatisfy { abs($0 - $1) < 2e-4 }, "gradient \(index)")
      if index < golden.retention.ratios.count {
        #expect(abs(norm(found) / norm(before) - golden.retention.ratios[index]) < 2e-4)
      }
    }
  }

  private static func random(_ rows: Int, _ columns: Int, _ seed: UInt64) -> DoubleMatrix {
    let key = RandomKey(seed: seed)
    return DoubleMatrix(
      rows: rows, columns: columns, (0..<rows * columns).map { key.uniform(at: UInt64($0)) - 0.5 })
  }

  @Test("eigenvectors are orthonormal, rebuild their matrix, descend, and have one sign", arguments: [0, 1, 2, 7, 40])
  func eigen(count: Int) throws {
    let factor = Self.random(count, count, 3), matrix = factor.times(factor, otherTransposed: true)
    let eigen = try SymmetricEigen(matrix)
    #expect(eigen.values == eigen.values.sorted(by: >))
    var scaled = eigen.vectors
    for row in 0..<count { for column in 0..<count { scaled[row, column] *= eigen.values[row] } }
    let rebuilt = eigen.vectors.times(scaled, transposed: true)
    let unit = eigen.vectors.times(eigen.vectors, otherTransposed: true) - .identity(count)
    #expect((rebuilt - matrix).values.allSatisfy { abs($0) < 1e-12 } && unit.values.allSatisfy { abs($0) < 1e-12 })
    for row in 0..<count {
      let vector = eigen.vectors.rows(row..<row + 1).values
      #expect(try #require(vector.max { abs($0) < abs($1) }) > 0)
    }
    // Fewer vectors, told from the values, are the first of all: they may differ in rounding alone.
    for number in Set([0, min(1, count), count / 3, count / 2, count]) {
      var told: [Double] = []
      let some = try SymmetricEigen(matrix) {
        told = $0
        return number
      }
      #expect(some.values == eigen.values && told == eigen.values)
      #expect(some.vectors.rows == number && some.vectors.columns == count)
      #expect((some.vectors - eigen.vectors.rows(0..<number)).values.allSatisfy { abs($0) < 1e-10 })
    }
    var broken = matrix
    if count > 0 {
      broken[0, 0] = .nan
      #expect(throws: DecompositionFailure.self) { try SymmetricEigen(broken) }
    }
  }

  @Test(
    "a complement is orthonormal and perpendicular, also of no rows and of as many as there are columns",
    arguments: 0...5)
  func complement(count: Int) throws {
    let rows = Self.random(count, 5, 9), rest = try rows.complement()
    #expect(rest.rows == 5 - count && rest.columns == 5)
    let unit = rest.times(rest, otherTransposed: true) - .identity(5 - count)
    #expect(unit.values.allSatisfy { abs($0) < 1e-14 })
    #expect(rows.times(rest, otherTransposed: true).values.allSatisfy { abs($0) < 1e-14 })
  }

  @Test("a gradient that was projected changes nothing of what was made of remembered inputs", arguments: [0, 1, 2])
  func guarantee(which: Int) throws {
    let flip = [InputSubspace.Flip.never, .once, .both][which]
    // 4 + 5 inputs of 12 dimensions: DualGPM flips at the second task.
    let (first, second) = (Self.random(12, 4, 5), Self.random(12, 5, 6))
    var memory = try InputSubspace(
      first: first.times(first, otherTransposed: true), threshold: 1 - 1e-12, flip: flip, takesCrossing: true)
    try memory.update(second.times(second, otherTransposed: true), threshold: 1 - 1e-12, flip: flip)
    #expect(memory.kind == (flip == .never ? .remove : .retain) && memory.count == (flip == .never ? 9 : 3))
    var gradient = Self.random(3, 12, 7).values.map(Float.init)
    gradient.withUnsafeMutableBufferPointer { memory.project($0, outputs: 3) }
    let moved = DoubleMatrix(rows: 3, columns: 12, gradient.map(Double.init))
    #expect(moved.values.contains { abs($0) > 1e-2 })
    for inputs in [first, second] { #expect(moved.times(inputs).values.allSatisfy { abs($0) < 1e-5 }) }

    // Inputs become copies of others, as a widening by duplication makes them.
    let sources = Array(0..<12) + [3, 3, 0]
    var grown = memory
    try grown.copy(sources)
    var wide = Self.random(3, 15, 8).values.map(Float.init)
    wide.withUnsafeMutableBufferPointer { grown.project($0, outputs: 3) }
    let change = DoubleMatrix(rows: 3, columns: 15, wide.map(Double.init))
    for inputs in [first, second] {
      let copied = DoubleMatrix(rows: 15, columns: inputs.columns, sources.flatMap { inputs.rows($0..<$0 + 1).values })
      #expect(change.times(copied).values.allSatisfy { abs($0) < 1e-5 })
    }
    #expect(change.values.contains { abs($0) > 1e-2 })

    let stored = try JSONDecoder().decode(InputSubspace.self, from: JSONEncoder().encode(memory))
    #expect(stored == memory)
  }

  @Test("a memory of nothing, and one of everything")
  func edges() throws {
    let none = try InputSubspace(first: DoubleMatrix(rows: 3, columns: 3), threshold: 0.9, flip: .both)
    #expect(none.kind == .remove && none.count == 0)
    var gradient: [Float] = [1, 2, 3]
    gradient.withUnsafeMutableBufferPointer { none.project($0, outputs: 1) }
    #expect(gradient == [1, 2, 3])
    var all = try InputSubspace(first: .identity(3), threshold: 2, flip: .both)
    #expect(all.kind == .retain && all.count == 0)
    gradient.withUnsafeMutableBufferPointer { all.project($0, outputs: 1) }
    #expect(gradient == [0, 0, 0])
    try all.update(.identity(3), threshold: 0.9, flip: .both)
    #expect(all.count == 0)
    // What is added is free.
    all.embed(adding: 2)
    #expect(all.kind == .retain && all.count == 2 && all.dimension == 5)
  }

  struct Expansion: Decodable {
    struct Layer: Decodable {
      let grr: Double
      let cap: Int
      let paper_round_half_up: Int
      let code_ceil_capped: Int
    }
    struct Layers: Decodable { let layers: [Layer] }
    struct Patches: Decodable {
      let activation: [[[[Double]]]]
      let kernel2_stride1_pad0: [[Double]]
      let kernel3_stride2_pad1: [[Double]]
    }
    struct Start: Decodable {
      let channel_patch_spectral_norms: [[Double]]
      let columns: Int
      let projector: [[Double]]
    }
    struct Merged: Decodable {
      struct Linear: Decodable {
        let weight: [[Double]]
        let phi: [[Double]]
        let effective: [[Double]]
      }
      let phi_task1: [[Double]]
      let phi_task2: [[Double]]
      let weight: [[[[Double]]]]
      let effective: [String: [[[[Double]]]]]
      let linear: Linear
    }
    let K: Double
    let rho: Double
    let expansion: Layers
    let patches: Patches
    let new_input_map_init: Start
    let merged_weight: Merged
  }

  @Test("counts of new inputs in both conventions, as in paper and code")
  func counts() throws {
    let golden: Expansion = try Self.golden("api")
    for convention in [SubspaceOptions.Convention.code, .paper] {
      var options = AdaptivePlasticity.Options()
      (options.expansion, options.retention, options.convention) = (golden.K, golden.rho, convention)
      let method = try AdaptivePlasticity(options)
      for layer in golden.expansion.layers {
        let wanted = convention == .code ? layer.code_ceil_capped : layer.paper_round_half_up
        #expect(method.count(for: layer.grr, inputs: layer.cap) == wanted, "\(convention), \(layer.grr)")
      }
    }
  }

  @Test("what a convolution reads is told as in the authors' code, its channels' norms as well")
  func observed() throws {
    let golden: Expansion = try Self.golden("api"), images = golden.patches.activation
    let values = images.joined().joined().joined().map(Float.init)
    for (kernel, stride, padding, patches) in [
      (2, 1, 0, golden.patches.kernel2_stride1_pad0), (3, 2, 1, golden.patches.kernel3_stride2_pad1),
    ] {
      let tape = Tape(pool: Pool(poisons: true), mode: .inference)
      let channels = images[0].count
      let x = tape.constant(values, [images.count, channels, images[0][0].count, images[0][0][0].count])
      let weight = tape.constant(
        Array(repeating: 0, count: channels * kernel * kernel), [1, channels * kernel * kernel])
      var moments = DoubleMatrix(rows: patches.count, columns: patches.count)
      var norms = DoubleMatrix(rows: channels, columns: channels)
      tape.inputObserver = { _, input in
        input.addSecondMoments(ofFirst: images.count, to: &moments)
        try? input.addChannelNorms(ofFirst: images.count, to: &norms)
      }
      _ = x.observed(by: "layer", weight: weight, stride: stride, padding: padding)
      let wanted = Self.moments(patches)
      let found = DoubleMatrix(upperTriangle: moments.upperTriangle, count: patches.count)
      #expect(Self.distance(found, (0..<wanted.rows).map { wanted.rows($0..<$0 + 1).values }) < 1e-4)
      guard kernel == 2 else { continue }
      let start = golden.new_input_map_init
      let sum = DoubleMatrix(upperTriangle: norms.upperTriangle, count: channels)
      let expected = Self.moments(start.channel_patch_spectral_norms)
      #expect(Self.distance(sum, (0..<channels).map { expected.rows($0..<$0 + 1).values }) < 1e-3)
      let leading = try SymmetricEigen(sum).vectors.rows(0..<start.columns)
      #expect(Self.distance(leading.times(leading, transposed: true), start.projector) < 2e-4)
    }
  }

  @Test("merged weights equal the authors' for every task, and moments of mixtures those of the mixed inputs")
  func merged() throws {
    let golden: Expansion = try Self.golden("api"), merged = golden.merged_weight
    let tape = Tape(pool: Pool(poisons: true), mode: .inference)
    func rows(_ phi: [[Double]]) -> [Float] {
      (phi.first?.indices ?? 0..<0).flatMap { column in phi.map { Float($0[column]) } }
    }
    let map = tape.constant(rows(merged.phi_task1) + rows(merged.phi_task2), [3, 4])
    let weight = tape.constant(merged.weight.joined().joined().joined().map(Float.init), [3, 28])
    for (used, name) in [
      (0, "task0_only_original"), (2, "after_first_expansion"), (3, "after_second_expansion"),
    ] {
      let wanted = try #require(merged.effective[name]).joined().joined().joined().map(Float.init)
      #expect(zip(weight.merged(with: map, taps: 4, used: used).values, wanted).allSatisfy { abs($0 - $1) < 2e-4 })
    }
    let linear = merged.linear
    let effective = tape.constant(linear.weight.joined().map(Float.init), [3, 6]).merged(
      with: tape.constant(rows(linear.phi), [2, 4]), taps: 1, used: 2)
    #expect(zip(effective.values, linear.effective.joined()).allSatisfy { abs(Double($0) - $1) < 2e-4 })

    // Three inputs of two taps and two mixtures of them.
    let inputs = Self.random(6, 5, 11), mixing = Self.random(2, 3, 12)
    var mixed = DoubleMatrix(rows: 4, columns: 5)
    for (mixture, tap) in (0..<2).flatMap({ mixture in (0..<2).map { (mixture, $0) } }) {
      for column in 0..<5 {
        mixed[mixture * 2 + tap, column] = (0..<3).reduce(0) { $0 + mixing[mixture, $1] * inputs[$1 * 2 + tap, column] }
      }
    }
    let all = inputs.above(mixed), wanted = all.times(all, otherTransposed: true)
    let found = AdaptivePlasticity.widened(
      inputs.times(inputs, otherTransposed: true), by: mixing.values.map(Float.init), inputs: 3)
    #expect(zip(found.values, wanted.values).allSatisfy { abs($0 - $1) < 1e-6 })
  }
}
