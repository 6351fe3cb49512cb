public import EspalierTensor

/// What stands between the two products of a feed-forward layer.
public enum Activation: String, Codable, Sendable, CaseIterable {
  /// silu(gate) · up, two products fused into one (Shazeer 2020, arXiv:2002.05202).
  case swiglu
  /// GELU in its tanh form (Hendrycks and Gimpel 2016, arXiv:1606.08415).
  case gelu
  /// GELU with the error function.
  case geluErf
}

/// The position-wise network of a transformer block: width to hidden to width.
public struct FeedForward: Layer {
  let activation: Activation
  let up, down: Linear

  /// A layer over rows of `width` features.
  /// - Parameter outputScale: what the spread of the second product is multiplied with.
  public init(
    _ scope: Scope, width: Int, hidden: Int, activation: Activation, hasBias: Bool = false, outputScale: Float = 1
  ) {
    self.activation = activation
    let wide: Axis =
      activation == .swiglu
      ? .outputs([.init("hidden", hidden), .init("hidden", hidden)]) : .output("hidden", hidden)
    up = scope.child(activation == .swiglu ? "gateUp" : "up") {
      Linear($0, from: .input("model", width), to: wide, bias: hasBias)
    }
    down = scope.child("down") {
      Linear(
        $0, from: .input("hidden", hidden), to: .output("model", width), bias: hasBias,
        initializer: Initializer.small(inputs: hidden).scaled(by: outputScale), tags: [.residualOutput])
    }
  }

  /// x `[…, width]` to the same shape.
  public func callAsFunction(_ x: Tensor) -> Tensor {
    let wide = up(x)
    return switch activation {
    case .swiglu: down(wide.swiGLU())
    case .gelu: down(wide.gelu(.tanh))
    case .geluErf: down(wide.gelu(.erf))
    }
  }
}
