/// The header of a `.npy` file: one array, row-major, little-endian.
///
/// Written as version 1.0 with the elements at a multiple of 64 bytes; read in versions 1.0 and 2.0 and in the one way that NumPy
/// writes a header, give or take spaces. No Python expression is evaluated.
/// - NumPy, "A simple file format for NumPy arrays" (NEP 1, and numpy.lib.format).
package struct NpyHeader: Sendable, Equatable {
  package let element: InterchangeElement
  package let shape: [Int]
  /// The product of the shape; checked.
  package let count: Int

  static let magic: [UInt8] = [0x93] + Array("NUMPY".utf8)
  /// What one array's header needs, many times over.
  static let maximumBytes = 1 << 16
  /// NumPy's own limit.
  static let maximumDimensions = 64

  static func descriptor(_ element: InterchangeElement) -> String? {
    switch element {
    case .float32: "<f4"
    case .float16: "<f2"
    case .int32: "<i4"
    case .int64: "<i8"
    case .bfloat16: nil
    }
  }

  /// - Throws: `InterchangeError` for bfloat16, which NumPy does not have.
  package static func encoded(_ element: InterchangeElement, shape: [Int], file: String) throws -> [UInt8] {
    guard let descriptor = descriptor(element) else {
      throw InterchangeError(
        .unsupportedType, file: file, reason: "NumPy has no bfloat16", remedy: "choose --dtype f32 or f16")
    }
    let list = shape.map(String.init).joined(separator: ", ") + (shape.count == 1 ? "," : "")
    var text = Array("{'descr': '\(descriptor)', 'fortran_order': False, 'shape': (\(list)), }".utf8)
    text += Array(repeating: UInt8(ascii: " "), count: 63 - (magic.count + 4 + text.count) % 64) + [UInt8(ascii: "\n")]
    guard text.count <= Int(UInt16.max) else {
      throw InterchangeError(
        .headerTooLarge, file: file, reason: "the tensor has \(shape.count) dimensions", remedy: "reshape it first")
    }
    return magic + [1, 0, UInt8(text.count & 0xff), UInt8(text.count >> 8)] + text
  }

  /// - Parameters:
  ///   - text: the header without magic, version and length.
  ///   - room: bytes of the file behind the header.
  init(parsing text: [UInt8], room: Int, file: String) throws {
    guard text.last == UInt8(ascii: "\n") else {
      throw InterchangeError.malformed(.invalidHeader, file: file, "its header does not end in a line break")
    }
    var scanner = NpyScanner(text: text, file: file)
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
    guard let element = InterchangeElement.allCases.first(where: { Self.descriptor($0) == descriptor }) else {
      throw InterchangeError(
        .unsupportedType, file: file,
        reason: "its type '\(InterchangeError.shown(descriptor))' is none that is read here",
        remedy: "save it as one of \(InterchangeElement.allCases.compactMap(Self.descriptor).joined(separator: ", "))")
    }
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
    let (size, overflow) = count.multipliedReportingOverflow(by: element.byteCount)
    guard !overflow else {
      throw InterchangeError.malformed(
        .shapeTooLarge, file: file, "its shape stands for more bytes than can be counted")
    }
    guard size <= room else {
      throw InterchangeError.malformed(
        .beyondFile, file: file, "its shape asks for \(size) bytes and \(room) are there")
    }
    guard size == room else {
      throw InterchangeError.malformed(.trailingBytes, file: file, "\(room - size) bytes follow its last element")
    }
    self.element = element
    self.shape = shape
    self.count = count
  }
}

/// The few tokens of a `.npy` header.
private struct NpyScanner {
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
      guard shape.count < NpyHeader.maximumDimensions else { throw error("too many dimensions") }
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

/// A `.npy` file, opened and checked.
package struct NpyReader: Sendable {
  package let header: NpyHeader
  private let source: any ByteSource
  private let start: Int

  /// - Throws: `InterchangeError`, or `CheckpointError` of the kinds of the file system.
  package init(_ path: String, fileSystem: FileSystem = .real) throws {
    try self.init(FileBytes(path, fileSystem: fileSystem))
  }

  package init(_ source: any ByteSource) throws {
    self.source = source
    let prefix = try source.bytes(0..<min(source.count, 12))
    guard prefix.starts(with: NpyHeader.magic) else {
      throw InterchangeError.malformed(.badMagic, file: source.name, "it is no .npy file")
    }
    guard prefix.count >= 10 else {
      throw InterchangeError.malformed(.tooShort, file: source.name, "\(source.count) bytes are too few for .npy")
    }
    let lengthBytes: Int
    switch (prefix[6], prefix[7]) {
    case (1, 0): lengthBytes = 2
    case (2, 0): lengthBytes = 4
    default:
      throw InterchangeError(
        .newerVersion, file: source.name, reason: "its version \(prefix[6]).\(prefix[7]) is not 1.0 or 2.0",
        remedy: "save it with names and types that version 1.0 can hold")
    }
    start = NpyHeader.magic.count + 2 + lengthBytes
    guard start <= prefix.count else {
      throw InterchangeError.malformed(.tooShort, file: source.name, "\(source.count) bytes are too few for .npy")
    }
    let length = prefix[8..<start].reversed().reduce(0) { $0 << 8 | Int($1) }
    guard length <= NpyHeader.maximumBytes else {
      throw InterchangeError.malformed(
        .headerTooLarge, file: source.name,
        "a header of \(length) bytes is more than the \(NpyHeader.maximumBytes) that one array can need")
    }
    let first = start + length
    guard first <= source.count else {
      throw InterchangeError.malformed(
        .headerBeyondFile, file: source.name,
        "its header would end at byte \(first) and the file has \(source.count) bytes")
    }
    header = try NpyHeader(
      parsing: source.bytes(start..<first), room: source.count - first, file: source.name)
  }

  private var firstByte: Int { source.count - header.count * header.element.byteCount }

  /// The stored bytes of elements `range`, little-endian.
  /// - Precondition: the range lies inside the array.
  package func bytes(_ range: Range<Int>) throws -> [UInt8] {
    precondition(range.lowerBound >= 0 && range.upperBound <= header.count, "elements \(range) of \(header.count)")
    let width = header.element.byteCount
    return try source.bytes(firstByte + range.lowerBound * width..<firstByte + range.upperBound * width)
  }

  /// Elements of a floating type, widened exactly.
  /// - Precondition: the type is floating; the range lies inside the array.
  package func floats(_ range: Range<Int>) throws -> [Float] {
    let bytes = try bytes(range)
    return [Float](unsafeUninitializedCapacity: range.count) { buffer, count in
      bytes.withUnsafeBytes {
        header.element.widen($0, into: UnsafeMutableBufferPointer(start: buffer.baseAddress, count: range.count))
      }
      count = range.count
    }
  }

  /// Opens `bytes` as a `.npy` file and reads all of it: whatever they are, this returns.
  /// - Returns: whether they are a file.
  package static func probe(_ bytes: [UInt8]) -> Bool {
    do {
      let reader = try NpyReader(MemoryBytes(bytes))
      if reader.header.element.isFloating {
        _ = try reader.floats(0..<reader.header.count)
      } else {
        _ = try reader.bytes(0..<reader.header.count)
      }
      return true
    } catch { return false }
  }
}
