public import EspalierTensor

/// A convolution with square kernels, without bias: `[samples, inputs, height, width]` to `[samples, outputs, height', width']`.
public struct Convolution: Layer {
  let weight: Parameter
  private let widening: Widening?
  let stride, padding: Int

  /// - Parameters:
  ///   - input: label and number of the channels that it reads.
  ///   - padding: nil for what keeps the size at stride 1.
  ///   - added: by task, how many mixtures of its channels it reads as well.
  public init(
    _ scope: Scope, from input: (label: String, count: Int), to output: Axis, kernel: Int, stride: Int = 1,
    padding: Int? = nil, tags: Set<ParameterTag> = [], added: [Int] = []
  ) {
    let inputs = input.count * kernel * kernel
    let axis = Axis.input(input.label, input.count, taps: kernel * kernel)
    let wide = Widening.axis(scope, of: axis, added: added, mixesChannels: true)
    weight = scope.parameter(
      "weight", [output, wide], .uniform(inputs: inputs), tags: tags.union([.convolution]))
    widening = Widening(scope, of: axis, added: added, mixesChannels: true)
    self.stride = stride
    self.padding = padding ?? kernel / 2
  }

  /// x `[samples, inputs, height, width]`.
  public func callAsFunction(_ x: Tensor) -> Tensor {
    let own = weight.on(x.tape), weight = widening?.merged(own) ?? own
    return x.observed(by: self.weight.spec.name, weight: weight, stride: stride, padding: padding)
      .convolution2D(weight, stride: stride, padding: padding)
  }
}
