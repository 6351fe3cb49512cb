public import EspalierNN
public import EspalierTensor

/// Random crops and mirrorings of images, each keyed by its sample.
///
/// A crop of the image's own size out of the image with `pad` black pixels around it, which is a shift by −pad … pad in both
/// directions; then, in one of two cases, the mirror image. With the same key a sample is disturbed in the same way whichever batch it
/// stands in, so neither lanes nor ranks nor replay change what it becomes.
public struct ImageAugmentation: Sendable, Equatable {
  public let shape: ImageShape
  /// The most pixels of a shift.
  public let pad: Int
  public let flip: Bool
  /// What a black pixel is after normalisation.
  public let fill: Float

  public init(shape: ImageShape, pad: Int, flip: Bool, fill: Float) {
    self.shape = shape
    self.pad = pad
    self.flip = flip
    self.fill = fill
  }

  /// The batch with every image disturbed.
  /// - Parameter key: of the step; each image draws from `key.child(sample)` of `batch.samples`.
  /// - Precondition: the inputs are features `[samples, channels, height, width]` of this shape.
  public func augmented(_ batch: Batch, key: RandomKey) -> Batch {
    guard case .features(let values, let inputs) = batch.inputs else {
      preconditionFailure("images are features, not tokens")
    }
    let size = shape.count, width = shape.width
    require(
      values.count == batch.samples.count * size,
      "\(batch.samples.count) images of \(shape) do not have the shape \(inputs)")
    let result = [Float](unsafeUninitializedCapacity: values.count) { target, count in
      target.initialize(repeating: fill)
      for (row, sample) in batch.samples.enumerated() {
        let key = key.child(sample)
        let span = UInt64(2 * pad + 1)
        let down = Int(key.bits(at: 0) % span) - pad, right = Int(key.bits(at: 1) % span) - pad
        let mirrored = flip && key.bits(at: 2) & 1 == 1
        // Pixel (y, x) of the crop is (y + down, x + right) of the image, where there is one.
        let rows = max(0, -down)..<max(max(0, -down), min(shape.height, shape.height - down))
        let columns = max(0, -right)..<max(max(0, -right), min(width, width - right))
        for channel in 0..<shape.channels {
          let plane = row * size + channel * shape.height * width
          for y in rows {
            let source = plane + (y + down) * width + right, line = plane + y * width
            if mirrored {
              for x in columns { target[line + width - 1 - x] = values[source + x] }
            } else {
              for x in columns { target[line + x] = values[source + x] }
            }
          }
        }
      }
      count = values.count
    }
    return Batch(inputs: .features(result, inputs), targets: batch.targets, samples: batch.samples)
  }
}
