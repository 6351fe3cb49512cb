import CKernels

/// Mean and unbiased variance of every channel, `[channels]` each, as they are kept from step to step.
public struct RunningStatistics {
  /// The weight of a new batch in what is kept, as is usual for batch norm.
  package static let batchWeight: Float = 0.1

  /// By channel.
  public let mean: Tensor
  /// By channel.
  public let variance: Tensor

  /// Statistics of their parts.
  public init(mean: Tensor, variance: Tensor) {
    self.mean = mean
    self.variance = variance
  }
}

/// A batch's own statistics by group and channel.
private struct GroupStatistics {
  /// Samples of each group, in order.
  let groups: [Int]
  let channels, area: Int
  let mean, inverse, unbiased: Storage

  init(_ x: Tensor, epsilon: Float) {
    let tape = x.tape, samples = x.shape[0]
    groups = tape.groups.isEmpty ? [samples] : tape.groups
    require(groups.reduce(0, +) == samples, "groups of \(groups) samples are not the batch's \(samples)")
    (channels, area) = (x.shape[1], x.shape[2] * x.shape[3])
    let count = groups.count * channels
    (mean, inverse, unbiased) = (
      tape.pool.storage(count: count), tape.pool.storage(count: count), tape.pool.storage(count: count)
    )
    for (samples, first, place) in placed {
      ck_channel_statistics(
        x.pointer + first, samples, channels, area, mean.pointer + place, unbiased.pointer + place)
      let count = Float(samples * area)
      for channel in place..<place + channels {
        let variance = unbiased.pointer[channel]
        inverse.pointer[channel] = 1 / (variance + epsilon).squareRoot()
        unbiased.pointer[channel] = variance * (count / max(count - 1, 1))
      }
    }
  }

  /// The groups that have samples: how many, where their first element is, and where their statistics are.
  var placed: [(samples: Int, first: Int, place: Int)] {
    var first = 0
    return groups.indices.compactMap { group in
      defer { first += groups[group] * channels * area }
      return groups[group] == 0 ? nil : (groups[group], first, group * channels)
    }
  }

  /// destination = β · destination + share · Σ over groups of (kept − what the group has), where each group finds what the one before
  /// it has kept.
  func drift(
    _ running: Tensor, from batch: Storage, share: Double, beta: Float,
    into destination: UnsafeMutablePointer<Float>
  ) {
    for channel in 0..<channels {
      var (kept, sum) = (Double(running.pointer[channel]), 0.0)
      for (_, _, place) in placed {
        let way = kept - Double(batch.pointer[place + channel])
        kept -= Double(RunningStatistics.batchWeight) * way
        sum += way
      }
      destination[channel] = (beta == 0 ? 0 : destination[channel]) + Float(share * sum)
    }
  }
}

