import COpenBLAS

extension Tensor {
  /// What a layer computes with that reads, besides its inputs, mixtures of them: the weight for its inputs alone, with the columns of the
  /// mixtures folded in.
  ///
  /// The tensor is `[outputs, (inputs + mixtures) · taps]`, `map` is `[mixtures, inputs]`; the result `[outputs, inputs · taps]` is the first
  /// columns and, tap by tap, the columns of the first `used` mixtures times their rows of the map.
  /// - Liang and Li 2023, CVPR: Adaptive plasticity improvement for continual learning, §3.3.
  /// - Precondition: the shapes fit.
  public func merged(with map: Tensor, taps: Int, used: Int) -> Tensor {
    let (outputs, mixtures, inputs) = (shape.rows, map.shape[0], map.shape[1])
    require(
      shape.columns == (inputs + mixtures) * taps, "\(shape) has no columns for \(inputs) + \(mixtures) of \(taps)")
    require((0...mixtures).contains(used), "\(used) of \(mixtures) mixtures")
    let (columns, wide) = (inputs * taps, shape.columns)
    let output = tape.pool.storage(count: outputs * columns)
    for row in 0..<outputs {
      let own = pointer + row * wide, target = output.pointer + row * columns
      target.update(from: own, count: columns)
      mix(
        inputs, taps, used, MatrixPlace(map.pointer, stride: inputs), aTransposed: true,
        MatrixPlace(own + columns, stride: taps), beta: 1, into: MatrixPlace(target, stride: taps))
    }
    let weight = self
    return tape.record(output, [outputs, columns], inputs: [self, map]) { dy, gradients in
      gradients.add(to: weight) { destination, beta in
        for row in 0..<outputs {
          let target = destination + row * wide, change = dy.pointer + row * columns
          if beta == 0 { (target + columns).update(repeating: 0, count: mixtures * taps) }
          for index in 0..<columns { target[index] = (beta == 0 ? 0 : target[index]) + change[index] }
          mix(
            used, taps, inputs, MatrixPlace(map.pointer, stride: inputs), MatrixPlace(change, stride: taps), beta: beta,
            into: MatrixPlace(target + columns, stride: taps))
        }
      }
      gradients.add(to: map) { destination, beta in
        if beta == 0 { destination.update(repeating: 0, count: mixtures * inputs) }
        for row in 0..<outputs {
          mix(
            used, inputs, taps, MatrixPlace(weight.pointer + row * wide + columns, stride: taps),
            MatrixPlace(dy.pointer + row * columns, stride: taps), bTransposed: true, beta: 1,
            into: MatrixPlace(destination, stride: inputs))
        }
      }
    }
  }
}

/// c [m, n] = a [m, k] · b [k, n] + β · c, small and once a pass: not counted as work of a sample.
private func mix(
  _ m: Int, _ n: Int, _ k: Int, _ a: MatrixPlace, aTransposed: Bool = false, _ b: MatrixPlace,
  bTransposed: Bool = false, beta: Float, into c: MatrixPlace
) {
  guard m > 0, n > 0, k > 0 else { return }
  cblas_sgemm(
    CblasRowMajor, aTransposed ? CblasTrans : CblasNoTrans, bTransposed ? CblasTrans : CblasNoTrans, Int32(m), Int32(n),
    Int32(k), 1, a.start, Int32(a.stride), b.start, Int32(b.stride), beta, c.start, Int32(c.stride))
}
