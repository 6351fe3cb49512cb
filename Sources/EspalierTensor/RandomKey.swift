/// A counter-based random stream: element *i* of a key is the same whoever draws it, in whatever order.
///
/// The bits are SplitMix64's finaliser over a Weyl sequence that starts at the key. A child key is named, so that what depends
/// on chance (a weight, a sample's dropout, the order of an epoch) is keyed and never positional.
/// - Steele, Lea, Flood: Fast splittable pseudorandom number generators, OOPSLA 2014, doi:10.1145/2660193.2660195.
public struct RandomKey: Hashable, Sendable, Codable {
  /// The whole key: 64 bits.
  public let state: UInt64

  /// The root of all streams of a seed.
  public init(seed: UInt64) { state = Self.mix(seed &+ Self.golden) }

  private init(state: UInt64) { self.state = state }

  /// The stream of a name under this one.
  public func child(_ name: String) -> RandomKey {
    var hash: UInt64 = 0xcbf2_9ce4_8422_2325  // FNV-1a
    for byte in name.utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
    return RandomKey(state: Self.mix(state ^ Self.mix(hash)))
  }

  /// The stream of a number under this one.
  public func child(_ index: UInt64) -> RandomKey {
    RandomKey(state: Self.mix(state ^ Self.mix(index &* Self.golden &+ 0x2545_f491_4f6c_dd1d)))
  }

  /// 64 uniform bits.
  @inline(__always)
  public func bits(at index: UInt64) -> UInt64 { Self.mix(state &+ (index &+ 1) &* Self.golden) }

  /// A uniform number in [0, 1), with 53 bits.
  public func uniform(at index: UInt64) -> Double { Double(bits(at: index) >> 11) * 0x1p-53 }

  @inline(__always)
  package static func mix(_ value: UInt64) -> UInt64 {
    var z = value
    z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
    return z ^ (z >> 31)
  }

  private static let golden: UInt64 = 0x9e37_79b9_7f4a_7c15
}
