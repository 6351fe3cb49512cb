import EspalierComm
import EspalierState
import Foundation
import Synchronization

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// Kills processes in the midst of a save, so that trials can see what is left: ESPALIER_TEST_KILL="rank=0 call=57 victim=all".
///
/// It strikes when the rank makes so many file-system calls for saves, counted from 1 since the process began. Victims, all by SIGKILL: self
/// (the default, the rank's process), all (every rank's process on this host, its own last), parent (the launcher).
struct TestKill: Sendable, Equatable {
  enum Victim: String, Sendable { case own = "self", all, parent }

  let rank: Int
  let call: Int
  let victim: Victim

  /// Nil where the variable is not set or makes no sense.
  init?(_ text: String? = ProcessInfo.processInfo.environment["ESPALIER_TEST_KILL"]) {
    guard let text else { return nil }
    var fields: [Substring: Substring] = [:]
    for word in text.split(separator: " ") {
      let halves = word.split(separator: "=", maxSplits: 1)
      guard halves.count == 2 else { return nil }
      fields[halves[0]] = halves[1]
    }
    guard let rank = fields["rank"].flatMap({ Int($0) }), let call = fields["call"].flatMap({ Int($0) }),
      let victim = Victim(rawValue: String(fields["victim"] ?? "self"))
    else { return nil }
    (self.rank, self.call, self.victim) = (rank, call, victim)
  }

  /// What the saves of a rank are to use; nil on the other ranks.
  func fileSystem(_ communicator: Communicator) -> FileSystem? {
    guard communicator.rank == rank else { return nil }
    let own = getpid(), host = communicator.members[rank].host
    let others = communicator.members.filter { $0.host == host && $0.pid != Int(own) }.map { pid_t($0.pid) }
    let counter = CallCounter()
    return FileSystem { [call, victim] _, _ in
      guard counter.next() == call else { return 0 }
      switch victim {
      case .own: kill(own, SIGKILL)
      case .all:
        for other in others { kill(other, SIGKILL) }
        kill(own, SIGKILL)
      case .parent: kill(getppid(), SIGKILL)
      }
      return 0
    }
  }
}

private final class CallCounter: Sendable {
  private let count = Atomic(0)
  func next() -> Int { count.add(1, ordering: .relaxed).newValue }
}
