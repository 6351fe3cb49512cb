/// A JSON document of which nothing is lost or guessed: numbers keep their text, and two equal keys are an error.
///
/// Foundation's decoder hides duplicate keys and rounds numbers; a manifest must not be read two ways.
package enum StrictJSON: Sendable, Equatable {
  package struct Member: Sendable, Equatable {
    package let key: String
    package let value: StrictJSON

    package init(_ key: String, _ value: StrictJSON) {
      self.key = key
      self.value = value
    }
  }

  case null
  case bool(Bool)
  /// The text of the number, as JSON allows it.
  case number(String)
  case string(String)
  case array([StrictJSON])
  case object([Member])

  package static func integer(_ value: some BinaryInteger) -> StrictJSON { .number(String(value)) }

  /// Reads a whole document; see `StrictJSONError` for what is refused.
  package init(parsing bytes: [UInt8]) throws {
    self = try bytes.withUnsafeBufferPointer { buffer in
      var scanner = StrictJSONScanner(bytes: buffer)
      return try scanner.document()
    }
  }

  /// The one way to write this document: members sorted by the bytes of their keys, no white space.
  package var canonical: [UInt8] {
    var bytes: [UInt8] = []
    write(to: &bytes)
    return bytes
  }

  // MARK: Reading values

  package var members: [Member]? { if case .object(let members) = self { members } else { nil } }
  package var elements: [StrictJSON]? { if case .array(let elements) = self { elements } else { nil } }
  package var text: String? { if case .string(let text) = self { text } else { nil } }
  package var truth: Bool? { if case .bool(let truth) = self { truth } else { nil } }

  /// The number as an integer; nil for `1.0`, `1e3`, `-0` and what does not fit.
  package var integer: Int? {
    guard case .number(let text) = self, text != "-0" else { return nil }
    return Int(text)
  }

  package subscript(key: String) -> StrictJSON? { members?.first { $0.key == key }?.value }

  // MARK: Writing

  private func write(to bytes: inout [UInt8]) {
    switch self {
    case .null: bytes.append(contentsOf: "null".utf8)
    case .bool(let truth): bytes.append(contentsOf: (truth ? "true" : "false").utf8)
    case .number(let text): bytes.append(contentsOf: text.utf8)
    case .string(let text): Self.write(text, to: &bytes)
    case .array(let elements):
      bytes.append(UInt8(ascii: "["))
      for (i, element) in elements.enumerated() {
        if i > 0 { bytes.append(UInt8(ascii: ",")) }
        element.write(to: &bytes)
      }
      bytes.append(UInt8(ascii: "]"))
    case .object(let members):
      bytes.append(UInt8(ascii: "{"))
      let sorted = members.sorted { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }
      for (i, member) in sorted.enumerated() {
        if i > 0 { bytes.append(UInt8(ascii: ",")) }
        Self.write(member.key, to: &bytes)
        bytes.append(UInt8(ascii: ":"))
        member.value.write(to: &bytes)
      }
      bytes.append(UInt8(ascii: "}"))
    }
  }

  private static func write(_ text: String, to bytes: inout [UInt8]) {
    bytes.append(UInt8(ascii: "\""))
    for byte in text.utf8 {
      switch byte {
      case UInt8(ascii: "\""), UInt8(ascii: "\\"):
        bytes.append(UInt8(ascii: "\\"))
        bytes.append(byte)
      case 0..<0x20: bytes.append(contentsOf: ("\\u00" + (byte < 16 ? "0" : "") + String(byte, radix: 16)).utf8)
      default: bytes.append(byte)
      }
    }
    bytes.append(UInt8(ascii: "\""))
  }
}

/// What is wrong with a document, and where.
package struct StrictJSONError: Error, Sendable, Equatable, CustomStringConvertible {
  /// From the start of the document.
  package let byteOffset: Int
  package let reason: String

  package var description: String { "byte \(byteOffset): \(reason)" }
}
