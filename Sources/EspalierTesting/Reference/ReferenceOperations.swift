#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// The operations in double precision, as plain loops over their formulas: a slow truth beside the fast code.
package enum Reference {
  /// x [rows, inputs], weight [outputs, inputs], bias [outputs] → [rows, outputs].
  package static func linear(_ x: [Double], _ weight: [Double], bias: [Double]?, inputs: Int, outputs: Int) -> [Double]
  {
    let rows = inputs == 0 ? 0 : x.count / inputs
    var y: [Double] = []
    for row in 0..<rows {
      for output in 0..<outputs {
        var sum = bias?[output] ?? 0
        for input in 0..<inputs { sum += x[row * inputs + input] * weight[output * inputs + input] }
        y.append(sum)
      }
    }
    return y
  }

  package static func embedding(_ table: [Double], _ indices: [Int], width: Int) -> [Double] {
    indices.flatMap { Array(table[$0 * width..<($0 + 1) * width]) }
  }

  package static func rmsNorm(_ x: [Double], gain: [Double], epsilon: Double) -> [Double] {
    eachRow(x, gain.count) { row in
      let meanSquare = row.map { $0 * $0 }.reduce(0, +) / Double(row.count)
      return zip(row, gain).map { $0 / sqrt(meanSquare + epsilon) * $1 }
    }
  }

  package static func layerNorm(_ x: [Double], gain: [Double], bias: [Double]?, epsilon: Double) -> [Double] {
    eachRow(x, gain.count) { row in
      let mean = row.reduce(0, +) / Double(row.count)
      let variance = row.map { ($0 - mean) * ($0 - mean) }.reduce(0, +) / Double(row.count)
      return row.indices.map { (row[$0] - mean) / sqrt(variance + epsilon) * gain[$0] + (bias?[$0] ?? 0) }
    }
  }

  package static func geluTanh(_ x: Double) -> Double {
    x / 2 * (1 + tanh(sqrt(2 / Double.pi) * (x + 0.044715 * x * x * x)))
  }

  package static func geluErf(_ x: Double) -> Double { x / 2 * (1 + erf(x / sqrt(2))) }

  package static func silu(_ x: Double) -> Double { x / (1 + exp(-x)) }

  package static func relu(_ x: Double) -> Double { x > 0 ? x : 0 }

  /// x [rows, 2·hidden] = gate | up → [rows, hidden].
  package static func swiGLU(_ x: [Double], hidden: Int) -> [Double] {
    eachRow(x, 2 * hidden) { row in (0..<hidden).map { silu(row[$0]) * row[hidden + $0] } }
  }

  /// Softmax cross-entropy summed over the rows whose target is not `ignored`, divided by `weight` (0 if that is 0).
  package static func crossEntropy(
    _ logits: [Double], targets: [Int], ignored: Int, classes: Int, weight: Int
  ) -> Double {
    var sum = 0.0
    for (row, target) in targets.enumerated() where target != ignored {
      let values = Array(logits[row * classes..<(row + 1) * classes])
      let top = values.max() ?? 0
      sum += log(values.map { exp($0 - top) }.reduce(0, +)) + top - values[target]
    }
    return weight == 0 ? 0 : sum / Double(weight)
  }

  /// `body` of every row of `columns` elements, one after the other.
  package static func eachRow(_ x: [Double], _ columns: Int, _ body: ([Double]) -> [Double]) -> [Double] {
    if columns == 0 { return [] }
    return stride(from: 0, to: x.count, by: columns).flatMap { body(Array(x[$0..<$0 + columns])) }
  }
}
