public import EspalierTensor

/// y = x Wᵀ + b: x `[rows, in]`, W `[out, in]`, y `[rows, out]`.
public struct Linear: Layer {
  let weight: Parameter
  let bias: Parameter?
  private let widening: Widening?

  /// A product of `input.count` features to `output.count`.
  /// - Parameters:
  ///   - initializer: of the weight; nil for `small`.
  ///   - biasInitializer: of the bias, which is exempt from decay.
  ///   - added: by task, how many mixtures of its inputs it reads as well.
  public init(
    _ scope: Scope, from input: Axis, to output: Axis, bias hasBias: Bool = false, initializer: Initializer? = nil,
    biasInitializer: Initializer = .zeros, tags: Set<ParameterTag> = [], added: [Int] = []
  ) {
    let wide = Widening.axis(scope, of: input, added: added, mixesChannels: false)
    weight = scope.parameter("weight", [output, wide], initializer ?? .small(inputs: input.count), tags: tags)
    widening = Widening(scope, of: input, added: added, mixesChannels: false)
    bias = hasBias ? scope.parameter("bias", [output], biasInitializer, tags: tags.union([.noDecay])) : nil
  }

  /// The width of a row that this layer reads.
  public var featureCount: Int { weight.spec.axes[1].parts[0].count }

  /// x `[…, in]` to `[…, out]`.
  public func callAsFunction(_ x: Tensor) -> Tensor {
    let own = weight.on(x.tape)
    return x.observed(by: weight.spec.name).linear(widening?.merged(own) ?? own, bias: bias?.on(x.tape))
  }
}
