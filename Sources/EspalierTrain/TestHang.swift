import Foundation

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// Makes one rank hang on purpose, so that tests can see what the others say: ESPALIER_TEST_HANG="rank=1 step=5 segment=blocks.0 kind=loop".
///
/// Without `segment` it strikes before the step's first pass, with it where the backward pass enters that segment. Kinds: loop (the default, an
/// endless loop), stop (SIGSTOP), kill (SIGKILL).
struct TestHang: Sendable, Equatable {
  enum Kind: String, Sendable { case loop, stop, kill }

  let rank: Int
  let step: Int
  /// Empty: before the first pass.
  let segment: String
  let kind: Kind

  /// Nil where the variable is not set or makes no sense.
  init?(_ text: String? = ProcessInfo.processInfo.environment["ESPALIER_TEST_HANG"]) {
    guard let text else { return nil }
    var fields: [Substring: Substring] = [:]
    for word in text.split(separator: " ") {
      let halves = word.split(separator: "=", maxSplits: 1)
      guard halves.count == 2 else { return nil }
      fields[halves[0]] = halves[1]
    }
    guard let rank = fields["rank"].flatMap({ Int($0) }), let step = fields["step"].flatMap({ Int($0) }),
      let kind = Kind(rawValue: String(fields["kind"] ?? "loop"))
    else { return nil }
    (self.rank, self.step, self.kind) = (rank, step, kind)
    segment = String(fields["segment"] ?? "")
  }

  /// Does not return where rank, step and segment are those that were asked for.
  func strike(rank: Int, step: Int, segment: String = "") {
    guard rank == self.rank, step == self.step, segment == self.segment else { return }
    switch kind {
    case .loop: while getppid() >= 0 {}
    case .stop: kill(getpid(), SIGSTOP)
    case .kill: kill(getpid(), SIGKILL)
    }
  }
}
