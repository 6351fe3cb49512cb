/// XOR of the shards of one save, each padded with zeros to the longest: from it and all shards but one, that one can be had again.
///
/// Files of other saves (`frozen/`) take no part. Memory is one block and one buffer, however large and many the shards are.
struct ShardParity {
  static let file = CheckpointFormat.parityFolder + "/p0.esp"
  private static let blockBytes = 4 << 20
  private static let bufferBytes = 1 << 20

  let folder: String
  let directory: OpenFile
  let fileSystem: FileSystem
  let record: ParityRecord?

  init(_ frame: CheckpointFrame) {
    folder = frame.path
    directory = frame.folder
    fileSystem = frame.fileSystem
    record = frame.manifest.parity
  }

  init(folder: String, fileSystem: FileSystem) throws {
    self.folder = folder
    directory = try fileSystem.openDirectory(folder)
    self.fileSystem = fileSystem
    record = nil
  }

  // MARK: Writing

  /// Writes the parity of `shards` into a prepared save; on stable storage when this returns.
  /// - Parameter shards: files below the folder, as the manifest names them.
  func write(_ shards: [String]) throws -> ParityRecord {
    let parent = "\(folder)/\(CheckpointFormat.parityFolder)"
    if try fileSystem.kind(parent) == .missing { try fileSystem.makeDirectory(parent) }
    let output = try fileSystem.create("\(folder)/\(Self.file)")
    let (bytes, checksum) = try combine(shards.filter(Self.isCovered)) { try fileSystem.write(output, $0) }
    try fileSystem.sync(output)
    try fileSystem.syncDirectory(parent)
    return ParityRecord(file: Self.file, bytes: bytes, checksum: checksum)
  }

  /// Whether a file of the manifest takes part.
  static func isCovered(_ file: String) -> Bool {
    Manifest.Shard.isAllowed(file, in: [CheckpointFormat.shardFolder])
  }

  // MARK: Checking

  /// Length and, if `full`, checksum of the parity file.
  /// - Throws: what is wrong.
  func check(full: Bool) throws {
    guard let record else { return }
    let (file, length) = try open(record.file)
    guard length == record.bytes else {
      throw CheckpointError.damaged(
        length < record.bytes ? .truncated : .wrongLength, file: file.path,
        "it has \(length) bytes instead of \(record.bytes)")
    }
    guard full else { return }
    let checksum = try combine([record.file]) { _ in }.checksum
    guard checksum == record.checksum else {
      throw CheckpointError(
        .checksumMismatch, file: file.path, reason: "its checksum is not the one that the manifest lists",
        remedy: "the shards are not touched by that; `espalier repair` writes it anew")
    }
  }

  // MARK: Combining

  /// The XOR of some files, padded to the longest, block by block.
  /// - Returns: length and checksum of what was given to `receive`.
  func combine(_ files: [String], _ receive: (UnsafeRawBufferPointer) throws -> Void) throws -> (
    bytes: Int, checksum: Checksum
  ) {
    let lengths = try files.map { try open($0).length }
    let total = lengths.max() ?? 0
    let block = UnsafeMutableRawBufferPointer.allocate(byteCount: min(Self.blockBytes, max(total, 1)), alignment: 64)
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: Self.bufferBytes, alignment: 64)
    defer {
      block.deallocate()
      buffer.deallocate()
    }
    let stream = ChecksumStream()
    for start in stride(from: 0, to: total, by: block.count) {
      let part = UnsafeMutableRawBufferPointer(rebasing: block[..<min(block.count, total - start)])
      part.initializeMemory(as: UInt8.self, repeating: 0)
      // Opened for each block: a thousand shards would be too many open files.
      for (file, length) in zip(files, lengths) where length > start {
        let input = try open(file).file
        let end = min(start + part.count, length)
        for position in stride(from: start, to: end, by: buffer.count) {
          let read = UnsafeMutableRawBufferPointer(rebasing: buffer[..<min(buffer.count, end - position)])
          try fileSystem.read(input, into: read, at: position)
          Self.add(
            UnsafeRawBufferPointer(read), to: UnsafeMutableRawBufferPointer(rebasing: part[(position - start)...]))
        }
      }
      let done = UnsafeRawBufferPointer(part)
      stream.add(done)
      try receive(done)
    }
    return (total, stream.checksum)
  }

  private static func add(_ bytes: UnsafeRawBufferPointer, to target: UnsafeMutableRawBufferPointer) {
    let words = bytes.count / 8
    let source = bytes.bindMemory(to: UInt64.self), sum = target.bindMemory(to: UInt64.self)
    for i in 0..<words { sum[i] ^= source[i] }
    for i in words * 8..<bytes.count { target[i] ^= bytes[i] }
  }

  /// A file named in the manifest; links are not followed, neither to it nor to its folder.
  private func open(_ file: String) throws -> (file: OpenFile, length: Int) {
    let parts = file.split(separator: "/").map(String.init)
    guard parts.count == 2 else {
      throw CheckpointError.damaged(.wrongName, file: "\(folder)/\(file)", "it is not in a folder of the checkpoint")
    }
    return try fileSystem.openFile(parts[1], in: fileSystem.openDirectory(parts[0], in: directory))
  }
}
