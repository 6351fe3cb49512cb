import EspalierTensor
import EspalierTesting
import Testing

/// One operation at one set of shapes, and the same thing in double precision.
struct OperationCase: CustomTestStringConvertible, Sendable {
  let name: String
  let shapes: [Shape]
  let run: @Sendable ([Tensor]) -> Tensor
  let reference: @Sendable ([[Double]]) -> [Double]

  var testDescription: String { "\(name) \(shapes)" }

  /// Keyed values in [-1.5, 1.5), so that each case has inputs of its own.
  var inputs: [[Float]] {
    let key = RandomKey(seed: 7).child(name)
    return shapes.enumerated().map { input, shape in
      let key = key.child(UInt64(input))
      return (0..<shape.count).map { Float(key.uniform(at: UInt64($0)) * 3 - 1.5) }
    }
  }
}

extension OperationCase {
  static let all: [OperationCase] = linear + rows + activations + attention + shapes + losses + images

  private static let linear: [OperationCase] =
    [(1, 1, 1), (3, 5, 7), (17, 33, 2), (0, 4, 3), (4, 1, 3)].flatMap { rows, inputs, outputs in
      [
        OperationCase(name: "linear", shapes: [[rows, inputs], [outputs, inputs]]) {
          $0[0].linear($0[1])
        } reference: {
          Reference.linear($0[0], $0[1], bias: nil, inputs: inputs, outputs: outputs)
        },
        OperationCase(name: "linear with bias", shapes: [[rows, inputs], [outputs, inputs], [outputs]]) {
          $0[0].linear($0[1], bias: $0[2])
        } reference: {
          Reference.linear($0[0], $0[1], bias: $0[2], inputs: inputs, outputs: outputs)
        },
      ]
    }

  private static let rows: [OperationCase] =
    [(1, 1), (2, 16), (37, 19), (0, 5), (5, 33)].flatMap { rows, columns in
      [
        OperationCase(name: "rmsNorm", shapes: [[rows, columns], [columns]]) {
          $0[0].rmsNorm(gain: $0[1], epsilon: 0.1)
        } reference: {
          Reference.rmsNorm($0[0], gain: $0[1], epsilon: Double(Float(0.1)))
        },
        OperationCase(name: "layerNorm", shapes: [[rows, columns], [columns], [columns]]) {
          $0[0].layerNorm(gain: $0[1], bias: $0[2], epsilon: 0.1)
        } reference: {
          Reference.layerNorm($0[0], gain: $0[1], bias: $0[2], epsilon: Double(Float(0.1)))
        },
        OperationCase(name: "layerNorm without bias", shapes: [[rows, columns], [columns]]) {
          $0[0].layerNorm(gain: $0[1], bias: nil, epsilon: 0.1)
        } reference: {
          Reference.layerNorm($0[0], gain: $0[1], bias: nil, epsilon: Double(Float(0.1)))
        },
        OperationCase(name: "embedding of \(rows)", shapes: [[7, columns]]) {
          $0[0].embedding(of: Indices((0..<rows).map { Int32($0 * 3 % 7) }, shape: [rows]))
        } reference: {
          Reference.embedding($0[0], (0..<rows).map { $0 * 3 % 7 }, width: columns)
        },
      ]
    }

  private static let activations: [OperationCase] =
    [[1, 2], [3, 38], [0, 4], [2, 32]].flatMap { (shape: Shape) in
      [
        OperationCase(name: "gelu tanh", shapes: [shape]) {
          $0[0].gelu(.tanh)
        } reference: {
          $0[0].map(Reference.geluTanh)
        },
        OperationCase(name: "gelu erf", shapes: [shape]) {
          $0[0].gelu(.erf)
        } reference: {
          $0[0].map(Reference.geluErf)
        },
        OperationCase(name: "relu", shapes: [shape]) {
          $0[0].relu()
        } reference: {
          $0[0].map(Reference.relu)
        },
        OperationCase(name: "silu", shapes: [shape]) {
          $0[0].silu()
        } reference: {
          $0[0].map(Reference.silu)
        },
        OperationCase(name: "swiGLU", shapes: [shape]) {
          $0[0].swiGLU()
        } reference: {
          Reference.swiGLU($0[0], hidden: shape.columns / 2)
        },
        OperationCase(name: "add", shapes: [shape, shape]) {
          $0[0] + $0[1]
        } reference: {
          zip($0[0], $0[1]).map(+)
        },
        OperationCase(name: "scaled", shapes: [shape]) {
          $0[0].scaled(by: -2.5)
        } reference: {
          $0[0].map { $0 * -2.5 }
        },
      ]
    }

