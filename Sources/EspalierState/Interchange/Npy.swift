/// The header of a `.npy` file whose elements can be weights, or integers of a checkpoint; `NpyArray` reads it.
///
/// Written as version 1.0 with the elements at a multiple of 64 bytes.
package struct NpyHeader: Sendable, Equatable {
  package let element: InterchangeElement
  package let shape: [Int]
  /// The product of the shape; checked.
  package let count: Int

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
    text +=
      Array(repeating: UInt8(ascii: " "), count: 63 - (NpyArray.magic.count + 4 + text.count) % 64) + [
        UInt8(ascii: "\n")
      ]
    guard text.count <= Int(UInt16.max) else {
      throw InterchangeError(
        .headerTooLarge, file: file, reason: "the tensor has \(shape.count) dimensions", remedy: "reshape it first")
    }
    return NpyArray.magic + [1, 0, UInt8(text.count & 0xff), UInt8(text.count >> 8)] + text
  }

  /// - Parameter fileBytes: the size of the file.
  init(_ array: NpyArray, fileBytes: Int, file: String) throws {
    guard let element = InterchangeElement.allCases.first(where: { Self.descriptor($0) == array.descriptor }) else {
      throw array.unsupported(InterchangeElement.allCases.compactMap(Self.descriptor), file: file)
    }
    self.element = element
    shape = array.shape
    count = try array.elementCount(width: element.byteCount, fileBytes: fileBytes, file: file)
  }
}

/// A `.npy` file, opened and checked.
package struct NpyReader: Sendable {
  package let header: NpyHeader
  private let source: any ByteSource

  /// - Throws: `InterchangeError`, or `CheckpointError` of the kinds of the file system.
  package init(_ path: String, fileSystem: FileSystem = .real) throws {
    try self.init(FileBytes(path, fileSystem: fileSystem))
  }

  package init(_ source: any ByteSource) throws {
    self.source = source
    header = try NpyHeader(NpyArray(source), fileBytes: source.count, file: source.name)
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
