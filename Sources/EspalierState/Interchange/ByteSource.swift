/// Bytes that can be read at any offset: a file, or memory.
package protocol ByteSource: Sendable {
  /// What errors call it.
  var name: String { get }
  var count: Int { get }
  /// Fills `buffer` from `offset`.
  func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int) throws
}

extension ByteSource {
  /// - Precondition: the range lies inside, so that the room taken is that of bytes which are there.
  func bytes(_ range: Range<Int>) throws -> [UInt8] {
    precondition(range.lowerBound >= 0 && range.upperBound <= count, "bytes \(range) of \(count)")
    return try [UInt8](unsafeUninitializedCapacity: range.count) { buffer, filled in
      try read(
        into: UnsafeMutableRawBufferPointer(start: buffer.baseAddress, count: range.count), at: range.lowerBound)
      filled = range.count
    }
  }
}

/// A file that the user named: links are followed, anything but a regular file is refused and never waited for.
package struct FileBytes: ByteSource {
  package let name: String
  package let count: Int
  private let file: OpenFile
  private let fileSystem: FileSystem

  /// - Throws: `CheckpointError` of the kinds of the file system.
  package init(_ path: String, fileSystem: FileSystem = .real) throws {
    name = path
    self.fileSystem = fileSystem
    (file, count) = try fileSystem.openFile(named: path)
  }

  package func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int) throws {
    try fileSystem.read(file, into: buffer, at: offset)
  }
}

/// Bytes in memory.
package struct MemoryBytes: ByteSource {
  package let name: String
  private let bytes: [UInt8]
  package var count: Int { bytes.count }

  package init(_ bytes: [UInt8], name: String = "memory") {
    self.bytes = bytes
    self.name = name
  }

  package func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int) throws {
    precondition(offset >= 0 && offset + buffer.count <= bytes.count, "reading past the end of memory")
    bytes.withUnsafeBytes {
      buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[offset..<offset + buffer.count]))
    }
  }
}
