internal import Foundation

/// What the kernel of this host says of a process.
package enum PeerProcess: Sendable, Equatable {
  case running
  /// By SIGSTOP, a terminal or a debugger.
  case stopped
  /// It has ended, whether or not its parent has noticed.
  case gone

  /// Looks a process up; one that has the number of an ended one is told by its start.
  /// - Parameter startTicks: as `startTicks(of:)` gave when it was known to live; 0 if it is not known.
  package static func look(pid: Int, startTicks: UInt64) -> PeerProcess {
    guard let stat = stat(of: pid) else { return .gone }
    guard startTicks == 0 || stat.startTicks == startTicks else { return .gone }
    return switch stat.state {
    case "Z", "X", "x": .gone
    case "T", "t": .stopped
    default: .running
    }
  }

  /// When a process started, in clock ticks since the host did; nil if there is none of that number.
  package static func startTicks(of pid: Int) -> UInt64? { stat(of: pid)?.startTicks }

  /// Fields 3 and 22 of /proc/PID/stat.
  private static func stat(of pid: Int) -> (state: Character, startTicks: UInt64)? {
    let file = open("/proc/\(pid)/stat", O_RDONLY | O_CLOEXEC)
    guard file >= 0 else { return nil }
    defer { close(file) }
    return withUnsafeTemporaryAllocation(byteCount: 1024, alignment: 8) { buffer in
      let count = read(file, buffer.baseAddress, buffer.count)
      guard count > 0 else { return nil }
      // The second field is the command in parentheses, and may hold anything: count from behind the last one.
      let text = buffer[..<count]
      guard let end = text.lastIndex(of: UInt8(ascii: ")")) else { return nil }
      let fields = text[(end + 1)...].split(separator: UInt8(ascii: " "))
      guard fields.count > 19, let state = fields[0].first,
        let ticks = UInt64(String(decoding: fields[19], as: UTF8.self))
      else { return nil }
      return (Character(UnicodeScalar(state)), ticks)
    }
  }

  /// The kernel's name for this machine.
  static func hostName() -> String {
    withUnsafeTemporaryAllocation(of: CChar.self, capacity: 256) { buffer in
      guard let text = buffer.baseAddress, gethostname(text, 255) == 0 else { return "unknown" }
      text[255] = 0
      return String(cString: text)
    }
  }
}
