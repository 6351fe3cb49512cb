import EspalierTensor
import EspalierTesting
import Testing

/// What batch norm hands to statistics that are kept from step to step.
@Suite struct BatchNormalizationTests {
  private let sizes = Reference.ImageSizes(5, 2, 3, 4)
  private let tolerance = Tolerance(absolute: 2e-6, relative: 2e-6)

  private func values(_ name: String, _ count: Int) -> [Float] {
    (0..<count).map { Float(RandomKey(seed: 5).child(name).uniform(at: UInt64($0)) * 2 - 0.7) }
  }

  /// Gradients of running mean and variance, and what the formula says.
  @Test(arguments: [([], 1.0), ([5], 0.5), ([2, 3], 0.25), ([2, 0, 3], 0.25)])
  func `kept statistics follow the groups one after another, by share, with unbiased variances`(
    _ groups: [Int], _ share: Double
  ) {
    let x = values("x", 5 * 2 * 3 * 4), (mean, variance) = (values("mean", 2), values("variance", 2))
    let tape = Tape(pool: Pool(poisons: true), mode: .recording)
    (tape.groups, tape.share) = (groups, share)
    let running = RunningStatistics(mean: tape.variable(mean, [2]), variance: tape.variable(variance, [2]))
    let y = tape.constant(x, [5, 2, 3, 4]).batchNorm(
      gain: tape.constant([1, 2], [2]), bias: tape.constant([0, 1], [2]), epsilon: 1e-5, running: running)
    let gradients = tape.backward(
      from: y, seed: tape.constant(values("seed", x.count), y.shape), wanting: [running.mean, running.variance])
    var kept = [mean.map(Double.init), variance.map(Double.init)], first = 0
    let start = kept
    for group in groups.isEmpty ? [5] : groups {
      for channel in 0..<2 where group > 0 {
        let elements = Reference.channel(x.map(Double.init), sizes, first..<first + group, channel)
        let moments = Reference.moments(elements), n = Double(elements.count)
        kept[0][channel] = 0.9 * kept[0][channel] + 0.1 * moments.mean
        kept[1][channel] = 0.9 * kept[1][channel] + 0.1 * moments.variance * n / (n - 1)
      }
      first += group
    }
    for index in 0..<2 {
      let expected = zip(start[index], kept[index]).map { share * ($0 - $1) / 0.1 }
      #expect(difference("statistic \(index)", gradients[index]?.values ?? [], expected, tolerance) == nil)
    }
  }

  @Test func `a batch of no samples moves no statistic`() {
    let tape = Tape(pool: Pool(poisons: true), mode: .recording)
    let running = RunningStatistics(mean: tape.variable([1, 2], [2]), variance: tape.variable([3, 4], [2]))
    let y = tape.constant([], [0, 2, 3, 4]).batchNorm(
      gain: tape.constant([1, 2], [2]), bias: tape.constant([0, 1], [2]), epsilon: 1e-5, running: running)
    let gradients = tape.backward(
      from: y, seed: tape.constant([], y.shape), wanting: [running.mean, running.variance])
    #expect(gradients.map { $0?.values } == [[0, 0], [0, 0]])
  }

  @Test func `one element a channel has a variance of 0`() {
    let tape = Tape(pool: Pool(poisons: true), mode: .recording)
    let running = RunningStatistics(mean: tape.variable([0], [1]), variance: tape.variable([1], [1]))
    let y = tape.constant([3], [1, 1, 1, 1]).batchNorm(
      gain: tape.constant([2], [1]), bias: tape.constant([5], [1]), epsilon: 1e-5, running: running)
    #expect(y.values == [5])
    let gradients = tape.backward(
      from: y, seed: tape.constant([1], y.shape), wanting: [running.mean, running.variance])
    #expect(gradients.map { $0?.values } == [[-3], [1]])
  }
}
