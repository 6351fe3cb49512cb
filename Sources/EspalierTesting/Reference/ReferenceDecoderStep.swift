package import EspalierMethods
import EspalierNN

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// The first training step of a decoder in double precision: gradients, clipping by their global norm, AdamW.
package struct ReferenceDecoderStep: Sendable {
  package let loss: Double
  /// Before clipping.
  package let gradientNorm: Double
  /// After the step, by "parameter/slot".
  package let slots: [String: [Double]]

  /// - Parameter clip: the largest norm that is left alone; 0 = every norm.
  package init(
    _ decoder: ReferenceDecoder, _ samples: [ReferenceDecoder.Sample], _ weights: [String: [Double]],
    _ options: AdamW.Options, clip: Double
  ) {
    let result = decoder.run(samples, weights)
    loss = result.loss
    let norm = sqrt(result.gradients.values.joined().reduce(0) { $0 + $1 * $1 })
    gradientNorm = norm
    let scale = clip > 0 && norm > clip ? clip / (norm + 1e-6) : 1
    var slots: [String: [Double]] = [:]
    for (name, values) in weights {
      let gradient = (result.gradients[name] ?? []).map { $0 * scale }
      let m = gradient.map { (1 - options.beta1) * $0 }
      let v = gradient.map { (1 - options.beta2) * $0 * $0 }
      let decay = Self.decays(name) ? options.decay : 0
      slots["\(name)/adamw.m"] = m
      slots["\(name)/adamw.v"] = v
      slots["\(name)/value"] = values.indices.map { i in
        let (corrected1, corrected2) = (m[i] / (1 - options.beta1), v[i] / (1 - options.beta2))
        return values[i] * (1 - options.rate * decay) - options.rate * corrected1 / (sqrt(corrected2) + options.epsilon)
      }
    }
    self.slots = slots
  }

  /// Gains, biases and learned positions do not shrink.
  private static func decays(_ name: String) -> Bool {
    !["gain", "bias", "positions"].contains { name.hasSuffix("." + $0) }
  }
}
