internal import CXXHash

/// XXH3-64 of some bytes, written as 16 hexadecimal digits.
package struct Checksum: Hashable, Sendable, Codable, CustomStringConvertible {
  package let value: UInt64

  package init(value: UInt64) { self.value = value }

  package init(of bytes: UnsafeRawBufferPointer) { value = XXH3_64bits(bytes.baseAddress, bytes.count) }

  package init(of bytes: [UInt8]) { self = bytes.withUnsafeBytes { Checksum(of: $0) } }

  package var description: String { hexadecimal(value) }

  package init?(_ description: String) {
    let digits = Array(description.utf8)
    guard digits.count == 16, let value = parseHexadecimal(digits[...]) else { return nil }
    self.value = value
  }

  package init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    guard let checksum = Checksum(try container.decode(String.self)) else {
      throw DecodingError.dataCorruptedError(in: container, debugDescription: "a checksum is 16 hexadecimal digits")
    }
    self = checksum
  }

  package func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(description)
  }
}

/// 16 lower-case digits.
package func hexadecimal(_ value: UInt64) -> String {
  let digits = String(value, radix: 16)
  return String(repeating: "0", count: 16 - digits.count) + digits
}

/// At most 16 lower-case digits; nil for anything else.
func parseHexadecimal(_ digits: ArraySlice<UInt8>) -> UInt64? {
  guard !digits.isEmpty, digits.count <= 16 else { return nil }
  var value: UInt64 = 0
  for digit in digits {
    switch digit {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): value = value << 4 | UInt64(digit - UInt8(ascii: "0"))
    case UInt8(ascii: "a")...UInt8(ascii: "f"): value = value << 4 | UInt64(digit - UInt8(ascii: "a") + 10)
    default: return nil
    }
  }
  return value
}
