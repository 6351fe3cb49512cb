/// What a `.npy` file says of its array, before anything is made of its type: row-major or not, little-endian or not.
///
/// Read in versions 1.0 to 3.0, in the one way that NumPy writes a header, give or take spaces. No Python expression is evaluated.
/// - NumPy, "A simple file format for NumPy arrays" (NEP 1, and numpy.lib.format).
package struct NpyArray: Sendable, Equatable {
  /// NumPy's name of the type: "<f4", "|u1".
  package let descriptor: String
  package let isFortran: Bool
  package let shape: [Int]
  /// Where the elements begin in the file.
  package let firstByte: Int

  static let magic: [UInt8] = [0x93] + Array("NUMPY".utf8)
  /// What one array's header needs, many times over.
  static let maximumBytes = 1 << 16
  /// NumPy's own limit.
  static let maximumDimensions = 64

  /// - Throws: `InterchangeError`.
  package init(_ source: any ByteSource) throws {
    let prefix = try source.bytes(0..<min(source.count, 12))
    guard prefix.starts(with: Self.magic) else {
      throw InterchangeError.malformed(.badMagic, file: source.name, "it is no .npy file")
    }
    guard prefix.count >= 10 else {
      throw InterchangeError.malformed(.tooShort, file: source.name, "\(source.count) bytes are too few for .npy")
    }
    let lengthBytes: Int
    switch (prefix[6], prefix[7]) {
    case (1, 0): lengthBytes = 2
    case (2, 0), (3, 0): lengthBytes = 4
    default:
      throw InterchangeError(
        .newerVersion, file: source.name, reason: "its version \(prefix[6]).\(prefix[7]) is not 1.0, 2.0 or 3.0",
        remedy: "save it with names and types that version 1.0 can hold")
    }
    let start = Self.magic.count + 2 + lengthBytes
    guard start <= prefix.count else {
      throw InterchangeError.malformed(.tooShort, file: source.name, "\(source.count) bytes are too few for .npy")
    }
    let length = prefix[8..<start].reversed().reduce(0) { $0 << 8 | Int($1) }
    guard length <= Self.maximumBytes else {
      throw InterchangeError.malformed(
        .headerTooLarge, file: source.name,
        "a header of \(length) bytes is more than the \(Self.maximumBytes) that one array can need")
    }
    firstByte = start + length
    guard firstByte <= source.count else {
      throw InterchangeError.malformed(
        .headerBeyondFile, file: source.name,
        "its header would end at byte \(firstByte) and the file has \(source.count) bytes")
    }
    let text = try source.bytes(start..<firstByte)
    guard text.last == UInt8(ascii: "\n") else {
      throw InterchangeError.malformed(.invalidHeader, file: source.name, "its header does not end in a line break")
    }
    var scanner = NpyScanner(text: text, file: source.name)
    var (descriptor, isFortran, shape): (String?, Bool?, [Int]?) = (nil, nil, nil)
    try scanner.expect("{")
    while !scanner.accept("}") {
      let key = try scanner.quoted()
      try scanner.expect(":")
      switch key {
      case "descr" where descriptor == nil: descriptor = try scanner.quoted()
      case "fortran_order" where isFortran == nil: isFortran = try scanner.truth()
      case "shape" where shape == nil: shape = try scanner.tuple()
      default: throw scanner.error("the key '\(InterchangeError.shown(key))' is unknown or stands twice")
      }
      if scanner.accept(",") { continue }
      try scanner.expect("}")
      break
    }
    try scanner.end()
    guard let descriptor, let isFortran, let shape else {
      throw scanner.error("it lacks descr, fortran_order or shape")
    }
    self.descriptor = descriptor
    self.isFortran = isFortran
    self.shape = shape
  }

  /// The product of the shape, once the type is known.
  /// - Parameters:
  ///   - width: the bytes of an element.
  ///   - fileBytes: the size of the file.
  /// - Throws: `InterchangeError` where the elements lie column by column or do not end where the file does.
  package func elementCount(width: Int, fileBytes: Int, file: String) throws -> Int {
    guard !isFortran else {
      throw InterchangeError(
        .fortranOrder, file: file, reason: "its elements lie column by column",
        remedy: "save numpy.ascontiguousarray of it")
    }
    var count = 1
    for extent in shape {
      let (product, overflow) = count.multipliedReportingOverflow(by: extent)
      guard !overflow else {
        throw InterchangeError.malformed(
          .shapeTooLarge, file: file, "its shape stands for more elements than can be counted")
      }
      count = product
    }
    let (size, overflow) = count.multipliedReportingOverflow(by: width)
    guard !overflow else {
      throw InterchangeError.malformed(
        .shapeTooLarge, file: file, "its shape stands for more bytes than can be counted")
    }
    let room = fileBytes - firstByte
    guard size <= room else {
      throw InterchangeError.malformed(
        .beyondFile, file: file, "its shape asks for \(size) bytes and \(room) are there")
    }
    guard size == room else {
      throw InterchangeError.malformed(.trailingBytes, file: file, "\(room - size) bytes follow its last element")
    }
    return count
  }

  /// The refusal of a type that is not among those that a reader takes.
  package func unsupported(_ known: [String], file: String) -> InterchangeError {
    InterchangeError(
      .unsupportedType, file: file,
      reason: "its type '\(InterchangeError.shown(descriptor))' is none that is read here",
      remedy: "save it as one of \(known.joined(separator: ", "))")
  }
}

