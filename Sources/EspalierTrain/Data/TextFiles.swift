import CZstd
import EspalierTensor
package import Foundation

/// The bytes of one or more files laid end to end, read or mapped once.
///
/// Plain files are mapped, so ranks of one host share their pages; `.zst` files are unpacked into memory.
package struct TextBytes: Sendable {
  private let parts: [Data]
  /// Where each part begins, and at the end the count of all.
  private let starts: [Int]
  package let paths: [String]
  package var count: Int { starts[parts.count] }

  package init(parts: [Data], paths: [String]) {
    self.parts = parts
    self.paths = paths
    starts = parts.reduce(into: [0]) { $0.append($0[$0.count - 1] + $1.count) }
  }

  /// Opens a file, every file below a folder, or the files that a pattern names, in the order of their paths' bytes.
  /// - Throws: `DataError`.
  package init(path: String, maximumBytes: Int) throws {
    let paths = try TextPaths.find(path)
    var parts: [Data] = []
    var remaining = maximumBytes
    for path in paths {
      let part = try path.hasSuffix(".zst") ? Zstd.unpack(path, maximumBytes: remaining) : Self.map(path)
      guard part.count <= remaining else {
        throw DataError(
          .tooLarge, subject: path, reason: "the text has more than data.text.maximumBytes (\(maximumBytes)) bytes",
          remedy: "raise it, or name fewer files")
      }
      remaining -= part.count
      parts.append(part)
    }
    self.init(parts: parts, paths: paths)
    guard count > 0 else {
      throw DataError(
        .empty, subject: path, reason: paths.count == 1 ? "the file is empty" : "all \(paths.count) files are empty",
        remedy: "name a text that has bytes")
    }
  }

  private static func map(_ path: String) throws -> Data {
    do {
      return try Data(contentsOf: URL(filePath: path), options: .mappedIfSafe)
    } catch {
      throw DataError(
        .unreadable, subject: path, reason: "the file cannot be read",
        remedy: "check its permissions and try `head -c 1` on it")
    }
  }

  /// Calls `body` with each byte of a range and its place in it.
  /// - Precondition: the range lies within the text.
  package func forEach(in range: Range<Int>, _ body: (Int, UInt8) -> Void) {
    precondition(range.lowerBound >= 0 && range.upperBound <= count, "bytes \(range) lie outside of a text of \(count)")
    var part = partIndex(of: range.lowerBound)
    var position = range.lowerBound
    while position < range.upperBound {
      let first = position - starts[part]
      let end = min(range.upperBound, starts[part + 1])
      parts[part].withUnsafeBytes { (bytes: UnsafeRawBufferPointer) in
        for offset in 0..<(end - position) { body(position - range.lowerBound + offset, bytes[first + offset]) }
      }
      position = end
      part += 1
    }
  }

  /// A hash of the bytes, however they are cut into files.
  package func hash() -> UInt64 {
    var hash = ContentHash(seed: 1)
    let chunk = 1 << 20
    var buffer = [UInt8](repeating: 0, count: min(chunk, count))
    for start in stride(from: 0, to: count, by: chunk) {
      let range = start..<min(start + chunk, count)
      let part = partIndex(of: start)
      ProgressCounter.tick()
      if range.upperBound <= starts[part + 1] {
        parts[part].withUnsafeBytes { (bytes: UnsafeRawBufferPointer) in
          hash.add(UnsafeRawBufferPointer(rebasing: bytes[start - starts[part]..<range.upperBound - starts[part]]))
        }
      } else {
        forEach(in: range) { buffer[$0] = $1 }
        buffer.withUnsafeBytes { hash.add(UnsafeRawBufferPointer(rebasing: $0[0..<range.count])) }
      }
    }
    return hash.value
  }

  /// The part that holds a byte: the last that begins at or before it and is not empty.
  private func partIndex(of position: Int) -> Int {
    var low = 0, high = parts.count
    while high - low > 1 {
      let middle = (low + high) / 2
      if starts[middle] <= position { low = middle } else { high = middle }
    }
    return low
  }
}

