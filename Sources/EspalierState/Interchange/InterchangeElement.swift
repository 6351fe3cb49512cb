/// The element types that are exchanged with other software, all little-endian.
package enum InterchangeElement: String, Sendable, CaseIterable {
  case float32 = "F32"
  case float16 = "F16"
  case bfloat16 = "BF16"
  case int32 = "I32"
  case int64 = "I64"

  package var byteCount: Int {
    switch self {
    case .float32, .int32: 4
    case .float16, .bfloat16: 2
    case .int64: 8
    }
  }

  /// Whether weights can have it: integers are read, but are no weights.
  package var isFloating: Bool { self != .int32 && self != .int64 }
}

/// float32 from and to 16 bits, on bit patterns alone: no processor's mode can change a result.
///
/// Widening is exact. Narrowing rounds to nearest, ties to even; what is too large becomes infinite, what is small becomes
/// subnormal or zero of the same sign; a NaN keeps its sign and the upper bits of its payload and becomes quiet.
package enum FloatRounding {
  /// As checkpoints have it.
  package static func bfloat16(_ bits: UInt32) -> UInt16 { ElementType.rounded(Float(bitPattern: bits)) }

  package static func float16(_ bits: UInt32) -> UInt16 {
    let sign = UInt16(truncatingIfNeeded: bits >> 16 & 0x8000)
    let magnitude = bits & 0x7fff_ffff
    if magnitude > 0x7f80_0000 { return sign | 0x7e00 | UInt16(truncatingIfNeeded: magnitude >> 13 & 0x3ff) }
    // 65520, the middle between the largest float16 and the one that there is no more.
    if magnitude >= 0x477f_f000 { return sign | 0x7c00 }
    // 2^-14, the smallest normal float16.
    if magnitude >= 0x3880_0000 { return sign | rounded(magnitude - 0x3800_0000, dropping: 13) }
    let exponent = Int(magnitude >> 23)
    // Below half of 2^-24 nothing is left; 24 + 1 bits fit the shift.
    guard exponent >= 102 else { return sign }
    return sign | rounded(magnitude & 0x7f_ffff | 0x80_0000, dropping: 126 - exponent)
  }

  private static func rounded(_ value: UInt32, dropping count: Int) -> UInt16 {
    let kept = value >> UInt32(count)
    let rest = value & (1 << UInt32(count) - 1)
    let half: UInt32 = 1 << UInt32(count - 1)
    return UInt16(truncatingIfNeeded: kept + (rest > half || (rest == half && kept & 1 == 1) ? 1 : 0))
  }

  package static func widened(bfloat16 bits: UInt16) -> UInt32 { UInt32(bits) << 16 }

  package static func widened(float16 bits: UInt16) -> UInt32 {
    let sign = UInt32(bits & 0x8000) << 16
    let exponent = UInt32(bits >> 10 & 0x1f)
    let fraction = UInt32(bits & 0x3ff)
    switch exponent {
    case 0x1f: return sign | 0x7f80_0000 | fraction << 13
    case 0 where fraction == 0: return sign
    case 0:
      // A subnormal: shift its first one to where normal numbers do not write it.
      let shift = UInt32(fraction.leadingZeroBitCount - 21)
      return sign | (113 - shift) << 23 | (fraction << shift & 0x3ff) << 13
    default: return sign | (exponent + 112) << 23 | fraction << 13
    }
  }
}

extension InterchangeElement {
  /// Turns stored elements into floats, exactly.
  /// - Parameter bytes: `destination.count` elements of this type.
  /// - Precondition: the type is floating.
  func widen(_ bytes: UnsafeRawBufferPointer, into destination: UnsafeMutableBufferPointer<Float>) {
    precondition(bytes.count == destination.count * byteCount, "\(bytes.count) bytes for \(destination.count) elements")
    switch self {
    case .float32: UnsafeMutableRawBufferPointer(destination).copyMemory(from: bytes)
    case .float16:
      for i in destination.indices {
        let bits = UInt16(littleEndian: bytes.loadUnaligned(fromByteOffset: 2 * i, as: UInt16.self))
        destination[i] = Float(bitPattern: FloatRounding.widened(float16: bits))
      }
    case .bfloat16:
      for i in destination.indices {
        let bits = UInt16(littleEndian: bytes.loadUnaligned(fromByteOffset: 2 * i, as: UInt16.self))
        destination[i] = Float(bitPattern: FloatRounding.widened(bfloat16: bits))
      }
    case .int32, .int64: preconditionFailure("integers are no weights")
    }
  }

  /// Turns floats into stored elements.
  /// - Returns: how many finite elements became infinite.
  /// - Precondition: the type is floating.
  func narrow(_ source: UnsafeBufferPointer<Float>, into bytes: UnsafeMutableRawBufferPointer) -> Int {
    precondition(bytes.count == source.count * byteCount, "\(bytes.count) bytes for \(source.count) elements")
    var overflows = 0
    switch self {
    case .float32: bytes.copyMemory(from: UnsafeRawBufferPointer(source))
    case .float16:
      for i in source.indices {
        let bits = FloatRounding.float16(source[i].bitPattern)
        if bits & 0x7fff == 0x7c00, source[i].isFinite { overflows += 1 }
        bytes.storeBytes(of: bits.littleEndian, toByteOffset: 2 * i, as: UInt16.self)
      }
    case .bfloat16:
      for i in source.indices {
        let bits = FloatRounding.bfloat16(source[i].bitPattern)
        if bits & 0x7fff == 0x7f80, source[i].isFinite { overflows += 1 }
        bytes.storeBytes(of: bits.littleEndian, toByteOffset: 2 * i, as: UInt16.self)
      }
    case .int32, .int64: preconditionFailure("integers are no weights")
    }
    return overflows
  }
}
