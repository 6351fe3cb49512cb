public import EspalierTensor

/// A weight of a model: its spec, and the windows through which the store lends it memory.
///
/// Belongs to the thread of its rank.
public final class Parameter {
  /// What the blueprint says of it.
  public let spec: ParameterSpec
  /// On the value; bound while the segment is gathered.
  package let window: Storage
  /// Where its gradient is born; nil for a frozen weight.
  package let gradient: GradientTarget?

  init(_ spec: ParameterSpec) {
    self.spec = spec
    window = Storage(windowNamed: spec.name, count: spec.count)
    gradient =
      spec.isTrainable ? GradientTarget(Storage(windowNamed: spec.name + " (gradient)", count: spec.count)) : nil
  }

  /// The weight as a tensor that operations on `tape` can take.
  public func on(_ tape: Tape) -> Tensor { tape.leaf(window, spec.shape, target: gradient) }
}
