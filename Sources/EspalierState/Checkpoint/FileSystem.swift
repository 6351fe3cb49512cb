import EspalierTensor
internal import Glibc

/// Every call that checkpoints make to the file system.
///
/// An `answer` is asked for before each call and may fail it, or cut it short; an `observer` hears of each call that changed
/// something. That is how tests make the k-th call of a save fail, or all from the k-th on as a killed process would, and how
/// they work out what a power cut would leave.
package struct FileSystem: Sendable {
  package enum Call: String, Sendable {
    case open, create, read, write, sync, makeDirectory, list, status, rename, removeFile, removeDirectory, lock
    case truncate, link
  }
  /// An `errno` to fail with instead of calling; 0 goes ahead.
  package typealias Gate = @Sendable (_ call: Call, _ path: String) -> Int32

  package enum Answer: Sendable, Equatable {
    case proceed
    /// With an `errno`, instead of calling.
    case fail(Int32)
    /// A read or a write of half of what was asked for, at least a byte; everything else proceeds.
    case partial
  }

  /// A call that succeeded and changed something, or made it durable.
  package struct Event: Sendable, Equatable {
    package let call: Call
    package let path: String
    /// The new name, for a rename or a link.
    package let target: String
    /// What a write appended.
    package let bytes: [UInt8]

    package init(_ call: Call, _ path: String, target: String = "", bytes: [UInt8] = []) {
      self.call = call
      self.path = path
      self.target = target
      self.bytes = bytes
    }
  }

  package enum Kind: Sendable { case missing, regular, directory, other }

  package static let real = FileSystem()

  /// From here on the disk is asked to begin after a write.
  private static let largeWrite = 64 << 10

  private let answer: (@Sendable (_ call: Call, _ path: String) -> Answer)?
  private let observer: (@Sendable (Event) -> Void)?
  private let syncs: Bool

  /// - Parameter syncs: false leaves out every wait for stable storage. For measuring what they cost, and for nothing else.
  package init(gate: Gate? = nil, syncs: Bool = true) {
    self.syncs = syncs
    observer = nil
    guard let gate else {
      answer = nil
      return
    }
    answer = { call, path in
      let code = gate(call, path)
      return code == 0 ? .proceed : .fail(code)
    }
  }

  private init(
    _ answer: (@Sendable (_ call: Call, _ path: String) -> Answer)?, _ observer: (@Sendable (Event) -> Void)?
  ) {
    syncs = true
    self.answer = answer
    self.observer = observer
  }

  package static func watched(
    answering answer: (@Sendable (_ call: Call, _ path: String) -> Answer)? = nil,
    observing observer: (@Sendable (Event) -> Void)? = nil
  ) -> FileSystem { FileSystem(answer, observer) }

  // MARK: Opening

  /// A folder that the user named; symbolic links on the way are followed.
  func openDirectory(_ path: String) throws -> OpenFile {
    try open(.open, path) { Glibc.open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) }
  }

  /// A folder inside `parent`; a symbolic link is refused.
  func openDirectory(_ name: String, in parent: OpenFile) throws -> OpenFile {
    let path = parent.path + "/" + name
    return try open(.open, path) {
      openat(parent.descriptor, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
    }
  }

  /// A regular file inside `parent` and its length; anything else is refused, and never waited for (a pipe).
  func openFile(_ name: String, in parent: OpenFile) throws -> (file: OpenFile, length: Int) {
    let path = parent.path + "/" + name
    let file = try open(.open, path) { openat(parent.descriptor, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC) }
    var status = stat()
    try check(.status, path) { fstat(file.descriptor, &status) }
    guard status.st_mode & S_IFMT == S_IFREG else {
      throw CheckpointError(
        .notRegularFile, file: path, reason: "it is not a regular file", remedy: CheckpointError.damagedRemedy)
    }
    return (file, Int(status.st_size))
  }

  /// A regular file that the user named, and its length; symbolic links on the way are followed.
  func openFile(named path: String) throws -> (file: OpenFile, length: Int) {
    let file = try open(.open, path) { Glibc.open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC) }
    var status = stat()
    try check(.status, path) { fstat(file.descriptor, &status) }
    guard status.st_mode & S_IFMT == S_IFREG else {
      throw CheckpointError(.notRegularFile, file: path, reason: "it is not a regular file", remedy: "name a file")
    }
    return (file, Int(status.st_size))
  }

  /// A new file, for writing; fails if there is one.
  func create(_ path: String) throws -> OpenFile {
    let file = try open(.create, path) {
      Glibc.open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o644)
    }
    observer?(Event(.create, path))
    return file
  }

  /// A file to lock and rewrite, made if there is none.
  func openOrCreate(_ path: String) throws -> OpenFile {
    try open(.create, path) { Glibc.open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0o644) }
  }

  // MARK: Bytes

  /// Fills `buffer` from `offset`; a file that ends before is `truncated`.
  func read(_ file: OpenFile, into buffer: UnsafeMutableRawBufferPointer, at offset: Int) throws {
    var done = 0
    while done < buffer.count {
      let wanted = try length(of: buffer.count - done, .read, file.path)
      let count = pread(file.descriptor, buffer.baseAddress.map { $0 + done }, wanted, off_t(offset + done))
      if count < 0 {
        if errno == EINTR { continue }
        throw failure(.read, file.path, errno)
      }
      guard count > 0 else {
        throw CheckpointError.damaged(
          .truncated, file: file.path, "it ends at byte \(offset + done), \(buffer.count - done) bytes too early")
      }
      done += count
    }
  }

  func readAll(_ file: OpenFile, length: Int) throws -> [UInt8] {
    guard length > 0 else { return [] }
    return try [UInt8](unsafeUninitializedCapacity: length) { buffer, count in
      try read(
        file, into: UnsafeMutableRawBufferPointer(rebasing: UnsafeMutableRawBufferPointer(buffer)[..<length]), at: 0)
      count = length
    }
  }

  /// Appends all of `bytes`.
  func write(_ file: OpenFile, _ bytes: UnsafeRawBufferPointer) throws {
    var done = 0
    while done < bytes.count {
      let wanted = try length(of: bytes.count - done, .write, file.path)
      let count = ProgressCounter.duringFileOperation {
        Glibc.write(file.descriptor, bytes.baseAddress.map { $0 + done }, wanted)
      }
      if count < 0 {
        if errno == EINTR { continue }
        throw failure(.write, file.path, errno)
      }
      observer?(Event(.write, file.path, bytes: Array(bytes[done..<done + count])))
      done += count
    }
    // The disk begins at once, while the next chunk is encoded, instead of waiting for the sync. Advice: no error counts.
    if syncs, bytes.count >= Self.largeWrite { _ = startWriting?(file.descriptor, 0, 0, 2) }
  }

  /// Returns when the file or folder is on stable storage. Nothing can be lost by closing it afterwards.
  func sync(_ file: OpenFile) throws {
    guard syncs else { return }
    try check(.sync, file.path) { ProgressCounter.duringFileOperation { fsync(file.descriptor) } }
    observer?(Event(.sync, file.path))
  }

  /// Returns when all of the file system that holds `path` is on stable storage, whoever wrote it.
  package func syncAll(_ path: String) throws {
    let folder = try openDirectory(path)
    guard let syncFileSystem else {
      Glibc.sync()
      return
    }
    try check(.sync, path) { syncFileSystem(folder.descriptor) }
  }

  func syncDirectory(_ path: String) throws { try sync(openDirectory(path)) }

  /// Writes a small file so that `path` names either what it named before or all of `bytes`.
  package func replace(_ path: String, with bytes: [UInt8]) throws {
    let temporary = Self.temporary(path)
    if try kind(temporary) != .missing { try removeFile(temporary) }
    let file = try create(temporary)
    try bytes.withUnsafeBytes { try write(file, $0) }
    try sync(file)
    try rename(temporary, to: path)
  }

  func truncate(_ file: OpenFile) throws {
    try check(.truncate, file.path) { ftruncate(file.descriptor, 0) }
    observer?(Event(.truncate, file.path))
  }

  // MARK: Names

  func makeDirectory(_ path: String) throws {
    try check(.makeDirectory, path) { mkdir(path, 0o755) }
    observer?(Event(.makeDirectory, path))
  }

  /// Makes the folder, and those above it, unless there is one; each that is made is durable in the one above it.
  func ensureDirectory(_ path: String) throws {
    let parent = Self.parent(of: path)
    do { try makeDirectory(path) } catch let error as CheckpointError where error.kind == .alreadyExists {
      guard try kind(path + "/") == .directory else { throw error }
      return
    } catch let error as CheckpointError where error.kind == .missing {
      guard parent != path else { throw error }
      try ensureDirectory(parent)
      try makeDirectory(path)
    }
    try syncNames(in: parent)
  }

  /// Syncs a folder above the run's own, which need not be readable to be used.
  func syncNames(in path: String) throws {
    do { try syncDirectory(path) } catch let error as CheckpointError where error.kind == .permissionDenied {}
  }

  /// "runs" of "runs/a" and "runs/a/", "." of "a", "/" of "/a".
  static func parent(of path: String) -> String {
    let name = path.lastIndex { $0 != "/" } ?? path.startIndex
    guard let slash = path[..<name].lastIndex(of: "/") else { return path.hasPrefix("/") ? "/" : "." }
    return slash == path.startIndex ? "/" : String(path[..<slash])
  }

  /// The names in a folder, without "." and "..", in no particular order.
  func list(_ path: String) throws -> [String] {
    try ask(.list, path)
    guard let stream = opendir(path) else { throw failure(.list, path, errno) }
    defer { closedir(stream) }
    var names: [String] = []
    while true {
      errno = 0
      guard let entry = readdir(stream) else {
        if errno != 0 { throw failure(.list, path, errno) }
        return names
      }
      let name = withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
        String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
      }
      if name != "." && name != ".." { names.append(name) }
    }
  }

  /// What `path` is, not following a symbolic link.
  func kind(_ path: String) throws -> Kind {
    try ask(.status, path)
    var status = stat()
    guard lstat(path, &status) == 0 else {
      if errno == ENOENT { return .missing }
      throw failure(.status, path, errno)
    }
    switch status.st_mode & S_IFMT {
    case S_IFREG: return .regular
    case S_IFDIR: return .directory
    default: return .other
    }
  }

  /// The same for all names of a file, and for no other file.
  func identity(_ path: String) throws -> String {
    var status = stat()
    try check(.status, path) { lstat(path, &status) }
    return "\(status.st_dev) \(status.st_ino)"
  }

  func rename(_ path: String, to new: String) throws {
    try check(.rename, path) { Glibc.rename(path, new) }
    observer?(Event(.rename, path, target: new))
  }

  /// Renames a folder; `alreadyExists` if there is anything at `new`.
  func renameDirectory(_ path: String, to new: String) throws {
    try ask(.rename, path)
    if let renameNoReplace {
      guard renameNoReplace(AT_FDCWD, path, AT_FDCWD, new, 1) != 0 else {
        observer?(Event(.rename, path, target: new))
        return
      }
      guard errno == EINVAL || errno == ENOSYS else { throw failure(.rename, new, errno) }
    }
    // NFS and a few others do not know the flag. Plain rename never replaces a folder that holds anything.
    guard try kind(new) == .missing else { throw failure(.rename, new, EEXIST) }
    try rename(path, to: new)
  }

  /// A second name for a file; not for what a symbolic link names.
  func link(_ path: String, as new: String) throws {
    try check(.link, new) { Glibc.link(path, new) }
    observer?(Event(.link, path, target: new))
  }

  /// A second file with the bytes of a regular one, on stable storage.
  func copy(_ name: String, in folder: OpenFile, to new: String) throws {
    let (source, length) = try openFile(name, in: folder)
    let target = try create(new)
    let block = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 64)
    defer { block.deallocate() }
    for start in stride(from: 0, to: length, by: block.count) {
      let part = UnsafeMutableRawBufferPointer(rebasing: block[..<min(block.count, length - start)])
      try read(source, into: part, at: start)
      try write(target, UnsafeRawBufferPointer(part))
    }
    try sync(target)
  }

  /// What `replace` writes before it has the name.
  static func temporary(_ path: String) -> String { path + ".tmp" }

  func removeFile(_ path: String) throws {
    try check(.removeFile, path) { ProgressCounter.duringFileOperation { unlink(path) } }
    observer?(Event(.removeFile, path))
  }

  /// Removes a folder and all in it, `first` before everything else; never follows a symbolic link.
  func removeTree(_ path: String, first: [String] = []) throws {
    let names = try list(path)
    for name in first.filter(names.contains) + names.filter({ !first.contains($0) }) {
      let child = path + "/" + name
      if try kind(child) == .directory { try removeTree(child) } else { try removeFile(child) }
    }
    try check(.removeDirectory, path) { rmdir(path) }
    observer?(Event(.removeDirectory, path))
  }

  // MARK: Locks

  /// Takes the lock of an open file without waiting; false if another open file holds it.
  func tryLock(_ file: OpenFile) throws -> Bool {
    try ask(.lock, file.path)
    if flock(file.descriptor, LOCK_EX | LOCK_NB) == 0 { return true }
    if errno == EWOULDBLOCK { return false }
    // A file system without locks: host and pid in the file must do.
    if errno == ENOLCK || errno == ENOSYS || errno == EOPNOTSUPP || errno == EINVAL { return true }
    throw failure(.lock, file.path, errno)
  }

  /// Whether `path` still names the file that is open.
  func isCurrent(_ file: OpenFile) throws -> Bool {
    try ask(.status, file.path)
    var opened = stat()
    var named = stat()
    return fstat(file.descriptor, &opened) == 0 && lstat(file.path, &named) == 0
      && opened.st_ino == named.st_ino && opened.st_dev == named.st_dev
  }

  func length(_ file: OpenFile) throws -> Int {
    var status = stat()
    try check(.status, file.path) { fstat(file.descriptor, &status) }
    return Int(status.st_size)
  }

  // MARK: Failing

  private func ask(_ call: Call, _ path: String) throws { _ = try length(of: 0, call, path) }

  /// How much of `count` bytes to ask the system for.
  private func length(of count: Int, _ call: Call, _ path: String) throws -> Int {
    switch answer?(call, path) ?? .proceed {
    case .proceed: return count
    case .fail(let code): throw failure(call, path, code)
    case .partial: return max(count / 2, min(count, 1))
    }
  }

  private func check(_ call: Call, _ path: String, _ body: () -> Int32) throws {
    try ask(call, path)
    while body() != 0 {
      if errno == EINTR { continue }
      throw failure(call, path, errno)
    }
  }

  private func open(_ call: Call, _ path: String, _ body: () -> Int32) throws -> OpenFile {
    try ask(call, path)
    while true {
      let descriptor = body()
      if descriptor >= 0 { return OpenFile(descriptor: descriptor, path: path) }
      if errno != EINTR { throw failure(call, path, errno) }
    }
  }

  private func failure(_ call: Call, _ path: String, _ code: Int32) -> CheckpointError {
    let kind: CheckpointError.Kind
    let remedy: String
    switch code {
    case ENOSPC, EDQUOT, EFBIG: (kind, remedy) = (.diskFull, "free some space; the next save will try again")
    case EACCES, EPERM, EROFS: (kind, remedy) = (.permissionDenied, "make it accessible to this user")
    case ENOENT: (kind, remedy) = (.missing, "check the path, or use another checkpoint")
    case EEXIST, ENOTEMPTY: (kind, remedy) = (.alreadyExists, "move it away")
    case ELOOP: (kind, remedy) = (.symbolicLink, "put the file itself there: links inside a checkpoint are refused")
    case ENOTDIR: (kind, remedy) = (.notDirectory, "check the path")
    default: (kind, remedy) = (.inputOutput, "check the file system")
    }
    let text = String(cString: strerror(code))
    return CheckpointError(
      kind, file: path, reason: "\(call.rawValue) failed: \(text)", remedy: remedy, errorNumber: code)
  }
}

