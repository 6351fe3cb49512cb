import EspalierTensor

/// What a layer reads besides its inputs: mixtures of them, added task by task.
///
/// The axis that the weight reads has a second part for them, and `map` has a row for each that says how the inputs are mixed. A task that is
/// known sees the mixtures of its own time: those of later tasks change nothing for it.
/// - Liang and Li 2023, CVPR: Adaptive plasticity improvement for continual learning, §3.3.
struct Widening {
  private let map: Parameter
  /// By task, in the order of learning.
  private let added: [Int]
  private let taps: Int

  /// nil where nothing is added.
  /// - Parameters:
  ///   - input: what the layer reads, of one part.
  ///   - added: mixtures of each task.
  ///   - mixesChannels: whether a mixture is of coordinates, each with the taps of the axis, as of a convolution; otherwise of single elements.
  init?(_ scope: Scope, of input: Axis, added: [Int], mixesChannels: Bool) {
    guard let part = Self.part(scope, input, added, mixesChannels) else { return nil }
    let source = mixesChannels ? Axis.input(input.label, input.parts[0].size) : input
    map = scope.parameter(
      "map", [.output(part.label, part.size), source], .uniform(inputs: source.count), tags: [.mixture])
    (self.added, taps) = (added, part.taps)
  }

  /// The axis of the layer's weight.
  static func axis(_ scope: Scope, of input: Axis, added: [Int], mixesChannels: Bool) -> Axis {
    Axis(role: .input, parts: input.parts + (part(scope, input, added, mixesChannels).map { [$0] } ?? []))
  }

  private static func part(_ scope: Scope, _ input: Axis, _ added: [Int], _ mixesChannels: Bool) -> Axis.Part? {
    let count = added.reduce(0, +)
    return count == 0 ? nil : Axis.Part(scope.stream("added"), count, taps: mixesChannels ? input.parts[0].taps : 1)
  }

  /// What the layer computes with for the tape's task.
  func merged(_ weight: Tensor) -> Tensor {
    let used = weight.tape.task.map { added.prefix($0 + 1).reduce(0, +) } ?? added.reduce(0, +)
    return weight.merged(with: map.on(weight.tape), taps: taps, used: used)
  }
}