/// Finds the files that a path stands for.
package enum TextPaths {
  /// - Throws: `DataError` of kind `.missing`, `.empty` or `.unreadable`.
  package static func find(_ path: String) throws -> [String] {
    guard !path.isEmpty else {
      throw DataError(
        .missing, subject: "data.text.path", reason: "no text is named",
        remedy: "set it to a file, a folder or a pattern, as launch/data/pride-and-prejudice.txt")
    }
    var isFolder: ObjCBool = false
    if FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) {
      return isFolder.boolValue ? try files(below: path) : [path]
    }
    if path.contains(where: { "*?[".contains($0) }) {
      let matches = files(matching: path)
      if !matches.isEmpty { return sorted(matches) }
      throw DataError(
        .missing, subject: path, reason: "no file matches this pattern",
        remedy: "check it with `ls \(path)`; * does not cross folders")
    }
    let parent = URL(filePath: path).deletingLastPathComponent().path
    let names = (try? FileManager.default.contentsOfDirectory(atPath: parent)) ?? []
    let near = NearestName.find(URL(filePath: path).lastPathComponent, in: names).map { "did you mean '\($0)'?" }
    throw DataError(
      .missing, subject: path, reason: "there is no such file or folder",
      remedy: near
        ?? "check data.text.path, which counts from the folder where the command runs (\(FileManager.default.currentDirectoryPath))"
    )
  }

  /// Every file below a folder but hidden ones.
  private static func files(below folder: String) throws -> [String] {
    guard let names = try? FileManager.default.subpathsOfDirectory(atPath: folder) else {
      throw DataError(
        .unreadable, subject: folder, reason: "the folder cannot be read", remedy: "check its permissions")
    }
    let files = names.filter { name in !name.split(separator: "/").contains { $0.hasPrefix(".") } }
      .map { folder.hasSuffix("/") ? folder + $0 : folder + "/" + $0 }.filter(isFile)
    guard !files.isEmpty else {
      throw DataError(.empty, subject: folder, reason: "the folder holds no files", remedy: "name a folder of texts")
    }
    return sorted(files)
  }

  private static func files(matching pattern: String) -> [String] {
    var found = glob_t()
    defer { globfree(&found) }
    guard glob(pattern, 0, nil, &found) == 0 else { return [] }
    return (0..<Int(found.gl_pathc)).compactMap { found.gl_pathv[$0].map { String(cString: $0) } }.filter(isFile)
  }

  private static func isFile(_ path: String) -> Bool {
    var isFolder: ObjCBool = false
    return FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) && !isFolder.boolValue
  }

  /// By the bytes of the paths, for a locale must not decide the order of the data.
  private static func sorted(_ paths: [String]) -> [String] {
    paths.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
  }
}

/// Unpacks zstd files of one or more frames.
enum Zstd {
  /// - Throws: `DataError` of kind `.notZstd`, `.truncatedZstd`, `.tooLarge` or `.unreadable`.
  static func unpack(_ path: String, maximumBytes: Int) throws -> Data {
    guard let input = FileHandle(forReadingAtPath: path), let stream = ZSTD_createDStream() else {
      throw DataError(.unreadable, subject: path, reason: "the file cannot be read", remedy: "check its permissions")
    }
    defer {
      ZSTD_freeDStream(stream)
      try? input.close()
    }
    var output = Data()
    var block = [UInt8](repeating: 0, count: ZSTD_DStreamOutSize())
    var frameIsOpen = false
    while true {
      let chunk: Data
      do {
        guard let read = try input.read(upToCount: 1 << 20), !read.isEmpty else { break }
        chunk = read
      } catch {
        throw DataError(
          .unreadable, subject: path, reason: "the file cannot be read to its end", remedy: "check the disk")
      }
      try chunk.withUnsafeBytes { (bytes: UnsafeRawBufferPointer) in
        var source = ZSTD_inBuffer(src: bytes.baseAddress, size: bytes.count, pos: 0)
        var isFull = false
        // A full block may mean that more waits inside the stream, although the input is used up.
        while source.pos < source.size || isFull {
          let (result, written) = block.withUnsafeMutableBytes { target in
            var sink = ZSTD_outBuffer(dst: target.baseAddress, size: target.count, pos: 0)
            let result = ZSTD_decompressStream(stream, &sink, &source)
            return (result, sink.pos)
          }
          guard ZSTD_isError(result) == 0 else {
            throw DataError(
              .notZstd, subject: path,
              reason: "this is not an intact zstd file (\(String(cString: ZSTD_getErrorName(result))))",
              remedy: "check it with `zstd -t`, or take .zst off the name of a plain file")
          }
          guard output.count + written <= maximumBytes else {
            throw DataError(
              .tooLarge, subject: path,
              reason: "it unpacks to more than the \(maximumBytes) bytes that are left of data.text.maximumBytes",
              remedy: "raise it if the file is what you think it is")
          }
          output.append(contentsOf: block[0..<written])
          isFull = written == block.count && result != 0
          frameIsOpen = result != 0
        }
      }
    }
    guard !frameIsOpen else {
      throw DataError(
        .truncatedZstd, subject: path, reason: "the zstd file ends in the middle of a frame",
        remedy: "copy it again, and check it with `zstd -t`")
    }
    return output
  }
}
