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
    var broken = matrix
    if count > 0 {
      broken[0, 0] = .nan
      #expect(throws: SymmetricEigen.Failure.self) { try SymmetricEigen(broken) }
    }
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
}
