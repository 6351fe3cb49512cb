internal import CKernels
internal import CXXHash

/// A 128-bit fingerprint of training state that adds up over any cutting of it, so that no layout can change it.
///
/// With h = XXH3-64 of `"parameter/slot"`, S = SplitMix64's finaliser, i the row-major index of an element in its whole
/// tensor and bits its 32 bits: low = Σ S(S(h + i) ⊕ bits), high = Σ S(S(¬h + i) ⊕ bits), both mod 2⁶⁴. The total of a
/// state is the sum over its slots. It tells −0 from +0 and one NaN from another; an empty slot has the digest 0.
/// It is a proof against mistakes, not against an adversary.
package struct Digest: Hashable, Sendable, Codable, CustomStringConvertible {
  package var low: UInt64
  package var high: UInt64

  package static let zero = Digest(low: 0, high: 0)

  package init(low: UInt64, high: UInt64) {
    self.low = low
    self.high = high
  }

  /// The digest of `elements`, which lie at `firstIndex ..< firstIndex + elements.count` of the slot.
  package init(
    parameter: String, slot: String, firstIndex: Int = 0, elements: UnsafeBufferPointer<Float>
  ) {
    self.init(key: Self.key(parameter: parameter, slot: slot), firstIndex: firstIndex, elements: elements)
  }

  /// As above, with the key of the slot already at hand.
  package init(key: UInt64, firstIndex: Int, elements: UnsafeBufferPointer<Float>) {
    self = .zero
    guard let start = elements.baseAddress else { return }
    start.withMemoryRebound(to: UInt32.self, capacity: elements.count) { bits in
      ck_digest(key, UInt64(firstIndex), bits, elements.count, &low, &high)
    }
  }

  /// h of the formula.
  package static func key(parameter: String, slot: String) -> UInt64 {
    var name = "\(parameter)/\(slot)"
    return name.withUTF8 { XXH3_64bits($0.baseAddress, $0.count) }
  }

  package static func + (a: Digest, b: Digest) -> Digest {
    Digest(low: a.low &+ b.low, high: a.high &+ b.high)
  }

  package static func += (a: inout Digest, b: Digest) { a = a + b }

  /// 32 hexadecimal digits, the high half first.
  package var description: String { hexadecimal(high) + hexadecimal(low) }

  /// Reads `description` back; nil for anything else.
  package init?(_ description: String) {
    let digits = Array(description.utf8)
    guard digits.count == 32, let high = parseHexadecimal(digits[..<16]), let low = parseHexadecimal(digits[16...])
    else { return nil }
    self.init(low: low, high: high)
  }

  package init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    guard let digest = Digest(try container.decode(String.self)) else {
      throw DecodingError.dataCorruptedError(in: container, debugDescription: "a digest is 32 hexadecimal digits")
    }
    self = digest
  }

  package func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(description)
  }
}
