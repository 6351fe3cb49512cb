import EspalierState
import Testing

@Suite struct CheckpointDigestTests {
  /// (i − 500)/64 for i in 0…1000, but −0 at 3, a NaN with a payload at 4 and the smallest denormal at 5.
  static let elements: [Float] = {
    var elements = (0...1000).map { Float($0 - 500) / 64 }
    elements[3] = -0.0
    elements[4] = Float(bitPattern: 0x7fc1_2345)
    elements[5] = Float(bitPattern: 1)
    return elements
  }()
  static let parameter = "blocks.3.attention.query.weight"

  func digest(_ range: Range<Int>, of elements: [Float] = elements) -> Digest {
    elements.withUnsafeBufferPointer {
      Digest(
        parameter: Self.parameter, slot: "adamw.m", firstIndex: range.lowerBound,
        elements: UnsafeBufferPointer(rebasing: $0[range]))
    }
  }

  /// The numbers come from a Python program with integers of any size: SplitMix64's finaliser and the two sums as in the
  /// formula, and XXH3-64 for 17 to 128 bytes written out from xxHash's specification (input length times a prime, folded
  /// 128-bit products of 16-byte lanes with the secret, avalanche). No code of this package or of libxxhash took part.
  @Test("the digest of a known tensor is the golden one")
  func golden() {
    #expect(Digest.key(parameter: Self.parameter, slot: "adamw.m") == 0x2d7d_9d00_3cab_63bb)
    #expect(digest(0..<1001).description == "61a5634cce1bdbab0ef546b36944ec6d")
  }

  @Test(
    "digests of parts add up to the digest of the whole, wherever it is cut", arguments: [0, 1, 17, 500, 1000, 1001])
  func additive(cut: Int) {
    #expect(digest(0..<cut) + digest(cut..<1001) == digest(0..<1001))
  }

  @Test("one changed bit, a changed sign of zero and two exchanged elements change both halves")
  func sensitive() {
    let whole = digest(0..<1001)
    for change in 0..<3 {
      var changed = Self.elements
      switch change {
      case 0: changed[700] = Float(bitPattern: changed[700].bitPattern ^ 1)
      case 1: changed[3] = 0.0
      default: changed.swapAt(10, 11)
      }
      let digest = digest(0..<1001, of: changed)
      #expect(digest.low != whole.low && digest.high != whole.high)
    }
  }

  @Test("a digest is read back from its 32 digits and from nothing else")
  func description() {
    let digest = Digest(low: 0xab, high: 1)
    #expect(digest.description == "000000000000000100000000000000ab")
    #expect(Digest(digest.description) == digest)
    #expect(Digest("1") == nil)
    #expect(Digest("000000000000000100000000000000aB") == nil)
    #expect(self.digest(5..<5) == .zero)
  }
}
