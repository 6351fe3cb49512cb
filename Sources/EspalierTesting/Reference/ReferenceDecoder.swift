package import EspalierMethods
import EspalierNN

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// The whole decoder in double precision, one number at a time: the slow truth about `Decoder`, its loss and its gradients.
///
/// It knows the names of the weights by itself, so it also fails where one was renamed. No dropout.
package struct ReferenceDecoder {
  /// One sequence; a target below 0 is not asked for.
  package struct Sample: Sendable {
    package let tokens: [Int]
    package let targets: [Int]

    package init(tokens: [Int], targets: [Int]) {
      self.tokens = tokens
      self.targets = targets
    }
  }

  package struct Result: Sendable {
    /// The mean over all targets that count, in nats.
    package let loss: Double
    /// By parameter.
    package let gradients: [String: [Double]]
  }

  package let configuration: Decoder.Configuration

  /// - Parameter configuration: checked, so that nothing is left to a default of 0.
  package init(_ configuration: Decoder.Configuration) { self.configuration = configuration }

  /// The loss of a batch and its gradients.
  package func run(_ samples: [Sample], _ weights: [String: [Double]]) -> Result {
    let tape = ScalarTape()
    let leaves = weights.mapValues { $0.map(tape.leaf) }
    let pass = ReferencePass(c: configuration, tape: tape, weights: leaves)
    let terms = samples.flatMap { sample in
      zip(pass.logits(sample.tokens), sample.targets).filter { $0.1 >= 0 }.map { pass.crossEntropy($0, target: $1) }
    }
    let loss = tape.times(tape.sum(terms), 1 / Double(terms.count))
    let gradient = tape.gradients(of: loss)
    return Result(loss: loss.value, gradients: leaves.mapValues { $0.map(gradient) })
  }
}

/// One pass over one sequence; rows are tokens.
private struct ReferencePass {
  typealias Row = [ScalarTape.Scalar]

  let c: Decoder.Configuration
  let tape: ScalarTape
  let weights: [String: Row]

  func logits(_ tokens: [Int]) -> [Row] {
    let table = weight("embed.table")
    var x = tokens.map { Array(table[$0 * c.width..<($0 + 1) * c.width]) }
    if c.positions == .learned {
      let positions = weight("embed.positions")
      x = x.enumerated().map { t, row in add(row, Array(positions[t * c.width..<(t + 1) * c.width])) }
    }
    for block in 0..<c.depth {
      let name = "blocks.\(block)"
      x = zip(x, attention(x.map { norm($0, "\(name).norm1") }, "\(name).attention")).map(add)
      x = x.map { add($0, feedForward(norm($0, "\(name).norm2"), "\(name).feedForward")) }
    }
    return x.map { row in
      c.tied
        ? product(norm(row, "last"), table, bias: nil) : linear(norm(row, "head.norm"), "head.projection")
    }
  }

  /// log Σ exp(logits) − logits[target], shifted by the largest logit.
  func crossEntropy(_ logits: Row, target: Int) -> ScalarTape.Scalar {
    let top = logits.map(\.value).max() ?? 0
    let total = tape.sum(logits.map { exponential($0, shiftedBy: -top) })
    let logarithm = tape.map(total, log(total.value) + top, slope: 1 / total.value)
    return tape.sum([logarithm, tape.times(logits[target], -1)])
  }

  /// Queries see themselves and what stands before them.
  private func attention(_ x: [Row], _ name: String) -> [Row] {
    let width = c.headWidth, queries = c.heads * width, keys = c.keyValueHeads * width
    let fused = x.enumerated().map { t, row in
      let row = linear(row, "\(name).qkv")
      return c.positions == .rotary ? rotated(row, at: t, heads: c.heads + c.keyValueHeads, width) : row
    }
    return fused.indices.map { t in
      let mixed = (0..<c.heads).flatMap { head in
        let query = fused[t][head * width..<(head + 1) * width]
        let group = head / (c.heads / c.keyValueHeads)
        let key = queries + group * width, value = key + keys
        let scores = (0...t).map { tape.times(tape.dot(query, fused[$0][key..<key + width]), 1 / sqrt(Double(width))) }
        let shares = softmax(scores)
        return (0..<width).map { i in tape.dot(shares[...], (0...t).map { fused[$0][value + i] }[...]) }
      }
      return linear(mixed, "\(name).output")
    }
  }

