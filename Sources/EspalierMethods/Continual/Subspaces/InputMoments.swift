package import EspalierTensor

/// What is summed over the inputs of a layer.
public enum InputStatistic: Sendable {
  /// Σ h hᵀ over rows h.
  case moments
  /// Σ s sᵀ, s the largest singular value of each channel's part of a patch.
  case channelNorms
}

/// Sums over the inputs of layers, lane by lane, before they are put together by `MethodSession.decompose`.
public struct InputMoments {
  package let layers: [String]
  /// Of this rank's lanes; upper triangles.
  package let lanes: [Int: [String: DoubleMatrix]]

  package init(layers: [String], lanes: [Int: [String: DoubleMatrix]]) {
    self.layers = layers
    self.lanes = lanes
  }

  /// Of the layers that were seen.
  package var widths: [String: Int] {
    lanes.values.reduce(into: [:]) { widths, layers in for (name, sum) in layers { widths[name] = sum.rows } }
  }
}