extension Tensor {
  /// Batch norm: (x − mean) / √(variance + ε) · gain + bias, with mean and variance of each channel over all samples and places of
  /// the batch, or of each of the tape's `groups` by itself.
  ///
  /// x [samples, channels, height, width], `gain` and `bias` [channels] → the shape of x.
  /// - Parameter running: statistics kept from step to step. Their "gradient" is the tape's `share` of (kept − batch's), summed over
  ///   groups that follow one another, with the variance unbiased: a step along it of length 0.1 moves them by a tenth of the way
  ///   towards each group's in turn.
  /// - Ioffe, Szegedy: Batch normalization, ICML 2015, arXiv:1502.03167.
  public func batchNorm(gain: Tensor, bias: Tensor, epsilon: Float, running: RunningStatistics? = nil) -> Tensor {
    requireChannels(gain, bias)
    let output = tape.pool.storage(count: count)
    let own = GroupStatistics(self, epsilon: epsilon)
    let (channels, area) = (own.channels, own.area)
    for (samples, first, place) in own.placed {
      ck_channel_norm(
        pointer + first, own.mean.pointer + place, own.inverse.pointer + place, gain.pointer, bias.pointer, samples,
        channels, area, output.pointer + first)
    }
    let (x, biasPlace, share) = (self, bias.place, tape.share)
    let inputs = [self, gain, bias] + (running.map { [$0.mean, $0.variance] } ?? [])
    return tape.record(output, shape, inputs: inputs) { dy, gradients in
      let (gainTotals, biasTotals) = (Sums(dy.tape.pool, count: channels), Sums(dy.tape.pool, count: channels))
      let placed = own.placed
      let sums = placed.map { _ in
        (gain: Sums(dy.tape.pool, count: channels), bias: Sums(dy.tape.pool, count: channels))
      }
      gainTotals.pointer.update(repeating: 0, count: channels)
      biasTotals.pointer.update(repeating: 0, count: channels)
      for (sums, (samples, first, place)) in zip(sums, placed) {
        ck_channel_norm_sums(
          x.pointer + first, own.mean.pointer + place, own.inverse.pointer + place, dy.pointer + first, samples,
          channels, area, sums.gain.pointer, sums.bias.pointer)
        for channel in 0..<channels {
          gainTotals.pointer[channel] += sums.gain.pointer[channel]
          biasTotals.pointer[channel] += sums.bias.pointer[channel]
        }
      }
      gradients.add(to: x) { destination, beta in
        for (sums, (samples, first, place)) in zip(sums, placed) {
          ck_channel_norm_backward(
            x.pointer + first, own.mean.pointer + place, own.inverse.pointer + place, gain.pointer, dy.pointer + first,
            sums.gain.pointer, sums.bias.pointer, samples, channels, area, beta, destination + first)
        }
      }
      gradients.add(gainTotals, to: gain)
      gradients.add(biasTotals, to: biasPlace)
      guard let running else { return }
      gradients.add(to: running.mean) { own.drift(running.mean, from: own.mean, share: share, beta: $1, into: $0) }
      gradients.add(to: running.variance) {
        own.drift(running.variance, from: own.unbiased, share: share, beta: $1, into: $0)
      }
    }
  }

  /// Batch norm with statistics that are given: what evaluation does. No gradient flows to them.
  public func batchNorm(gain: Tensor, bias: Tensor, epsilon: Float, with given: RunningStatistics) -> Tensor {
    requireChannels(gain, bias)
    requireChannels(given.mean, given.variance)
    let (samples, channels, area) = (shape[0], shape[1], shape[2] * shape[3])
    let output = tape.pool.storage(count: count)
    let (mean, inverse) = (tape.pool.storage(count: channels), tape.pool.storage(count: channels))
    for channel in 0..<channels {
      mean.pointer[channel] = given.mean.pointer[channel]
      inverse.pointer[channel] = 1 / (given.variance.pointer[channel] + epsilon).squareRoot()
    }
    ck_channel_norm(
      pointer, mean.pointer, inverse.pointer, gain.pointer, bias.pointer, samples, channels, area, output.pointer)
    let (x, biasPlace) = (self, bias.place)
    return tape.record(output, shape, inputs: [self, gain, bias]) { dy, gradients in
      gradients.add(to: x) {
        ck_channel_norm_backward(
          x.pointer, mean.pointer, inverse.pointer, gain.pointer, dy.pointer, nil, nil, samples, channels, area, $1, $0)
      }
      guard gradients.wants(gain) || gradients.wants(biasPlace) else { return }
      let (gainSums, biasSums) = (Sums(dy.tape.pool, count: channels), Sums(dy.tape.pool, count: channels))
      ck_channel_norm_sums(
        x.pointer, mean.pointer, inverse.pointer, dy.pointer, samples, channels, area, gainSums.pointer,
        biasSums.pointer)
      gradients.add(gainSums, to: gain)
      gradients.add(biasSums, to: biasPlace)
    }
  }

  private func requireChannels(_ first: Tensor, _ second: Tensor) {
    require(shape.dimensions.count == 4, "batch norm reads [samples, channels, height, width], not \(shape)")
    require(
      first.count == shape[1] && second.count == shape[1],
      "\(first.shape) and \(second.shape) do not fit the channels of \(shape)")
  }
}
