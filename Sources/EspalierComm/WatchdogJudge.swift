/// Decides from what is heard of the ranks whether one of them is gone, stopped or stuck; a value, without clocks or sockets.
///
/// The time that is passed in may have any origin, but must not run while the watchdog itself does not (see `forgive`).
package struct WatchdogJudge: Sendable {
  package struct Limits: Sendable {
    /// How long a rank that others wait for may stand still; 0 = for ever.
    package var deadlineSeconds = 60.0
    /// How long a rank may be silent.
    package var silenceSeconds = 5.0
    /// How much longer one whose process is seen to run: a machine that thrashes is no dead one.
    package var patience = 6.0
    /// How much longer one of which the kernel knows nothing: when a network is cut, the side of rank 0 speaks first.
    package var deferenceSeconds = 0.0
    /// How long to wait after an end without farewell for one that is still on its way.
    package var graceSeconds = 0.15

    package init() {}
  }

  /// What is wrong, and with whom.
  package enum Finding: Sendable, Equatable {
    /// Its process has ended without a farewell.
    case gone(Int)
    /// Its process is stopped, and so were its heartbeats for this many seconds.
    case stopped(Int, Double)
    /// Nothing has been heard of it for this many seconds, and nothing else is known.
    case silent(Int, Double)
    /// They have stood still for at least this many seconds and owe a collective.
    case stuck([Int], Double)
    /// The second is in another collective than the first at the same place of the order.
    case diverged(Int, Int, Double)
    /// It failed, said why, and the job has not ended.
    case failed(Int)

    /// The ranks that it is about.
    package var ranks: [Int] {
      switch self {
      case .gone(let rank), .stopped(let rank, _), .silent(let rank, _), .failed(let rank): [rank]
      case .stuck(let ranks, _): ranks
      case .diverged(let first, let second, _): [first, second]
      }
    }
  }

  private struct Peer: Sendable {
    var status: FlightStatus?
    var heardAt = 0.0
    /// Nil where the kernel cannot be asked: another host.
    var process: PeerProcess?
    var processSince = 0.0
  }

  private let limits: Limits
  /// The ranks that are watched.
  private let subjects: [Int]
  private var peers: [Int: Peer]

  package init(_ subjects: [Int], _ limits: Limits) {
    self.subjects = subjects
    self.limits = limits
    peers = Dictionary(uniqueKeysWithValues: subjects.map { ($0, Peer()) })
  }

  /// A rank has told where it is.
  package mutating func hear(_ status: FlightStatus, from rank: Int, at now: Double) {
    // A late datagram does not put back what is known.
    if let known = peers[rank]?.status, known.generation > status.generation { return }
    peers[rank]?.status = status
    peers[rank]?.heardAt = now
  }

  /// The kernel has told how a rank's process is.
  package mutating func see(_ process: PeerProcess, of rank: Int, at now: Double) {
    guard peers[rank]?.process != process else { return }
    peers[rank]?.process = process
    peers[rank]?.processSince = now
  }

  /// The watchdog itself did not run for so long; nobody is to blame for what it did not hear meanwhile.
  package mutating func forgive(_ seconds: Double) {
    for rank in subjects {
      peers[rank]?.heardAt += seconds
      peers[rank]?.processSince += seconds
    }
  }

  /// Where a rank was when it was last heard of.
  package func status(of rank: Int) -> FlightStatus? { peers[rank]?.status }

  /// A rank's own clock now, as far as can be told.
  package func clock(of rank: Int, at now: Double) -> UInt64 {
    guard let peer = peers[rank], let status = peer.status else { return 0 }
    return status.beatAt + UInt64(max(0, now - peer.heardAt) * 1e9)
  }

  /// Ranks of which nothing has been heard so far.
  package var unheard: [Int] { subjects.filter { peers[$0]?.status == nil } }

  /// What is wrong now, the surest first; nil while nothing is.
  package func finding(at now: Double) -> Finding? {
    for rank in subjects {
      if let finding = life(of: rank, at: now) { return finding }
    }
    guard limits.deadlineSeconds > 0 else { return nil }
    return divergence(at: now) ?? standstill(at: now)
  }

  private func life(of rank: Int, at now: Double) -> Finding? {
    guard let peer = peers[rank], let status = peer.status, status.end != .finished else { return nil }
    let silence = now - peer.heardAt
    if status.end != .none { return silence >= limits.silenceSeconds ? .failed(rank) : nil }
    switch peer.process {
    case .gone: return now - peer.processSince >= limits.graceSeconds ? .gone(rank) : nil
    case .stopped: return silence >= limits.silenceSeconds ? .stopped(rank, silence) : nil
    case .running: return silence >= limits.silenceSeconds * limits.patience ? .silent(rank, silence) : nil
    case nil: return silence >= limits.silenceSeconds + limits.deferenceSeconds ? .silent(rank, silence) : nil
    }
  }

  /// Ranks whose news is fresh enough to accuse them.
  private func present(at now: Double) -> [(rank: Int, status: FlightStatus, clock: UInt64)] {
    subjects.compactMap { rank in
      guard let peer = peers[rank], let status = peer.status, status.end == .none,
        now - peer.heardAt < limits.silenceSeconds / 2
      else { return nil }
      return (rank, status, clock(of: rank, at: now))
    }
  }

  /// Two ranks that have been in different collectives of the same sequence for the deadline.
  private func divergence(at now: Double) -> Finding? {
    let inside = present(at: now).filter { $0.status.inCurrent(at: $0.clock) >= limits.deadlineSeconds }
    for (index, first) in inside.enumerated() {
      for second in inside[(index + 1)...] {
        if let a = first.status.current, let b = second.status.current, a.sequence == b.sequence, a != b {
          return .diverged(first.rank, second.rank, first.status.inCurrent(at: first.clock))
        }
      }
    }
    return nil
  }

  /// A rank owes a collective when all that it asked for is done and another rank is in a later one. Calls to the file system are no
  /// standstill: a disk may take its time, and the others' own deadlines still hold.
  private func standstill(at now: Double) -> Finding? {
    let present = present(at: now)
    let waiting = present.filter { $0.status.inCurrent(at: $0.clock) >= limits.deadlineSeconds }
    let furthest = waiting.compactMap(\.status.current?.sequence).max() ?? -1
    let stuck = present.filter { peer in
      peer.status.owesNext && peer.status.requested <= furthest && peer.status.fileOperations == 0
        && peer.status.standing(at: peer.clock) >= limits.deadlineSeconds
    }
    guard !stuck.isEmpty else { return nil }
    return .stuck(stuck.map(\.rank), stuck.map { $0.status.standing(at: $0.clock) }.min() ?? 0)
  }
}
