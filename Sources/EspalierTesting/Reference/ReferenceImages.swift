extension Reference {
  /// The sizes of images `[samples, channels, height, width]`.
  package struct ImageSizes: Sendable {
    package let samples, channels, height, width: Int

    package init(_ samples: Int, _ channels: Int, _ height: Int, _ width: Int) {
      self.samples = samples
      self.channels = channels
      self.height = height
      self.width = width
    }

    package func index(_ sample: Int, _ channel: Int, _ y: Int, _ x: Int) -> Int {
      ((sample * channels + channel) * height + y) * width + x
    }
  }

  /// weight [outputs, channels, kernel, kernel] → [samples, outputs, height', width'].
  package static func convolution(
    _ x: [Double], _ weight: [Double], _ sizes: ImageSizes, kernel: Int, stride: Int, padding: Int
  ) -> [Double] {
    let patch = sizes.channels * kernel * kernel
    let height = (sizes.height + 2 * padding - kernel) / stride + 1
    let width = (sizes.width + 2 * padding - kernel) / stride + 1
    var output: [Double] = []
    for sample in 0..<sizes.samples {
      for out in 0..<weight.count / patch {
        for oy in 0..<height {
          for ox in 0..<width {
            var sum = 0.0
            for channel in 0..<sizes.channels {
              for ky in 0..<kernel {
                for kx in 0..<kernel {
                  let y = oy * stride + ky - padding, place = ox * stride + kx - padding
                  guard (0..<sizes.height).contains(y), (0..<sizes.width).contains(place) else { continue }
                  sum +=
                    x[sizes.index(sample, channel, y, place)]
                    * weight[
                      out * patch + (channel * kernel + ky) * kernel + kx]
                }
              }
            }
            output.append(sum)
          }
        }
      }
    }
    return output
  }

  /// The elements of one channel of some samples.
  package static func channel(_ x: [Double], _ sizes: ImageSizes, _ samples: Range<Int>, _ channel: Int) -> [Double] {
    samples.flatMap { sample -> ArraySlice<Double> in
      let start = sizes.index(sample, channel, 0, 0)
      return x[start..<start + sizes.height * sizes.width]
    }
  }

  /// Mean and biased variance.
  package static func moments(_ x: [Double]) -> (mean: Double, variance: Double) {
    let mean = x.reduce(0, +) / Double(x.count)
    return (mean, x.map { ($0 - mean) * ($0 - mean) }.reduce(0, +) / Double(x.count))
  }

  /// Batch norm, group of samples by group; with `given` statistics by channel instead of the batch's.
  package static func batchNorm(
    _ x: [Double], gain: [Double], bias: [Double], _ sizes: ImageSizes, groups: [Int], epsilon: Double,
    given: [(mean: Double, variance: Double)]? = nil
  ) -> [Double] {
    var output = x, first = 0
    for group in groups {
      for channel in 0..<sizes.channels where group > 0 {
        let moments = given?[channel] ?? moments(self.channel(x, sizes, first..<first + group, channel))
        for sample in first..<first + group {
          for place in 0..<sizes.height * sizes.width {
            let index = sizes.index(sample, channel, 0, 0) + place
            output[index] =
              (x[index] - moments.mean) / (moments.variance + epsilon).squareRoot() * gain[channel] + bias[channel]
          }
        }
      }
      first += group
    }
    return output
  }

  /// The largest element of each window, within the image.
  package static func maxPool(_ x: [Double], _ sizes: ImageSizes, size: Int, stride: Int, padding: Int) -> [Double] {
    func windows(_ length: Int) -> [Range<Int>] {
      (0...(length + 2 * padding - size) / stride).map { index in
        (index * stride - padding..<index * stride - padding + size).clamped(to: 0..<length)
      }
    }
    return (0..<sizes.samples * sizes.channels).flatMap { plane in
      windows(sizes.height).flatMap { rows in
        windows(sizes.width).map { columns in
          rows.flatMap { y in columns.map { x[(plane * sizes.height + y) * sizes.width + $0] } }.max() ?? -.infinity
        }
      }
    }
  }

  /// The mean over the rows of each sample.
  package static func meanOverRows(_ x: [Double], samples: Int, rows: Int, width: Int) -> [Double] {
    (0..<samples * width).map { index in
      (0..<rows).reduce(0) { $0 + x[(index / width * rows + $1) * width + index % width] } / Double(rows)
    }
  }
}
