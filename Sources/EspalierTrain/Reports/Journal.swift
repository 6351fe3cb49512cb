import Foundation

/// metrics.jsonl: what happened in a run, one JSON object a line with sorted keys, written out line by line.
///
/// Rank 0 writes it, from any thread. A resumed run takes lines out that it is going to write again, so the file tells one story.
///
/// `@unchecked Sendable`: `file` is written to with `lock` held.
public final class Journal: @unchecked Sendable {
  public let path: String
  private let file: CInt
  private let lock = NSLock()
  private let clock: @Sendable () -> Double

  /// Opens the journal of a run, or begins it.
  /// - Parameters:
  ///   - completed: the steps that are done. Lines of later steps are removed, and so is a line that a crash tore; for a new run, at
  ///     0, all lines are.
  ///   - clock: seconds since 1970, for the lines' `time`.
  /// - Throws: `JournalError`.
  public init(path: String, completed: Int, clock: @escaping @Sendable () -> Double = ReportClock.wallTime) throws {
    self.path = path
    self.clock = clock
    if completed > 0 { try Self.rewind(path, to: completed) }
    file = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | (completed > 0 ? 0 : O_TRUNC), 0o644)
    guard file >= 0 else { throw JournalError(path, code: errno) }
  }

  deinit { close(file) }

  /// Adds a line; it is with the system when this returns.
  /// - Throws: `JournalError`, as when the disk is full.
  public func append(_ entry: JournalEntry) throws {
    var fields = entry.fields
    fields["kind"] = .text(entry.kind.rawValue)
    fields["step"] = .integer(entry.step)
    try lock.withLock {
      // Read inside the lock, so that times never go backwards from line to line.
      fields["time"] = .number((clock() * 1000).rounded() / 1000)
      try write(Array((SettingValue.mapping(fields).canonicalJSON + "\n").utf8))
    }
  }

  private func write(_ bytes: [UInt8]) throws {
    try bytes.withUnsafeBytes { bytes in
      var rest = bytes[...]
      while !rest.isEmpty {
        let slice = UnsafeRawBufferPointer(rebasing: rest)
        let count = Foundation.write(file, slice.baseAddress, slice.count)
        if count < 0 {
          if errno == EINTR { continue }
          throw JournalError(path, code: errno)
        }
        rest = rest.dropFirst(count)
      }
    }
  }

  /// Keeps the whole lines of the steps that are done. The file is replaced at once, or not at all.
  private static func rewind(_ path: String, to completed: Int) throws {
    guard FileManager.default.fileExists(atPath: path) else { return }
    do {
      let bytes = try Data(contentsOf: URL(filePath: path))
      var kept = Data()
      var lines = bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: true)[...]
      if bytes.last != UInt8(ascii: "\n") { lines = lines.dropLast() }
      for line in lines {
        guard let entry = try? JSONDecoder().decode(StepOnly.self, from: line), entry.step <= completed else {
          continue
        }
        kept.append(line)
        kept.append(UInt8(ascii: "\n"))
      }
      if kept != bytes { try kept.write(to: URL(filePath: path), options: .atomic) }
    } catch {
      let cause = (error as NSError).userInfo[NSUnderlyingErrorKey] as? NSError
      throw JournalError(path, code: cause.map { CInt(truncatingIfNeeded: $0.code) } ?? EIO)
    }
  }

  private struct StepOnly: Decodable { let step: Int }
}

/// The journal cannot be written.
public struct JournalError: Error, Equatable, CustomStringConvertible {
  public enum Kind: Sendable, Equatable { case missingFolder, diskFull, refused, other }

  public let kind: Kind
  public let subject: String
  public let reason: String
  public let remedy: String

  init(_ path: String, code: CInt) {
    subject = path
    reason = String(cString: strerror(code))
    switch code {
    case ENOENT: (kind, remedy) = (.missingFolder, "make the folder of --run first")
    case ENOSPC, EDQUOT: (kind, remedy) = (.diskFull, "free space on that disk, or resume with --run on another")
    case EACCES, EPERM, EROFS:
      (kind, remedy) = (.refused, "check the permissions of that folder, or choose another --run")
    default: (kind, remedy) = (.other, "check that disk, or choose another --run folder")
    }
  }

  public var description: String { "\(subject) cannot be written: \(reason); \(remedy)" }
}
