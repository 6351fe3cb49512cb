public import EspalierTensor

/// Which normalisation a model uses.
public enum NormalizationKind: String, Codable, Sendable, CaseIterable {
  case rms, layer
}

/// RMSNorm (Zhang and Sennrich 2019, arXiv:1910.07467) or LayerNorm (Ba et al. 2016, arXiv:1607.06450) over the last dimension.
public struct Normalization: Layer {
  let kind: NormalizationKind
  let gain: Parameter
  let bias: Parameter?
  let epsilon: Float

  /// A normalisation over `width` features; gain 1, bias 0, both exempt from decay.
  /// - Parameters:
  ///   - epsilon: added to the mean square or the variance; a constant of the blueprint, for growth may change it.
  ///   - tags: of gain and bias, besides those that every norm's carry.
  public init(
    _ scope: Scope, _ kind: NormalizationKind, width: Int, label: String = "model", epsilon: Float = 1e-5,
    tags: Set<ParameterTag> = []
  ) {
    self.kind = kind
    self.epsilon = Float(scope.constant("epsilon", .epsilon, label: label, Double(epsilon)))
    let tags = tags.union([.noDecay]), axis = Axis.elementwise(label, width)
    gain = scope.parameter("gain", [axis], .ones, tags: tags.union([kind == .rms ? .rmsGain : .layerGain]))
    bias = kind == .layer ? scope.parameter("bias", [axis], .zeros, tags: tags) : nil
  }

  /// x `[…, width]` to the same shape.
  public func callAsFunction(_ x: Tensor) -> Tensor {
    switch kind {
    case .rms: x.rmsNorm(gain: gain.on(x.tape), epsilon: epsilon)
    case .layer: x.layerNorm(gain: gain.on(x.tape), bias: bias?.on(x.tape), epsilon: epsilon)
    }
  }
}
