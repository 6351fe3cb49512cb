import CZlib
import EspalierTensor
import Foundation

/// Unpacks gzip files of one or more members (RFC 1952).
enum Gzip {
  /// - Throws: `DataError` of kind `.notGzip`, `.truncatedGzip`, `.tooLarge` or `.unreadable`.
  static func unpack(_ path: String, maximumBytes: Int, key: String) throws -> Data {
    guard let input = FileHandle(forReadingAtPath: path) else {
      throw DataError(.unreadable, subject: path, reason: "the file cannot be read", remedy: "check its permissions")
    }
    defer { try? input.close() }
    var stream = z_stream()
    // 15 bits of window, and 16 to say that the frame is gzip's.
    guard inflateInit2_(&stream, 15 + 16, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size)) == Z_OK else {
      throw DataError(
        .unreadable, subject: path, reason: "zlib could not begin to unpack it", remedy: "free some memory")
    }
    defer { inflateEnd(&stream) }
    var output = Data()
    var block = [UInt8](repeating: 0, count: 1 << 18)
    var memberIsOpen = true, memberCount = 0
    while true {
      var chunk: [UInt8]
      do {
        guard let read = try input.read(upToCount: 1 << 20), !read.isEmpty else { break }
        chunk = [UInt8](read)
      } catch {
        throw DataError(
          .unreadable, subject: path, reason: "the file cannot be read to its end", remedy: "check the disk")
      }
      ProgressCounter.tick()
      try chunk.withUnsafeMutableBufferPointer { source in
        stream.next_in = source.baseAddress
        stream.avail_in = UInt32(source.count)
        // A full block may mean that more waits inside the stream, although the input is used up.
        var isFull = false
        while stream.avail_in > 0 || isFull {
          if !memberIsOpen {
            inflateReset(&stream)
            memberIsOpen = true
          }
          let (result, written) = block.withUnsafeMutableBufferPointer { target in
            stream.next_out = target.baseAddress
            stream.avail_out = UInt32(target.count)
            let result = inflate(&stream, Z_NO_FLUSH)
            return (result, target.count - Int(stream.avail_out))
          }
          guard result == Z_OK || result == Z_STREAM_END || result == Z_BUF_ERROR else {
            throw DataError(
              .notGzip, subject: path,
              reason: memberCount > 0
                ? "something else follows the gzip data"
                : "this is not an intact gzip file (\(stream.msg.map { String(cString: $0) } ?? "no gzip header"))",
              remedy: "check it with `gzip -t`, or take .gz off the name of a plain file")
          }
          guard output.count + written <= maximumBytes else {
            throw DataError(
              .tooLarge, subject: path,
              reason: "it unpacks to more than the \(maximumBytes) bytes that are left of \(key)",
              remedy: "raise it if the file is what you think it is")
          }
          output.append(contentsOf: block[0..<written])
          isFull = written == block.count
          if result == Z_STREAM_END { (memberIsOpen, isFull, memberCount) = (false, false, memberCount + 1) }
        }
      }
    }
    guard !memberIsOpen else {
      throw DataError(
        .truncatedGzip, subject: path, reason: "the gzip file ends before its data do",
        remedy: "copy it again, and check it with `gzip -t`")
    }
    return output
  }
}
