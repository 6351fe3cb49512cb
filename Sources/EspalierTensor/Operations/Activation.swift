import CKernels

/// Which formula stands for Φ, the normal distribution, in GELU.
public enum GELUForm: String, Sendable, Codable, CaseIterable {
  /// x/2 · (1 + tanh(√(2/π)(x + 0.044715 x³))), as in GPT-2.
  case tanh
  /// x/2 · (1 + erf(x/√2)), the exact one.
  case erf
}

extension Tensor {
  private typealias Forward = (UnsafePointer<Float>?, UnsafeMutablePointer<Float>?, Int) -> Void
  private typealias Backward = (
    UnsafePointer<Float>?, UnsafePointer<Float>?, Float, UnsafeMutablePointer<Float>?, Int
  ) -> Void

  /// Gaussian error linear unit, elementwise. NaN stays NaN, ∞ stays ∞, -∞ gives NaN.
  /// - Hendrycks, Gimpel: Gaussian error linear units, 2016, arXiv:1606.08415.
  public func gelu(_ form: GELUForm = .tanh) -> Tensor {
    switch form {
    case .tanh: elementwise(ck_gelu_tanh, ck_gelu_tanh_backward)
    case .erf: elementwise(ck_gelu_erf, ck_gelu_erf_backward)
    }
  }

  /// x / (1 + e^-x), elementwise. NaN stays NaN, ∞ stays ∞, -∞ gives NaN.
  /// - Elfwing, Uchibe, Doya: Sigmoid-weighted linear units, Neural Networks 107, 2018, arXiv:1702.03118.
  public func silu() -> Tensor { elementwise(ck_silu, ck_silu_backward) }

  /// max(x, 0), elementwise; the derivative at 0 is 0. NaN stays NaN.
  /// - Nair, Hinton: Rectified linear units improve restricted Boltzmann machines, ICML 2010.
  public func relu() -> Tensor { elementwise(ck_relu, ck_relu_backward) }

  /// silu(gate) · up.
  ///
  /// x [rows, 2·hidden] = gate | up → [rows, hidden].
  /// - Shazeer: GLU variants improve transformer, 2020, arXiv:2002.05202.
  /// - Precondition: an even number of columns.
  public func swiGLU() -> Tensor {
    require(shape.columns % 2 == 0, "rows of \(shape.columns) do not halve into gate and up")
    let (rows, hidden) = (shape.rows, shape.columns / 2)
    let output = tape.pool.storage(count: rows * hidden)
    ck_swiglu(pointer, rows, hidden, output.pointer)
    let x = self
    return tape.record(output, Shape(shape.dimensions.dropLast() + [hidden]), inputs: [x]) { dy, gradients in
      gradients.add(to: x) { ck_swiglu_backward(x.pointer, dy.pointer, rows, hidden, $1, $0) }
    }
  }

  private func elementwise(_ forward: Forward, _ backward: @escaping Backward) -> Tensor {
    let output = tape.pool.storage(count: count)
    forward(pointer, output.pointer, count)
    let x = self
    return tape.record(output, shape, inputs: [x]) { dy, gradients in
      gradients.add(to: x) { backward(x.pointer, dy.pointer, $1, $0, x.count) }
    }
  }
}
