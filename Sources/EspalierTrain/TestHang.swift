import Foundation

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// Makes one rank hang on purpose, so that tests can see what the others say: ESPALIER_TEST_HANG="rank=1 step=5 segment=blocks.0 kind=loop".
///
/// Without more it strikes before the step's first pass, with `segment` where the backward pass enters that segment, with `work` in the midst of
/// what methods do between steps, `step` being the one before. Kinds: loop (the default, an endless loop), stop (SIGSTOP), kill (SIGKILL).
struct TestHang: Sendable, Equatable {
  enum Kind: String, Sendable { case loop, stop, kill }

  enum Place: Equatable {
    /// Before the step's first pass.
    case step
    /// Where the backward pass enters a segment.
    case segment(String)
    /// After the first batch, or the first layer, of what a method does between steps.
    case work(BetweenSteps)
  }

  let rank: Int
  let step: Int
  let place: Place
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
    if let name = fields["work"] {
      guard let work = BetweenSteps(rawValue: String(name)) else { return nil }
      place = .work(work)
    } else {
      place = fields["segment"].map { .segment(String($0)) } ?? .step
    }
  }

  /// Does not return where rank, step and place are those that were asked for.
  func strike(rank: Int, step: Int, _ place: Place = .step) {
    guard rank == self.rank, step == self.step, place == self.place else { return }
    switch kind {
    case .loop: while getppid() >= 0 {}
    case .stop: kill(getpid(), SIGSTOP)
    case .kill: kill(getpid(), SIGKILL)
    }
  }
}
