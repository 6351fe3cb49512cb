/// A file that appears under its name whole and on stable storage, or not at all; never in the place of another.
final class NewFile {
  let path: String
  private let temporary: String
  private let file: OpenFile
  private let fileSystem: FileSystem
  private var isDone = false

  /// - Throws: `InterchangeError` of kind `.alreadyExists`, or `CheckpointError` of the kinds of the file system.
  init(_ path: String, fileSystem: FileSystem) throws {
    self.path = path
    self.fileSystem = fileSystem
    guard try fileSystem.kind(path) == .missing else { throw Self.taken(path) }
    temporary = "\(path).tmp-\(hexadecimal(UInt64.random(in: .min ... .max)))"
    file = try fileSystem.create(temporary)
  }

  func append(_ bytes: UnsafeRawBufferPointer) throws { try fileSystem.write(file, bytes) }

  func append(_ bytes: [UInt8]) throws { try bytes.withUnsafeBytes { try append($0) } }

  /// Gives the file its name.
  func publish() throws {
    try fileSystem.sync(file)
    do { try fileSystem.renameDirectory(temporary, to: path) } catch let error as CheckpointError
      where error.kind == .alreadyExists
    { throw Self.taken(path) }
    isDone = true
    try fileSystem.syncDirectory(parentFolder(of: path))
  }

  deinit {
    // Nobody waits for what was not finished; if it cannot be removed, its name says what it is.
    if !isDone { try? fileSystem.removeFile(temporary) }
  }

  private static func taken(_ path: String) -> InterchangeError {
    InterchangeError(
      .alreadyExists, file: path, reason: "there is a file of this name, and nothing is written over one",
      remedy: "move it away, or choose another name")
  }
}

/// The folder that a path lies in.
func parentFolder(of path: String) -> String {
  guard let slash = path.lastIndex(of: "/") else { return "." }
  return slash == path.startIndex ? "/" : String(path[..<slash])
}
