internal import Foundation

/// The watchdog of a run: a flight recorder for every rank of this process, and a thread that tells the other ranks, outside MPI, that this one
/// lives and how far it has come.
///
/// Rank 0 judges (`WatchdogJudge`); the others watch rank 0. Whoever finds a rank gone, stopped or stuck prints the verdict once, writes
/// RUN/verdict.txt, tells the others, and ends its process, which the launcher turns into the end of the job.
///
/// ```swift
/// let watchdog = Watchdog(options)
/// communication.observers = watchdog.observers
/// try World.mpi(options: communication) { communicator in
///   try watchdog.begin(communicator)       // collective
///   watchdog.record(in: "runs/first", rank: communicator.rank)
///   …
///   watchdog.finish(communicator.rank)     // after the last collective that all take part in
/// }
/// ```
package final class Watchdog: Sendable {
  package struct Options: Sendable {
    package var limits = WatchdogJudge.Limits()
    package var beatSeconds = 0.5
    /// The progress counter of this process, and how many calls to the file system are under way.
    package var progress: @Sendable () -> (ticks: UInt64, fileOperations: Int) = { (0, 0) }
    /// Prints for a person.
    package var report: @Sendable (String) -> Void = { text in
      try? FileHandle.standardError.write(contentsOf: Data(text.utf8))
    }
    /// Ends this process after a verdict; called on the watchdog's thread.
    package var end: @Sendable (_ sentence: String) -> Void = { _ in
      // What was printed is on its way through the launcher's pipes.
      usleep(200_000)
      _exit(1)
    }

    package init() {}
  }

  /// What is known of the world once all ranks have met.
  struct World: Sendable {
    let members: [Member]
    let contacts: [HeartbeatContact]
    /// Nil where all ranks are threads of this process, or there is but one.
    let link: HeartbeatLink?
  }

  private struct State {
    var recorders: [Int: FlightRecorder] = [:]
    var world: World?
    var run: String?
    var thread: DedicatedThread?
    var isStopping = false
  }

  package let options: Options
  private let state = Monitor(State())

  package init(_ options: Options = Options()) { self.options = options }

  /// For `CommunicationOptions.observers`.
  package var observers: CollectiveObservers {
    { [self] rank, size in
      let recorder = FlightRecorder(rank: rank, size: size)
      state.update { $0.recorders[rank] = recorder }
      return [recorder]
    }
  }

  package func recorder(of rank: Int) -> FlightRecorder? { state.read { $0.recorders[rank] } }

  // MARK: Beginning and end

  /// Meets the other ranks' watchdogs and starts to watch. Collective.
  package func begin(_ communicator: Communicator) throws {
    let members = communicator.members, rank = communicator.rank
    let isOneHost = Set(members.map(\.host)).count == 1
    let isOneProcess = isOneHost && Set(members.map(\.pid)).count == 1
    let socket = isOneProcess ? nil : HeartbeatSocket(loopback: isOneHost)
    if socket == nil, !isOneProcess {
      options.report(
        "warning: rank \(rank) has no socket for heartbeats (\(String(cString: strerror(errno)))): a hang of it is found late\n"
      )
    }
    let mine = HeartbeatContact(
      addresses: socket?.addresses ?? [], port: socket?.port ?? 0,
      startTicks: PeerProcess.startTicks(of: Int(getpid())) ?? 0, token: UInt64.random(in: .min ... .max))
    let encoded = Array(try JSONEncoder().encode(mine))
    let contacts = try communicator.allGather(bytes: encoded, label: "addresses of watchdogs").wait().map {
      try JSONDecoder().decode(HeartbeatContact.self, from: Data($0))
    }
    let world = World(
      members: members, contacts: contacts,
      link: socket.map { HeartbeatLink($0, rank: rank, contacts: contacts) })
    state.update { $0.world = world }
    // Threads of one process have one watchdog, which reads their recorders.
    guard rank == 0 || !isOneProcess else { return }
    let thread = DedicatedThread(named: "watchdog", stackBytes: 1 << 20) { [self] in
      WatchdogThread(self, world, rank: rank).run()
    }
    state.update { $0.thread = thread }
  }

  /// Clears what an earlier run left behind; for the rank that holds the run's lock, before any rank records.
  package static func prepare(run: String) {
    // What is missing or cannot be removed is replaced or shows when a rank records.
    try? FileManager.default.createDirectory(atPath: Flight.folder(run), withIntermediateDirectories: true)
    for name in (try? FileManager.default.contentsOfDirectory(atPath: Flight.folder(run))) ?? []
    where name.hasPrefix("rank-") {
      unlink(Flight.folder(run) + "/" + name)
    }
    unlink(verdictPath(run))
  }

  /// Where the verdict of a run lies.
  package static func verdictPath(_ run: String) -> String { run + "/verdict.txt" }

  /// Puts a rank's recording into RUN/flight, which `prepare` has made.
  package func record(in run: String, rank: Int) {
    state.update { $0.run = run }
    do { try recorder(of: rank)?.attach(to: Flight.path(run: run, rank: rank)) } catch {
      options.report("warning: \(error)\n")
    }
  }

  /// A rank has passed the last collective that all take part in: it may go without being missed.
  package func finish(_ rank: Int) {
    guard let recorder = recorder(of: rank) else { return }
    recorder.end(.finished)
    tellFarewell(recorder)
    let thread = state.update { state -> DedicatedThread? in
      let isLast = state.recorders.values.allSatisfy { $0.now.end != .none }
      if isLast { state.isStopping = true }
      return isLast ? state.thread : nil
    }
    thread?.join(atMost: 2)
  }

  /// This process fails with an error that it prints itself: the others need no verdict for its end.
  package func fail(_ error: any Error) {
    let open = state.read { $0.recorders.values.filter { $0.now.end == .none } }
    for recorder in open {
      recorder.end(.failed, words: "\(error)")
      tellFarewell(recorder)
    }
    if let error = error as? CommunicationError, error.kind == .collectivesDiffer || error.kind == .deadlineExpired {
      let table = witnesses(nil).map { Verdict.line($0) }
      _ = claim("verdict: \(error)\n" + table.map { "  \($0)\n" }.joined())
    }
    state.update { $0.isStopping = $0.world?.link == nil }
  }

  private func tellFarewell(_ recorder: FlightRecorder) {
    guard let world = state.read({ $0.world }), let link = world.link else { return }
    // Datagrams may be lost; three rarely are.
    for _ in 0..<3 {
      for peer in recorder.rank == 0 ? Array(1..<max(world.members.count, 1)) : [0] {
        link.send(.farewell, recorder.block, to: peer)
      }
    }
  }

  // MARK: For the thread

  var isStopping: Bool { state.read { $0.isStopping } }

  /// Sleeps, but not beyond the end of the watch.
  func rest(_ seconds: Double) { _ = state.wait(atMost: seconds) { $0.isStopping ? true : nil } }

  /// Every recorder of this process.
  var recorders: [FlightRecorder] { state.read { $0.recorders.values.sorted { $0.rank < $1.rank } } }

  /// Every rank, as well as it is known: from its own recorder, from its last heartbeat, or from its flight file, whichever is newest.
  func witnesses(_ judge: WatchdogJudge?, at now: Double = 0) -> [Verdict.Witness] {
    guard let world = state.read({ $0.world }) else { return [] }
    let run = state.read { $0.run }, here = PeerProcess.hostName()
    return world.members.map { member in
      let own = recorder(of: member.rank)?.now, heard = judge?.status(of: member.rank)
      let filed = own == nil ? run.flatMap { try? Flight(path: Flight.path(run: $0, rank: member.rank)).status } : nil
      let status = [own, heard, filed].compactMap { $0 }.filter { $0.pid == member.pid }
        .max { $0.generation < $1.generation }
      var clock = status?.beatAt ?? 0
      if member.host == here {
        clock = FlightClock.monotonic()
      } else if let judge, heard != nil {
        clock = judge.clock(of: member.rank, at: now)
      }
      return Verdict.Witness(member: member, status: status, clock: clock)
    }
  }

  /// Writes verdict.txt unless somebody has.
  /// - Returns: whether the verdict is this rank's to print.
  func claim(_ text: String) -> Bool {
    guard let run = state.read({ $0.run }) else { return true }
    let file = open(Self.verdictPath(run), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o644)
    guard file >= 0 else { return errno != EEXIST }
    _ = Array(text.utf8).withUnsafeBytes { write(file, $0.baseAddress, $0.count) }
    close(file)
    return true
  }
}
