public import EspalierTensor

/// In which order a run sees its samples: every epoch a new permutation, each of whose places is computed by itself.
///
/// Nothing is stored or shuffled, so a run resumes anywhere at once, and any number of ranks agree on the order. The permutation
/// is a Feistel network of eight rounds over the smallest even number of bits that holds the count, whose round function is
/// keyed by (seed, epoch); a place that leaves the range is fed through again until it returns ("cycle walking": Black, Rogaway:
/// Ciphers with Arbitrary Finite Domains, CT-RSA 2002, doi:10.1007/3-540-45760-7_9), at most 4 times on average.
public struct EpochOrder: Sendable, Equatable {
  public let sampleCount: Int
  private let key: RandomKey
  private let halfBits: UInt64
  private static let rounds: UInt64 = 8

  /// - Parameter key: the run's key for the order of its data.
  /// - Precondition: `sampleCount` is not negative.
  public init(sampleCount: Int, key: RandomKey) {
    require(sampleCount >= 0, "a data set has no negative number of samples, got \(sampleCount)")
    self.sampleCount = sampleCount
    self.key = key
    let bits = UInt64(Int.bitWidth - max(sampleCount - 1, 0).leadingZeroBitCount)
    halfBits = (bits + 1) / 2
  }

  /// The order of a run: the key is the seed's child "data".
  public init(sampleCount: Int, seed: UInt64) {
    self.init(sampleCount: sampleCount, key: RandomKey(seed: seed).child("data"))
  }

  /// The sample that stands at `place` in `epoch`.
  /// - Precondition: `place` < `sampleCount`.
  public func sample(epoch: UInt64, place: UInt64) -> UInt64 {
    permute(place, key: key.child(epoch))
  }

  /// The samples at `places` in `epoch`, in order.
  public func samples(epoch: UInt64, places: Range<UInt64>) -> [UInt64] {
    let key = key.child(epoch)
    return places.map { permute($0, key: key) }
  }

  /// The batches of one epoch.
  public func batchesPerEpoch(samples: Int, last: BatchSettings.Last) -> Int {
    switch last {
    case .drop: sampleCount / samples
    case .keep: sampleCount / samples + (sampleCount.isMultiple(of: samples) ? 0 : 1)
    }
  }

  private func permute(_ place: UInt64, key: RandomKey) -> UInt64 {
    let count = UInt64(sampleCount)
    require(place < count, "place \(place) lies outside of an epoch of \(count) samples")
    guard count > 1 else { return 0 }
    let mask = (1 << halfBits) - 1 as UInt64
    var value = place
    repeat {
      var left = value >> halfBits, right = value & mask
      for round in 0..<Self.rounds {
        (left, right) = (right, left ^ (key.bits(at: round << 32 | right) & mask))
      }
      value = left << halfBits | right
    } while value >= count
    return value
  }
}
