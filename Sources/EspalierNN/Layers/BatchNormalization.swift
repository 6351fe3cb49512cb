public import EspalierTensor

/// Batch norm of images (Ioffe and Szegedy 2015, arXiv:1502.03167): by the batch's statistics in training, by kept ones in
/// evaluation.
///
/// Without kept statistics it goes by the batch at hand in evaluation too, whose composition then matters.
///
/// The kept mean and variance are parameters tagged `.statistic`: saved, gathered and shared as weights are, and moved a fixed share
/// of the way to the step's at every step. On several lanes each lane has the norm of its own samples, and what is kept follows the mean
/// over lanes, weighted by samples.
public struct BatchNormalization: Layer {
  let gain, bias: Parameter
  /// nil where none are kept.
  let kept: (mean: Parameter, variance: Parameter)?
  let epsilon: Float

  /// A norm of `channels` channels; gain 1, bias 0, both exempt from decay.
  public init(
    _ scope: Scope, channels: Int, label: String, epsilon: Float = 1e-5, keepsStatistics: Bool = true
  ) {
    self.epsilon = Float(scope.constant("epsilon", .epsilon, label: label, Double(epsilon)))
    let axis = Axis.elementwise(label, channels)
    gain = scope.parameter("gain", [axis], .ones, tags: [.noDecay])
    bias = scope.parameter("bias", [axis], .zeros, tags: [.noDecay])
    kept =
      keepsStatistics
      ? (
        mean: scope.parameter("mean", [axis], .zeros, tags: [.noDecay, .statistic]),
        variance: scope.parameter("variance", [axis], .ones, tags: [.noDecay, .statistic])
      ) : nil
  }

  /// x `[samples, channels, height, width]` to the same shape.
  public func callAsFunction(_ x: Tensor) -> Tensor {
    let tape = x.tape
    let kept = kept.map { RunningStatistics(mean: $0.mean.on(tape), variance: $0.variance.on(tape)) }
    if let kept, tape.isEvaluating {
      return x.batchNorm(gain: gain.on(tape), bias: bias.on(tape), epsilon: epsilon, with: kept)
    }
    return x.batchNorm(gain: gain.on(tape), bias: bias.on(tape), epsilon: epsilon, running: kept)
  }
}