/// The few tokens of a `.npy` header.
struct NpyScanner {
  let text: [UInt8]
  let file: String
  var position = 0

  func error(_ reason: String) -> InterchangeError {
    .malformed(.invalidHeader, file: file, "its header cannot be read at byte \(position): \(reason)")
  }

  private mutating func skipSpace() { while position < text.count, text[position] == 0x20 { position += 1 } }

  mutating func accept(_ character: Unicode.Scalar) -> Bool {
    skipSpace()
    guard position < text.count, text[position] == UInt8(ascii: character) else { return false }
    position += 1
    return true
  }

  mutating func expect(_ character: Unicode.Scalar) throws {
    guard accept(character) else { throw error("expected \(character)") }
  }

  mutating func quoted() throws -> String {
    skipSpace()
    guard position < text.count, text[position] == UInt8(ascii: "'") || text[position] == UInt8(ascii: "\"") else {
      throw error("expected a quoted word")
    }
    let quote = text[position]
    position += 1
    let start = position
    while position < text.count, text[position] != quote {
      guard 0x20..<0x7f ~= text[position], text[position] != UInt8(ascii: "\\") else { throw error("no plain word") }
      position += 1
    }
    guard position < text.count else { throw error("a quote is not closed") }
    position += 1
    return String(decoding: text[start..<position - 1], as: UTF8.self)
  }

  mutating func truth() throws -> Bool {
    skipSpace()
    for (word, value) in [("True", true), ("False", false)] where text[position...].starts(with: word.utf8) {
      position += word.utf8.count
      return value
    }
    throw error("expected True or False")
  }

  mutating func tuple() throws -> [Int] {
    try expect("(")
    var shape: [Int] = []
    while !accept(")") {
      guard shape.count < NpyArray.maximumDimensions else { throw error("too many dimensions") }
      shape.append(try integer())
      if accept(",") { continue }
      guard shape.count > 1 else { throw error("expected ,") }
      try expect(")")
      break
    }
    return shape
  }

  private mutating func integer() throws -> Int {
    skipSpace()
    let start = position
    while position < text.count, 0x30...0x39 ~= text[position] { position += 1 }
    let digits = String(decoding: text[start..<position], as: UTF8.self)
    guard !digits.isEmpty, digits == "0" || !digits.hasPrefix("0"), let value = Int(digits) else {
      throw error("expected an integer of 0 or more that can be counted")
    }
    return value
  }

  mutating func end() throws {
    skipSpace()
    guard position == text.count - 1 else { throw error("something follows the closing brace") }
  }
}