/// `renameat2`, whose last argument is 1 for RENAME_NOREPLACE. Looked up by name, since Swift's view of glibc leaves out what
/// needs _GNU_SOURCE; nil where the C library has none.
private let renameNoReplace:
  (@convention(c) (Int32, UnsafePointer<CChar>, Int32, UnsafePointer<CChar>, UInt32) -> Int32)? =
    dlsym(nil, "renameat2").map {
      unsafeBitCast(
        $0, to: (@convention(c) (Int32, UnsafePointer<CChar>, Int32, UnsafePointer<CChar>, UInt32) -> Int32).self)
    }

/// `syncfs`, likewise.
private let syncFileSystem: (@convention(c) (Int32) -> Int32)? =
  dlsym(nil, "syncfs").map { unsafeBitCast($0, to: (@convention(c) (Int32) -> Int32).self) }

/// `sync_file_range`, whose last argument is 2 for SYNC_FILE_RANGE_WRITE and whose first 0 and 0 mean all of the file.
private let startWriting: (@convention(c) (Int32, Int64, Int64, UInt32) -> Int32)? =
  dlsym(nil, "sync_file_range").map {
    unsafeBitCast($0, to: (@convention(c) (Int32, Int64, Int64, UInt32) -> Int32).self)
  }

/// An open file or folder; closed with its last reference.
final class OpenFile: Sendable {
  let descriptor: Int32
  let path: String

  init(descriptor: Int32, path: String) {
    self.descriptor = descriptor
    self.path = path
  }

  deinit { _ = Glibc.close(descriptor) }
}
