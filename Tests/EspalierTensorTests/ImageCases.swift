import EspalierTensor
import EspalierTesting

/// Operations on images.
extension OperationCase {
  static let images: [OperationCase] = convolutions + norms + pools + mixtures

  private struct Convolution {
    let sizes: Reference.ImageSizes
    let outputs, kernel, stride, padding: Int
  }

  private static let convolutions: [OperationCase] = [
    Convolution(sizes: .init(1, 1, 1, 1), outputs: 1, kernel: 1, stride: 1, padding: 0),
    Convolution(sizes: .init(3, 2, 4, 5), outputs: 3, kernel: 1, stride: 1, padding: 0),
    Convolution(sizes: .init(2, 3, 5, 4), outputs: 2, kernel: 1, stride: 2, padding: 0),
    Convolution(sizes: .init(2, 2, 5, 6), outputs: 3, kernel: 3, stride: 1, padding: 1),
    Convolution(sizes: .init(3, 2, 6, 5), outputs: 2, kernel: 3, stride: 2, padding: 1),
    Convolution(sizes: .init(2, 1, 7, 7), outputs: 2, kernel: 3, stride: 1, padding: 0),
    Convolution(sizes: .init(2, 1, 2, 2), outputs: 2, kernel: 5, stride: 3, padding: 4),
    Convolution(sizes: .init(1, 1, 17, 19), outputs: 1, kernel: 3, stride: 1, padding: 1),
    Convolution(sizes: .init(3, 1, 3, 19), outputs: 2, kernel: 5, stride: 1, padding: 2),
    Convolution(sizes: .init(0, 2, 5, 5), outputs: 3, kernel: 3, stride: 1, padding: 1),
  ].map { c in
    let s = c.sizes
    return OperationCase(
      name: "convolution by \(c.stride) padded by \(c.padding)",
      shapes: [[s.samples, s.channels, s.height, s.width], [c.outputs, s.channels * c.kernel * c.kernel]]
    ) {
      $0[0].convolution2D($0[1], stride: c.stride, padding: c.padding)
    } reference: {
      Reference.convolution($0[0], $0[1], s, kernel: c.kernel, stride: c.stride, padding: c.padding)
    }
  }

  private static let norms: [OperationCase] = [
    (Reference.ImageSizes(4, 1, 1, 1), []), (.init(5, 3, 3, 2), []), (.init(19, 2, 3, 7), []),
    (.init(5, 2, 2, 3), [2, 0, 3]), (.init(0, 2, 3, 3), []),
  ].flatMap { (s: Reference.ImageSizes, groups: [Int]) in
    let shapes: [Shape] = [[s.samples, s.channels, s.height, s.width], [s.channels], [s.channels]]
    let given = (0..<s.channels).map { (mean: 0.25 * Double($0), variance: 0.5 + Double($0)) }
    return [
      OperationCase(name: "batchNorm of groups \(groups)", shapes: shapes) {
        $0[0].tape.groups = groups
        return $0[0].batchNorm(gain: $0[1], bias: $0[2], epsilon: 0.1)
      } reference: {
        Reference.batchNorm(
          $0[0], gain: $0[1], bias: $0[2], s, groups: groups.isEmpty ? [s.samples] : groups,
          epsilon: Double(Float(0.1)))
      },
      OperationCase(name: "batchNorm with given statistics, \(groups)", shapes: shapes) {
        let tape = $0[0].tape
        return $0[0].batchNorm(
          gain: $0[1], bias: $0[2], epsilon: 0.1,
          with: RunningStatistics(
            mean: tape.constant(given.map { Float($0.mean) }, [s.channels]),
            variance: tape.constant(given.map { Float($0.variance) }, [s.channels])))
      } reference: {
        Reference.batchNorm(
          $0[0], gain: $0[1], bias: $0[2], s, groups: [s.samples], epsilon: Double(Float(0.1)), given: given)
      },
    ]
  }

  private static let pools = averagePools + maxPools + rowMeans
  private static let pooled = [
    Reference.ImageSizes(1, 1, 2, 2), .init(2, 3, 5, 7), .init(2, 2, 4, 6), .init(0, 2, 4, 4),
  ]

  private static let averagePools = pooled.map { s in
    OperationCase(name: "global average pool", shapes: [[s.samples, s.channels, s.height, s.width]]) {
      $0[0].globalAveragePool()
    } reference: { x in
      (0..<s.samples * s.channels).map { plane in
        x[0][plane * s.height * s.width..<(plane + 1) * s.height * s.width].reduce(0, +)
          / Double(s.height * s.width)
      }
    }
  }

  private static let maxPools = pooled.flatMap { s in
    [maxPool(s, 2, 2, 0), maxPool(s, 3, 2, 1), maxPool(s, 2, 1, 0)]
  }

  private static func maxPool(_ s: Reference.ImageSizes, _ size: Int, _ stride: Int, _ padding: Int) -> OperationCase {
    let name = "max pool of \(size) by \(stride) padded by \(padding)"
    return OperationCase(name: name, shapes: [[s.samples, s.channels, s.height, s.width]]) { x in
      x[0].maxPool2D(size, stride: stride, padding: padding)
    } reference: { x in
      Reference.maxPool(x[0], s, size: size, stride: stride, padding: padding)
    }
  }

  private static let mixtures = [mixture(3, 2, 2, 3, 2), mixture(2, 4, 3, 1, 1), mixture(2, 1, 2, 4, 0)]

  /// A weight of some outputs, inputs, mixtures and taps, of whose mixtures some are used.
  private static func mixture(_ outputs: Int, _ inputs: Int, _ mixtures: Int, _ taps: Int, _ used: Int) -> OperationCase
  {
    let shapes: [Shape] = [[outputs, (inputs + mixtures) * taps], [mixtures, inputs]]
    return OperationCase(name: "merged weight, \(used) of \(mixtures) mixtures of \(taps) taps", shapes: shapes) { x in
      x[0].merged(with: x[1], taps: taps, used: used)
    } reference: { x in
      var merged: [Double] = []
      for output in 0..<outputs {
        let row = Array(x[0][output * (inputs + mixtures) * taps..<(output + 1) * (inputs + mixtures) * taps])
        for input in 0..<inputs {
          for tap in 0..<taps {
            var sum = row[input * taps + tap]
            for mixture in 0..<used { sum += row[(inputs + mixture) * taps + tap] * x[1][mixture * inputs + input] }
            merged.append(sum)
          }
        }
      }
      return merged
    }
  }

  private static let rowMeans = [rowMean(1, 1, 1), rowMean(3, 5, 2), rowMean(0, 2, 3)]

  private static func rowMean(_ samples: Int, _ rows: Int, _ width: Int) -> OperationCase {
    OperationCase(name: "mean over rows", shapes: [[samples, rows, width]]) { x in
      x[0].meanOverRows()
    } reference: { x in
      Reference.meanOverRows(x[0], samples: samples, rows: rows, width: width)
    }
  }
}
