import CKernels

extension Tensor {
  /// Root-mean-square norm of each row: x / √(mean x² + ε) · gain.
  ///
  /// x [rows, columns], `gain` [columns] → the shape of x. Keeps one number a row. A row with a NaN or ∞ becomes NaN or 0 · ∞.
  /// - Zhang, Sennrich: Root mean square layer normalization, NeurIPS 2019, arXiv:1910.07467.
  public func rmsNorm(gain: Tensor, epsilon: Float) -> Tensor {
    let (rows, columns) = (shape.rows, shape.columns)
    precondition(gain.count == columns, "a gain of \(gain.shape) does not fit rows of \(columns)")
    let output = tape.pool.storage(count: count)
    let inverse = tape.pool.storage(count: rows)
    ck_rms_norm(pointer, gain.pointer, epsilon, rows, columns, output.pointer, inverse.pointer)
    let x = self
    return tape.record(output, shape, inputs: [x, gain]) { dy, gradients in
      let sums = gradients.wants(gain) ? Sums(dy.tape.pool, count: columns) : nil
      func run(_ dx: UnsafeMutablePointer<Float>?, _ beta: Float) {
        ck_rms_norm_backward(
          x.pointer, gain.pointer, inverse.pointer, dy.pointer, rows, columns, beta, dx, sums?.pointer)
      }
      if gradients.wants(x) { gradients.add(to: x) { run($0, $1) } } else { run(nil, 0) }
      if let sums { gradients.add(sums, to: gain) }
    }
  }

  /// Layer norm of each row: (x - mean) / √(variance + ε) · gain + bias.
  ///
  /// x [rows, columns], `gain` and `bias` [columns] → the shape of x. Keeps two numbers a row. A row with a NaN or ∞ becomes NaN.
  /// - Ba, Kiros, Hinton: Layer normalization, 2016, arXiv:1607.06450.
  public func layerNorm(gain: Tensor, bias: Tensor?, epsilon: Float) -> Tensor {
    let (rows, columns) = (shape.rows, shape.columns)
    precondition(gain.count == columns, "a gain of \(gain.shape) does not fit rows of \(columns)")
    if let bias { precondition(bias.count == columns, "a bias of \(bias.shape) does not fit rows of \(columns)") }
    let output = tape.pool.storage(count: count)
    let mean = tape.pool.storage(count: rows)
    let inverse = tape.pool.storage(count: rows)
    ck_layer_norm(
      pointer, gain.pointer, bias?.pointer, epsilon, rows, columns, output.pointer, mean.pointer, inverse.pointer)
    let x = self
    let biasPlace = bias?.place
    return tape.record(output, shape, inputs: [x, gain] + (bias.map { [$0] } ?? [])) { dy, gradients in
      let gainSums = gradients.wants(gain) ? Sums(dy.tape.pool, count: columns) : nil
      let biasSums = biasPlace.map(gradients.wants) == true ? Sums(dy.tape.pool, count: columns) : nil
      func run(_ dx: UnsafeMutablePointer<Float>?, _ beta: Float) {
        ck_layer_norm_backward(
          x.pointer, gain.pointer, mean.pointer, inverse.pointer, dy.pointer, rows, columns, beta, dx,
          gainSums?.pointer, biasSums?.pointer)
      }
      if gradients.wants(x) { gradients.add(to: x) { run($0, $1) } } else { run(nil, 0) }
      if let gainSums { gradients.add(gainSums, to: gain) }
      if let biasPlace, let biasSums { gradients.add(biasSums, to: biasPlace) }
    }
  }
}
