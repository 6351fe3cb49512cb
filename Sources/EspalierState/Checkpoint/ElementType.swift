/// How the elements of a slot are stored. In memory they are always Float.
///
/// Training state is `f32`, every bit of it. `bf16` is for weights that are passed on: half the bytes, 8 significant bits.
package enum ElementType: String, Codable, Sendable, CaseIterable {
  case f32, bf16

  /// In bytes.
  package var size: Int { self == .f32 ? 4 : 2 }

  /// In the index of a shard.
  var code: UInt32 { self == .f32 ? 0 : 1 }

  init?(code: UInt32) {
    switch code {
    case 0: self = .f32
    case 1: self = .bf16
    default: return nil
    }
  }

  init?(size: Int) {
    guard let type = Self.allCases.first(where: { $0.size == size }) else { return nil }
    self = type
  }
}

extension ElementType {
  /// Rounds to the nearest bfloat16, halves to even, as processors do; a NaN stays one and keeps its sign.
  @inline(__always)
  package static func rounded(_ value: Float) -> UInt16 {
    let bits = value.bitPattern
    let carried = (bits &+ 0x7fff &+ (bits >> 16 & 1)) >> 16
    let quiet = bits >> 16 | 0x40
    return UInt16(truncatingIfNeeded: bits & 0x7fff_ffff > 0x7f80_0000 ? quiet : carried)
  }

  @inline(__always)
  package static func widened(_ bits: UInt16) -> Float { Float(bitPattern: UInt32(bits) << 16) }

  /// Stores floats as elements of this type. The two must not overlap.
  func narrow(_ source: UnsafePointer<Float>, into destination: UnsafeMutableRawPointer, count: Int) {
    guard self == .bf16 else { return destination.copyMemory(from: source, byteCount: count * 4) }
    let target = destination.bindMemory(to: UInt16.self, capacity: count)
    for i in 0..<count { target[i] = Self.rounded(source[i]) }
  }

  /// Reads elements of this type as floats. The two must not overlap.
  func widen(_ source: UnsafeRawPointer, into destination: UnsafeMutablePointer<Float>, count: Int) {
    guard self == .bf16 else {
      return UnsafeMutableRawPointer(destination).copyMemory(from: source, byteCount: count * 4)
    }
    let elements = source.assumingMemoryBound(to: UInt16.self)
    for i in 0..<count { destination[i] = Self.widened(elements[i]) }
  }
}

extension Digest {
  /// The digest of stored elements, as a reader gets them.
  init(key: UInt64, firstIndex: Int, stored: UnsafeRawPointer, _ element: ElementType, count: Int) {
    guard element != .f32 else {
      self.init(
        key: key, firstIndex: firstIndex,
        elements: UnsafeBufferPointer(start: stored.assumingMemoryBound(to: Float.self), count: count))
      return
    }
    let window = min(1 << 16, count)
    self = withUnsafeTemporaryAllocation(of: Float.self, capacity: window) { floats in
      var sum = Digest.zero
      for at in stride(from: 0, to: count, by: max(window, 1)) {
        let part = min(window, count - at)
        guard let target = floats.baseAddress else { break }
        element.widen(stored + at * element.size, into: target, count: part)
        sum += Digest(
          key: key, firstIndex: firstIndex + at, elements: UnsafeBufferPointer(start: target, count: part))
      }
      return sum
    }
  }
}
