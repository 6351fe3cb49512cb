internal import Foundation

/// The life of a watchdog: beat, listen, look at neighbours' processes, judge. Confined to its thread.
final class WatchdogThread {
  private let watchdog: Watchdog
  private let world: Watchdog.World
  private let rank: Int
  private var judge: WatchdogJudge
  /// The watched ranks whose processes this host's kernel knows.
  private let neighbours: [Member]
  private var hasWarned = false
  private let began: Double

  init(_ watchdog: Watchdog, _ world: Watchdog.World, rank: Int) {
    self.watchdog = watchdog
    self.world = world
    self.rank = rank
    began = Self.seconds()
    let isOneProcess = world.link == nil
    let subjects = rank == 0 ? Array(world.members.indices) : [0]
    judge = WatchdogJudge(subjects, Self.limits(watchdog.options.limits, rank: rank))
    // A process that cannot be seen from the start (another PID namespace) is left to its heartbeats.
    neighbours =
      isOneProcess
      ? []
      : subjects.map { world.members[$0] }.filter { member in
        member.rank != rank && member.host == world.members[rank].host
          && PeerProcess.look(pid: member.pid, startTicks: world.contacts[member.rank].startTicks) != .gone
      }
  }

  /// Rank 0 judges all; the others watch rank 0, the lowest first: the next one speaks only if it does not.
  private static func limits(_ limits: WatchdogJudge.Limits, rank: Int) -> WatchdogJudge.Limits {
    guard rank > 0 else { return limits }
    var limits = limits
    let turn = Double(min(rank - 1, 5))
    limits.deadlineSeconds = 0
    limits.deferenceSeconds = 2
    limits.silenceSeconds += 0.4 * turn
    limits.graceSeconds += 0.1 * turn
    return limits
  }

  private static func seconds() -> Double { Double(FlightClock.monotonic()) / 1e9 }

  func run() {
    var last = Self.seconds(), nextBeat = last
    while !watchdog.isStopping {
      if let link = world.link { link.wait(milliseconds: 100) } else { watchdog.rest(0.1) }
      let now = Self.seconds()
      // This process was stopped, or the machine had no time for it: what it missed meanwhile proves nothing.
      if now - last > 1 { judge.forgive(now - last) }
      last = now
      let beats = now >= nextBeat
      if beats {
        beat(at: now)
        nextBeat = now + watchdog.options.beatSeconds
      }
      look(closely: beats, at: now)
      // Read after the look: who has ended has sent its farewell before.
      if listen(at: now) { return }
      if let finding = judge.finding(at: now), !watchdog.isStopping { return conclude(finding, at: now) }
      warnOnce(at: now)
    }
  }

  private func beat(at now: Double) {
    let progress = watchdog.options.progress()
    for recorder in watchdog.recorders {
      recorder.pulse(ticks: progress.ticks, fileOperations: progress.fileOperations)
      guard let link = world.link else { continue }
      for peer in rank == 0 ? Array(world.members.indices.dropFirst()) : [0] {
        link.send(.beat, recorder.block, to: peer)
      }
    }
  }

  private func look(closely: Bool, at now: Double) {
    for member in neighbours {
      // Asking whether a process exists is a hundred times cheaper than asking how it is.
      if !closely, kill(pid_t(member.pid), 0) == 0 || errno != ESRCH { continue }
      let process = PeerProcess.look(pid: member.pid, startTicks: world.contacts[member.rank].startTicks)
      judge.see(process, of: member.rank, at: now)
    }
    if rank == 0 {
      for recorder in watchdog.recorders { judge.hear(recorder.now, from: recorder.rank, at: now) }
    }
  }

  /// - Returns: whether a verdict came, after which nothing is left to do.
  private func listen(at now: Double) -> Bool {
    while let heartbeat = world.link?.next() {
      switch heartbeat.kind {
      case .beat, .farewell:
        if let status = heartbeat.status { judge.hear(status, from: heartbeat.rank, at: now) }
      case .verdict:
        let culprit = heartbeat.body.prefix(4).reversed().reduce(0) { $0 << 8 | Int($1) }
        end(String(decoding: heartbeat.body.dropFirst(4), as: UTF8.self), culprits: [culprit])
        return true
      }
    }
    return false
  }

