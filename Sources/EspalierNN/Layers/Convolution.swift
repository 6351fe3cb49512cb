public import EspalierTensor

/// A convolution with square kernels, without bias: `[samples, inputs, height, width]` to `[samples, outputs, height', width']`.
public struct Convolution: Layer {
  let weight: Parameter
  let stride, padding: Int

  /// - Parameters:
  ///   - input: label and number of the channels that it reads.
  ///   - padding: nil for what keeps the size at stride 1.
  public init(
    _ scope: Scope, from input: (label: String, count: Int), to output: Axis, kernel: Int, stride: Int = 1,
    padding: Int? = nil, tags: Set<ParameterTag> = []
  ) {
    let inputs = input.count * kernel * kernel
    let axis = Axis.input(input.label, input.count, taps: kernel * kernel)
    weight = scope.parameter("weight", [output, axis], .uniform(inputs: inputs), tags: tags)
    self.stride = stride
    self.padding = padding ?? kernel / 2
  }

  /// x `[samples, inputs, height, width]`.
  public func callAsFunction(_ x: Tensor) -> Tensor {
    let weight = weight.on(x.tape)
    return x.observed(by: self.weight.spec.name, weight: weight, stride: stride, padding: padding)
      .convolution2D(weight, stride: stride, padding: padding)
  }
}
