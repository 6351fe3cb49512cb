/// Reads RFC 8259 to the letter, with less patience: no duplicate keys, no depth beyond 32, no invalid UTF-8, no lone
/// surrogates, nothing after the document.
struct StrictJSONScanner {
  static let maximumDepth = 32

  private let bytes: UnsafeBufferPointer<UInt8>
  private var position = 0

  init(bytes: UnsafeBufferPointer<UInt8>) { self.bytes = bytes }

  mutating func document() throws -> StrictJSON {
    let value = try value(depth: 1)
    skipSpace()
    guard position == bytes.count else { throw error("there is something after the end of the document") }
    return value
  }

  private func error(_ reason: String, at offset: Int? = nil) -> StrictJSONError {
    StrictJSONError(byteOffset: offset ?? position, reason: reason)
  }

  private mutating func skipSpace() {
    while position < bytes.count {
      switch bytes[position] {
      case 0x20, 0x09, 0x0a, 0x0d: position += 1
      default: return
      }
    }
  }

  private func next() throws -> UInt8 {
    guard position < bytes.count else { throw error("the document ends too early") }
    return bytes[position]
  }

  private mutating func value(depth: Int) throws -> StrictJSON {
    skipSpace()
    switch try next() {
    case UInt8(ascii: "{"): return try object(depth: depth)
    case UInt8(ascii: "["): return try array(depth: depth)
    case UInt8(ascii: "\""): return .string(try string())
    case UInt8(ascii: "t"): return try word("true", .bool(true))
    case UInt8(ascii: "f"): return try word("false", .bool(false))
    case UInt8(ascii: "n"): return try word("null", .null)
    default: return .number(try number())
    }
  }

  private mutating func word(_ word: String, _ value: StrictJSON) throws -> StrictJSON {
    for byte in word.utf8 {
      guard try next() == byte else { throw error("expected \(word)") }
      position += 1
    }
    return value
  }

  private func checkDepth(_ depth: Int) throws {
    guard depth <= Self.maximumDepth else { throw error("nested deeper than \(Self.maximumDepth)") }
  }

  private mutating func array(depth: Int) throws -> StrictJSON {
    try checkDepth(depth)
    position += 1
    var elements: [StrictJSON] = []
    skipSpace()
    if try next() == UInt8(ascii: "]") {
      position += 1
      return .array(elements)
    }
    while true {
      elements.append(try value(depth: depth + 1))
      skipSpace()
      switch try next() {
      case UInt8(ascii: ","): position += 1
      case UInt8(ascii: "]"):
        position += 1
        return .array(elements)
      default: throw error("expected , or ]")
      }
    }
  }

  private mutating func object(depth: Int) throws -> StrictJSON {
    try checkDepth(depth)
    position += 1
    var members: [StrictJSON.Member] = []
    var keys: Set<String> = []
    skipSpace()
    if try next() == UInt8(ascii: "}") {
      position += 1
      return .object(members)
    }
    while true {
      skipSpace()
      let start = position
      guard try next() == UInt8(ascii: "\"") else { throw error("expected a key") }
      let key = try string()
      guard keys.insert(key).inserted else { throw error("the key '\(key)' stands twice in one object", at: start) }
      skipSpace()
      guard try next() == UInt8(ascii: ":") else { throw error("expected :") }
      position += 1
      members.append(StrictJSON.Member(key, try value(depth: depth + 1)))
      skipSpace()
      switch try next() {
      case UInt8(ascii: ","): position += 1
      case UInt8(ascii: "}"):
        position += 1
        return .object(members)
      default: throw error("expected , or }")
      }
    }
  }

  // MARK: Strings

  private mutating func string() throws -> String {
    let start = position
    position += 1
    var scalars: [UInt8] = []
    while true {
      let byte = try next()
      switch byte {
      case UInt8(ascii: "\""):
        position += 1
        guard let text = String(validating: scalars, as: UTF8.self) else {
          throw error("the string is not valid UTF-8", at: start)
        }
        return text
      case UInt8(ascii: "\\"): try escape(into: &scalars)
      case 0..<0x20: throw error("a control character inside a string")
      default:
        scalars.append(byte)
        position += 1
      }
    }
  }

  private mutating func escape(into scalars: inout [UInt8]) throws {
    let start = position
    position += 1
    let byte = try next()
    position += 1
    switch byte {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): scalars.append(byte)
    case UInt8(ascii: "b"): scalars.append(0x08)
    case UInt8(ascii: "f"): scalars.append(0x0c)
    case UInt8(ascii: "n"): scalars.append(0x0a)
    case UInt8(ascii: "r"): scalars.append(0x0d)
    case UInt8(ascii: "t"): scalars.append(0x09)
    case UInt8(ascii: "u"):
      var code = try fourDigits()
      if 0xd800...0xdbff ~= code {
        guard try next() == UInt8(ascii: "\\") else { throw error("half of a surrogate pair", at: start) }
        position += 1
        guard try next() == UInt8(ascii: "u") else { throw error("half of a surrogate pair", at: start) }
        position += 1
        let low = try fourDigits()
        guard 0xdc00...0xdfff ~= low else { throw error("half of a surrogate pair", at: start) }
        code = 0x10000 + (code - 0xd800) << 10 + (low - 0xdc00)
      }
      guard let scalar = Unicode.Scalar(code) else { throw error("half of a surrogate pair", at: start) }
      scalars.append(contentsOf: String(Character(scalar)).utf8)
    default: throw error("unknown escape", at: start)
    }
  }

  private mutating func fourDigits() throws -> UInt32 {
    var code: UInt32 = 0
    for _ in 0..<4 {
      guard let digit = Character(Unicode.Scalar(try next())).hexDigitValue else {
        throw error("expected four hexadecimal digits")
      }
      code = code << 4 | UInt32(digit)
      position += 1
    }
    return code
  }

  // MARK: Numbers

  private mutating func digits() throws {
    guard 0x30...0x39 ~= (try next()) else { throw error("expected a value") }
    while position < bytes.count, 0x30...0x39 ~= bytes[position] { position += 1 }
  }

  private mutating func number() throws -> String {
    let start = position
    if try next() == UInt8(ascii: "-") { position += 1 }
    if try next() == UInt8(ascii: "0") {
      position += 1
      if position < bytes.count, 0x30...0x39 ~= bytes[position] { throw error("a number begins with 0") }
    } else {
      try digits()
    }
    if position < bytes.count, bytes[position] == UInt8(ascii: ".") {
      position += 1
      try digits()
    }
    if position < bytes.count, bytes[position] | 0x20 == UInt8(ascii: "e") {
      position += 1
      if let sign = try? next(), sign == UInt8(ascii: "+") || sign == UInt8(ascii: "-") { position += 1 }
      try digits()
    }
    return String(decoding: bytes[start..<position], as: UTF8.self)
  }
}