  private static let attention: [OperationCase] =
    [
      Reference.AttentionSizes(batch: 1, time: 1, heads: 1, keyValueHeads: 1, width: 2),
      Reference.AttentionSizes(batch: 2, time: 7, heads: 2, keyValueHeads: 2, width: 4),
      Reference.AttentionSizes(batch: 1, time: 19, heads: 6, keyValueHeads: 2, width: 6),
      Reference.AttentionSizes(batch: 1, time: 131, heads: 2, keyValueHeads: 1, width: 2),
      Reference.AttentionSizes(batch: 0, time: 5, heads: 3, keyValueHeads: 1, width: 4),
      Reference.AttentionSizes(batch: 2, time: 0, heads: 1, keyValueHeads: 1, width: 4),
    ].flatMap { sizes in
      let shape = AttentionShape(
        batch: sizes.batch, time: sizes.time, heads: sizes.heads, keyValueHeads: sizes.keyValueHeads,
        headWidth: sizes.width)
      let rows: Shape = [sizes.batch * sizes.time, sizes.fused]
      return [true, false].map { causal in
        OperationCase(
          name:
            "\(causal ? "causal" : "full") attention of \(sizes.heads) heads over \(sizes.keyValueHeads), time \(sizes.time)",
          shapes: [rows]
        ) {
          $0[0].attention(shape, causal: causal, scale: 0.75)
        } reference: {
          Reference.attention($0[0], sizes, causal: causal, scale: 0.75)
        }
      }
        + [0, 5].map { first in
          OperationCase(name: "rotary of \(sizes.heads) heads, time \(sizes.time), from \(first)", shapes: [rows]) {
            $0[0].rotary(shape, base: 100, firstPosition: first)
          } reference: {
            Reference.rotary($0[0], sizes, base: 100, firstPosition: first)
          }
        }
    }

  private static let shapes: [OperationCase] = [
    reshaped, someRows, noRows, someColumns, sideBySide, sideBySideWithoutRows, positions, positionsOfNoRows,
  ]

  private static let reshaped = OperationCase(name: "reshaped", shapes: [[3, 4]]) {
    $0[0].reshaped([2, 6])
  } reference: {
    $0[0]
  }
  private static let someRows = OperationCase(name: "rows", shapes: [[5, 3]]) {
    $0[0].rows(1..<4)
  } reference: {
    Array($0[0][3..<12])
  }
  private static let noRows = OperationCase(name: "no rows", shapes: [[5, 3]]) {
    $0[0].rows(2..<2)
  } reference: { _ in
    []
  }
  private static let someColumns = OperationCase(name: "columns", shapes: [[5, 7]]) {
    $0[0].columns(2..<5)
  } reference: {
    Reference.eachRow($0[0], 7) { row in Array(row[2..<5]) }
  }
  private static let sideBySide = OperationCase(name: "concatenated", shapes: [[3, 1], [3, 5], [3, 2]]) {
    Tensor.concatenated($0)
  } reference: { x in
    var y: [Double] = []
    for row in 0..<3 {
      y.append(x[0][row])
      y += x[1][row * 5..<row * 5 + 5]
      y += x[2][row * 2..<row * 2 + 2]
    }
    return y
  }
  private static let sideBySideWithoutRows = OperationCase(name: "concatenated", shapes: [[0, 1], [0, 5]]) {
    Tensor.concatenated($0)
  } reference: { _ in
    []
  }
  private static let positions = OperationCase(name: "positions", shapes: [[6, 5], [4, 5]]) {
    $0[0].adding(rows: $0[1], time: 3, firstPosition: 1)
  } reference: { x in
    x[0].indices.map { x[0][$0] + x[1][5 + $0 % 15] }
  }
  private static let positionsOfNoRows = OperationCase(name: "positions", shapes: [[0, 5], [4, 5]]) {
    $0[0].adding(rows: $0[1], time: 3)
  } reference: { _ in
    []
  }

  private static let losses: [OperationCase] =
    [(1, 1), (5, 3), (9, 40), (0, 4)].flatMap { rows, classes in
      [1, 2, 1000].map { (every: Int) in  // all ignored, every second, none
        let targets = (0..<rows).map { every != 1000 && $0 % every == every - 1 ? -1 : $0 * 5 % classes }
        let weight = targets.count { $0 != -1 } + (every == 1000 ? 3 : 0)
        return OperationCase(name: "cross-entropy, ignoring each \(every)", shapes: [[rows, classes]]) {
          $0[0].crossEntropy(
            targets: Indices(targets.map(Int32.init), shape: [rows]), ignored: -1, weight: weight
          ).tensor
        } reference: {
          [Reference.crossEntropy($0[0], targets: targets, ignored: -1, classes: classes, weight: weight)]
        }
      }
    }
}