  private func conclude(_ finding: WatchdogJudge.Finding, at now: Double) {
    if case .gone(let culprit) = finding { awaitArrivals(besides: culprit, at: now) }
    let verdict = Verdict(finding, watchdog.witnesses(judge, at: now))
    // First: the end of the job sets stopped ranks free, and what the others wait in must stay on record.
    condemn(verdict.sentence)
    if watchdog.claim(verdict.text) { watchdog.options.report(verdict.text) }
    if let link = world.link {
      let culprit = verdict.ranks.first ?? 0
      let body = (0..<4).map { UInt8(truncatingIfNeeded: culprit >> (8 * $0)) } + Array(verdict.sentence.utf8)
      for peer in world.members.indices where peer != rank { link.send(.verdict, body, to: peer) }
    }
    if case .silent = finding { endLauncherSoon() }
    end(verdict.sentence, culprits: verdict.ranks)
  }

  /// An mpirun that cannot reach a host waits for it for ever, even to abort: when this process is its child and it is still there after five
  /// seconds, it is killed, and its daemons on other hosts end with it.
  private func endLauncherSoon() {
    let parent = getppid()
    let name =
      (try? String(contentsOfFile: "/proc/\(parent)/comm", encoding: .utf8))?.trimmingCharacters(in: .newlines) ?? ""
    guard ["mpirun", "orterun", "mpiexec"].contains(name) else { return }
    let process = Process()
    process.executableURL = URL(filePath: "/bin/sh")
    process.arguments = [
      "-c", "sleep 5; [ \"$(cat /proc/\(parent)/comm 2>/dev/null)\" = \(name) ] && kill -KILL \(parent)",
    ]
    process.standardInput = FileHandle.nullDevice
    process.standardOutput = FileHandle.nullDevice
    process.standardError = FileHandle.nullDevice
    // Without a shell the launcher is left to the user, as it would be without us.
    try? process.run()
  }

  /// Lets the others arrive in the collective in which they will wait, so that the verdict can name it. mpirun leaves them one second after a
  /// death; half of it may be spent here.
  private func awaitArrivals(besides culprit: Int, at now: Double) {
    for _ in 0..<10 {
      let others = watchdog.witnesses(judge, at: now).filter {
        $0.member.rank != culprit && $0.status?.end == RankEnd.none
      }
      if others.allSatisfy({ ($0.status?.inCurrent(at: $0.clock) ?? 0) > 0.03 }) { return }
      usleep(50_000)
    }
  }

  private func condemn(_ sentence: String) {
    for recorder in watchdog.recorders { recorder.end(.condemned, words: sentence) }
  }

  private func end(_ sentence: String, culprits: [Int]) {
    condemn(sentence)
    // mpirun ends what is left of a job, stopped processes too; where nobody does, the neighbours see to it.
    if ProcessInfo.processInfo.environment["OMPI_COMM_WORLD_SIZE"] == nil {
      for culprit in culprits where culprit != rank && world.link != nil { killNeighbour(culprit) }
    }
    watchdog.options.end(sentence)
  }

  private func killNeighbour(_ culprit: Int) {
    guard world.members.indices.contains(culprit) else { return }
    let member = world.members[culprit], ticks = world.contacts[culprit].startTicks
    guard member.host == world.members[rank].host, member.pid > 1, ticks > 0,
      PeerProcess.look(pid: member.pid, startTicks: ticks) != .gone
    else { return }
    kill(pid_t(member.pid), SIGKILL)
  }

  private func warnOnce(at now: Double) {
    guard rank == 0, !hasWarned, now - began > 10, world.link != nil else { return }
    hasWarned = true
    let unheard = judge.unheard
    guard !unheard.isEmpty else { return }
    let hosts = Set(unheard.map { world.members[$0].host }).sorted().joined(separator: ", ")
    watchdog.options.report(
      "warning: no heartbeat has come from \(RankList.text(unheard)) (\(hosts)): a hang there is found late; let UDP through between the hosts\n"
    )
  }
}
