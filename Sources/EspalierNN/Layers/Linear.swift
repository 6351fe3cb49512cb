public import EspalierTensor

/// y = x Wᵀ + b: x `[rows, in]`, W `[out, in]`, y `[rows, out]`.
public struct Linear: Layer {
  let weight: Parameter
  let bias: Parameter?

  /// A product of `input.count` features to `output.count`.
  /// - Parameters:
  ///   - initializer: of the weight; nil for `small`.
  ///   - biasInitializer: of the bias, which is exempt from decay.
  public init(
    _ scope: Scope, from input: Axis, to output: Axis, bias hasBias: Bool = false, initializer: Initializer? = nil,
    biasInitializer: Initializer = .zeros, tags: Set<ParameterTag> = []
  ) {
    weight = scope.parameter("weight", [output, input], initializer ?? .small(inputs: input.count), tags: tags)
    bias = hasBias ? scope.parameter("bias", [output], biasInitializer, tags: tags.union([.noDecay])) : nil
  }

  /// The width of a row that this layer reads.
  public var featureCount: Int { weight.spec.axes[1].count }

  /// x `[…, in]` to `[…, out]`.
  public func callAsFunction(_ x: Tensor) -> Tensor {
    x.observed(by: weight.spec.name).linear(weight.on(x.tape), bias: bias?.on(x.tape))
  }
}
