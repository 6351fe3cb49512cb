internal import Glibc

/// The claim of one trainer on a run directory, held until `release` or the end of the process.
///
/// The file RUN/lock names host, pid and start time. It is also locked with `flock`, which the kernel releases when the
/// process dies, and which settles races between two that find the same stale file.
package final class RunLock: Sendable {
  package struct Holder: Codable, Sendable, Equatable, CustomStringConvertible {
    package let host: String
    package let pid: Int
    /// Of the process, in clock ticks since the host's start: tells a process from a later one with its number.
    package let startTicks: Int
    /// When the lock was taken.
    package let since: String

    package var description: String { "process \(pid) on \(host), since \(since)" }
  }

  package let holder: Holder
  /// What there is to say of the lock that was there before.
  package let note: String?
  private let file: OpenFile
  private let fileSystem: FileSystem

  /// Takes the lock of a run.
  /// - Parameter breakLock: also from a trainer on another host, of which this one cannot know whether it lives.
  /// - Throws: `CheckpointError`, kind `locked` or `lockedElsewhere`, naming host and pid.
  package init(run: String, breakLock: Bool = false, fileSystem: FileSystem = .real) throws {
    let path = run + "/lock"
    let own = Holder(
      host: hostName(), pid: Int(getpid()), startTicks: Self.startTicks(of: Int(getpid())) ?? 0, since: timestamp())
    while true {
      let file = try fileSystem.openOrCreate(path)
      let isFree = try fileSystem.tryLock(file)
      let found = try Self.read(file, fileSystem)
      guard isFree else { throw Self.refusal(path, found) }
      // Whoever held it may have removed the file between our opening and locking it.
      guard try fileSystem.isCurrent(file) else { continue }
      var note: String?
      if let found {
        if found.host != own.host {
          guard breakLock else {
            throw CheckpointError(
              .lockedElsewhere, file: path, reason: "the run is in use by \(found)",
              remedy: "stop it there; if it is dead, take the run with --break-lock")
          }
          note = "the lock of \(found) was broken"
        } else if Self.startTicks(of: found.pid) == found.startTicks, found.pid != own.pid {
          throw Self.refusal(path, found)
        } else {
          note = "the lock of \(found), which has ended, was taken over"
        }
      }
      try fileSystem.truncate(file)
      let json = StrictJSON.object([
        .init("host", .string(own.host)), .init("pid", .integer(own.pid)), .init("start", .integer(own.startTicks)),
        .init("since", .string(own.since)),
      ])
      try json.canonical.withUnsafeBytes { try fileSystem.write(file, $0) }
      try fileSystem.sync(file)
      (holder, self.note, self.file, self.fileSystem) = (own, note, file, fileSystem)
      return
    }
  }

  /// Gives the run up. Removing the file comes before unlocking it, which `deinit` does.
  package func release() throws {
    if try fileSystem.isCurrent(file) { try fileSystem.removeFile(file.path) }
  }

  /// Who holds a run, as far as this host can tell without touching the lock.
  package enum Status: Sendable, Equatable {
    case free
    case held(Holder)
    /// Its process has ended without giving the run up.
    case abandoned(Holder)
    /// By a process of another host, which this one cannot see.
    case elsewhere(Holder)
  }

  /// Reads the lock of a run and looks for its process; takes nothing, so a trainer that starts meanwhile is not disturbed.
  package static func status(of run: String) -> Status {
    guard let file = fopen(run + "/lock", "r") else { return .free }
    defer { fclose(file) }
    var buffer = [UInt8](repeating: 0, count: 4096)
    let count = fread(&buffer, 1, buffer.count, file)
    guard count > 0, let holder = holder(in: Array(buffer[..<count])) else { return .free }
    guard holder.host == hostName() else { return .elsewhere(holder) }
    return startTicks(of: holder.pid) == holder.startTicks ? .held(holder) : .abandoned(holder)
  }

  /// Whether the lock of a run is the one that this holder wrote, which may live on another host.
  package static func isHeld(_ run: String, by holder: Holder) -> Bool {
    guard let file = fopen(run + "/lock", "r") else { return false }
    defer { fclose(file) }
    var buffer = [UInt8](repeating: 0, count: 4096)
    let count = fread(&buffer, 1, buffer.count, file)
    return Self.holder(in: Array(buffer[..<count])) == holder
  }

  private static func refusal(_ path: String, _ holder: Holder?) -> CheckpointError {
    CheckpointError(
      .locked, file: path, reason: "the run is in use by \(holder.map { "\($0)" } ?? "another process")",
      remedy: "wait for it or stop it, or choose another run directory")
  }

  /// Nil for a file that is new, or was cut off by a crash while it was written.
  private static func read(_ file: OpenFile, _ fileSystem: FileSystem) throws -> Holder? {
    let length = try fileSystem.length(file)
    return length > 0 && length < 4096 ? holder(in: try fileSystem.readAll(file, length: length)) : nil
  }

  private static func holder(in bytes: [UInt8]) -> Holder? {
    guard let json = try? StrictJSON(parsing: bytes), let host = json["host"]?.text, let pid = json["pid"]?.integer,
      let start = json["start"]?.integer,
      let since = json["since"]?.text
    else { return nil }
    return Holder(host: host, pid: pid, startTicks: start, since: since)
  }

  /// Field 22 of /proc/PID/stat; nil if there is no such process, or one that is dead and only waits to be reaped.
  private static func startTicks(of pid: Int) -> Int? {
    guard let file = fopen("/proc/\(pid)/stat", "r") else { return nil }
    defer { fclose(file) }
    var buffer = [UInt8](repeating: 0, count: 4096)
    let count = fread(&buffer, 1, buffer.count, file)
    // The second field is the command in parentheses, and may hold anything: count from behind the last one.
    guard let end = buffer[..<count].lastIndex(of: UInt8(ascii: ")")) else { return nil }
    let fields = buffer[(end + 1)..<count].split(separator: UInt8(ascii: " "))
    guard fields.count > 19, ![UInt8(ascii: "Z"), UInt8(ascii: "X")].contains(fields[0].first) else { return nil }
    return Int(String(decoding: fields[19], as: UTF8.self))
  }
}

/// The time in UTC: "2026-11-23T17:42:25Z".
package func timestamp() -> String {
  var now = time(nil)
  var parts = tm()
  gmtime_r(&now, &parts)
  func two(_ value: Int32) -> String { (value < 10 ? "0" : "") + String(value) }
  return "\(parts.tm_year + 1900)-\(two(parts.tm_mon + 1))-\(two(parts.tm_mday))T"
    + "\(two(parts.tm_hour)):\(two(parts.tm_min)):\(two(parts.tm_sec))Z"
}
