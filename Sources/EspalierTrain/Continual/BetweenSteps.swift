/// What methods do between the steps of a run, as far as it takes time.
enum BetweenSteps: String, CaseIterable, Sendable {
  /// Sums over the inputs of layers.
  case moments
  /// Eigenvectors and what follows from them.
  case decompositions
  /// Gradients of a pass that updates nothing.
  case gradients
  /// Layers that read more from here on.
  case widening
}
