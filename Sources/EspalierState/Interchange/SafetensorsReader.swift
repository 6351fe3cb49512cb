/// A safetensors file, opened and checked: every range of every tensor can be read.
///
/// Opening reads the header alone. Nothing is allocated from a number of the file before it has been compared with the
/// file's real length; see `SafetensorsHeader` for what is refused. The format has no checksums, so a flipped bit among the
/// elements cannot be noticed.
package struct SafetensorsReader: Sendable {
  package let header: SafetensorsHeader
  package var tensors: [SafetensorsHeader.Tensor] { header.tensors }
  /// What errors call the file.
  package var file: String { source.name }
  private let source: any ByteSource
  private let numbers: [String: Int]

  /// - Throws: `InterchangeError`, or `CheckpointError` of the kinds of the file system.
  package init(_ path: String, fileSystem: FileSystem = .real) throws {
    try self.init(FileBytes(path, fileSystem: fileSystem))
  }

  package init(_ source: any ByteSource) throws {
    self.source = source
    guard source.count >= 8 else {
      throw InterchangeError.malformed(
        .tooShort, file: source.name, "\(source.count) bytes are too few for safetensors")
    }
    let length = try source.bytes(0..<8).withUnsafeBytes { UInt64(littleEndian: $0.loadUnaligned(as: UInt64.self)) }
    guard length <= UInt64(SafetensorsHeader.maximumBytes) else {
      throw InterchangeError.malformed(
        .headerTooLarge, file: source.name,
        "a header of \(length) bytes is more than the \(SafetensorsHeader.maximumBytes) of the format")
    }
    let start = 8 + Int(length)
    guard start <= source.count else {
      throw InterchangeError.malformed(
        .headerBeyondFile, file: source.name,
        "its header would end at byte \(start) and the file has \(source.count) bytes")
    }
    header = try SafetensorsHeader(
      parsing: source.bytes(8..<start), file: source.name, start: start, end: source.count)
    numbers = Dictionary(
      header.tensors.enumerated().map { ($1.name, $0) }, uniquingKeysWith: { first, _ in first })
  }

  package func tensor(_ name: String) -> SafetensorsHeader.Tensor? { numbers[name].map { header.tensors[$0] } }

  /// Reads elements of a tensor of floating type, widened exactly.
  /// - Parameters:
  ///   - range: in elements, row-major.
  ///   - destination: room for `range.count` floats.
  /// - Precondition: the tensor is of this file and floating; `range` lies inside it.
  package func read(
    _ tensor: SafetensorsHeader.Tensor, range: Range<Int>, into destination: UnsafeMutablePointer<Float>
  ) throws {
    precondition(range.lowerBound >= 0 && range.upperBound <= tensor.count, "elements \(range) of \(tensor.count)")
    let width = tensor.element.byteCount
    if tensor.element == .float32 {
      return try source.read(
        into: UnsafeMutableRawBufferPointer(start: destination, count: range.count * 4),
        at: tensor.bytes.lowerBound + range.lowerBound * 4)
    }
    let step = 1 << 18
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: min(step, range.count) * width, alignment: 64)
    defer { buffer.deallocate() }
    for first in stride(from: range.lowerBound, to: range.upperBound, by: step) {
      let count = min(step, range.upperBound - first)
      let part = UnsafeMutableRawBufferPointer(rebasing: buffer[..<(count * width)])
      try source.read(into: part, at: tensor.bytes.lowerBound + first * width)
      tensor.element.widen(
        UnsafeRawBufferPointer(part),
        into: UnsafeMutableBufferPointer(start: destination + (first - range.lowerBound), count: count))
    }
  }

  /// The stored bytes of a tensor, whatever its type: for small ones.
  package func bytes(_ tensor: SafetensorsHeader.Tensor) throws -> [UInt8] { try source.bytes(tensor.bytes) }

  /// Opens `bytes` as a safetensors file and reads all of it: whatever they are, this returns.
  /// - Returns: whether they are a file.
  package static func probe(_ bytes: [UInt8]) -> Bool {
    do {
      let reader = try SafetensorsReader(MemoryBytes(bytes))
      for tensor in reader.tensors {
        guard tensor.element.isFloating else {
          _ = try reader.bytes(tensor)
          continue
        }
        // What is there in bytes is there in memory, so its length is no bomb.
        let floats = UnsafeMutablePointer<Float>.allocate(capacity: max(tensor.count, 1))
        defer { floats.deallocate() }
        try reader.read(tensor, range: 0..<tensor.count, into: floats)
      }
      return true
    } catch { return false }
  }
}
