/// 128 random bits that name one save: in its folder's name while it is being written, and in every file of it.
package struct SaveID: Hashable, Sendable, Codable, CustomStringConvertible {
  /// 16 of them.
  package let bytes: [UInt8]

  init(bytes: [UInt8]) {
    precondition(bytes.count == 16, "a save id has 16 bytes, not \(bytes.count)")
    self.bytes = bytes
  }

  package static func random() -> SaveID { SaveID(bytes: (0..<16).map { _ in UInt8.random(in: .min ... .max) }) }

  /// 32 hexadecimal digits.
  package var description: String {
    bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
  }

  package init?(_ description: String) {
    let digits = Array(description.utf8)
    guard digits.count == 32 else { return nil }
    var bytes: [UInt8] = []
    for start in stride(from: 0, to: 32, by: 2) {
      guard let value = parseHexadecimal(digits[start..<start + 2]) else { return nil }
      bytes.append(UInt8(value))
    }
    self.bytes = bytes
  }

  package init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    guard let id = SaveID(try container.decode(String.self)) else {
      throw DecodingError.dataCorruptedError(in: container, debugDescription: "a save id is 32 hexadecimal digits")
    }
    self = id
  }

  package func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(description)
  }
}