  private func rotated(_ row: Row, at t: Int, heads: Int, _ width: Int) -> Row {
    var turned = row
    for head in 0..<heads {
      for i in 0..<width / 2 {
        let angle = Double(t) * pow(Double(c.rotaryBase), -2 * Double(i) / Double(width))
        let (a, b) = (head * width + i, head * width + i + width / 2)
        turned[a] = tape.sum([tape.times(row[a], cos(angle)), tape.times(row[b], -sin(angle))])
        turned[b] = tape.sum([tape.times(row[b], cos(angle)), tape.times(row[a], sin(angle))])
      }
    }
    return turned
  }

  private func feedForward(_ x: Row, _ name: String) -> Row {
    let wide = linear(x, name + (c.activation == .swiglu ? ".gateUp" : ".up"))
    let middle =
      switch c.activation {
      case .swiglu: (0..<c.hidden).map { tape.product(silu(wide[$0]), wide[c.hidden + $0]) }
      case .gelu: wide.map(geluTanh)
      case .geluErf: wide.map(geluErf)
      }
    return linear(middle, name + ".down")
  }

  /// RMSNorm, or LayerNorm, with ε = 1e-5.
  private func norm(_ x: Row, _ name: String) -> Row {
    let count = Double(x.count)
    var x = x
    if c.normalization == .layer {
      let mean = tape.times(tape.sum(x), -1 / count)
      x = x.map { tape.sum([$0, mean]) }
    }
    let meanSquare = tape.times(tape.dot(x[...], x[...]), 1 / count)
    let square = meanSquare.value + 1e-5
    let inverse = tape.map(meanSquare, 1 / sqrt(square), slope: -0.5 / (square * sqrt(square)))
    let scaled = zip(x, weight("\(name).gain")).map { tape.product(tape.product($0, inverse), $1) }
    return c.normalization == .layer ? add(scaled, weight("\(name).bias")) : scaled
  }

  private func linear(_ x: Row, _ name: String) -> Row {
    product(x, weight("\(name).weight"), bias: weights["\(name).bias"])
  }

  private func product(_ x: Row, _ matrix: Row, bias: Row?) -> Row {
    (0..<matrix.count / x.count).map { output in
      let sum = tape.dot(x[...], matrix[output * x.count..<(output + 1) * x.count])
      return bias.map { tape.sum([sum, $0[output]]) } ?? sum
    }
  }

  private func softmax(_ x: Row) -> Row {
    let top = x.map(\.value).max() ?? 0
    let powers = x.map { exponential($0, shiftedBy: -top) }
    let total = tape.sum(powers)
    let inverse = tape.map(total, 1 / total.value, slope: -1 / (total.value * total.value))
    return powers.map { tape.product($0, inverse) }
  }

  private func add(_ a: Row, _ b: Row) -> Row { zip(a, b).map { tape.sum([$0, $1]) } }

  private func exponential(_ x: ScalarTape.Scalar, shiftedBy shift: Double) -> ScalarTape.Scalar {
    let power = exp(x.value + shift)
    return tape.map(x, power, slope: power)
  }

  private func silu(_ x: ScalarTape.Scalar) -> ScalarTape.Scalar {
    let gate = 1 / (1 + exp(-x.value))
    return tape.map(x, x.value * gate, slope: gate * (1 + x.value * (1 - gate)))
  }

  private func geluTanh(_ x: ScalarTape.Scalar) -> ScalarTape.Scalar {
    let k = sqrt(2 / Double.pi), v = x.value
    let bend = tanh(k * (v + 0.044715 * v * v * v))
    return tape.map(
      x, v / 2 * (1 + bend), slope: (1 + bend) / 2 + v / 2 * (1 - bend * bend) * k * (1 + 3 * 0.044715 * v * v))
  }

  private func geluErf(_ x: ScalarTape.Scalar) -> ScalarTape.Scalar {
    let v = x.value, share = (1 + erf(v / sqrt(2))) / 2
    return tape.map(x, v * share, slope: share + v * exp(-v * v / 2) / sqrt(2 * Double.pi))
  }

  private func weight(_ name: String) -> Row {
    guard let weight = weights[name] else { preconditionFailure("the reference has no weight '\(name)'") }
    return weight
  }
}
