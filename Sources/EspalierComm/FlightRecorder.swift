internal import Foundation
import Synchronization

/// The flight recorder of one rank: its last 256 collectives, what it is busy with, and how far it has come.
///
/// Notes go to memory of a fixed layout (`FlightLayout`); from `attach` on that memory is a file of the run directory, which the kernel keeps
/// even if the process is killed between two instructions. A note takes no system call and well under a microsecond.
///
/// `@unchecked Sendable`: the memory is written with `lock` held; the mapping lives as long as the recorder.
package final class FlightRecorder: CollectiveObserver, @unchecked Sendable {
  package let rank: Int
  package let size: Int
  private let memory: UnsafeMutableRawPointer
  private let status: UnsafeMutableRawPointer
  /// Guards the memory; holds the number of notes.
  private let lock = Mutex<UInt64>(0)

  package init(rank: Int, size: Int) {
    self.rank = rank
    self.size = size
    let mapped = mmap(
      nil, FlightLayout.fileBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
    guard let mapped, mapped != UnsafeMutableRawPointer(bitPattern: -1) else {
      preconditionFailure("no memory for a flight recorder of \(FlightLayout.fileBytes) bytes")
    }
    memory = mapped
    status = mapped + FlightLayout.statusOffset
    writeBirth()
  }

  deinit { munmap(memory, FlightLayout.fileBytes) }

  private func writeBirth() {
    let now = FlightClock.monotonic()
    memory.put(FlightLayout.magic, at: 0)
    memory.put(FlightLayout.version, at: 8)
    for (offset, value) in [
      (12, FlightLayout.headerBytes), (16, FlightLayout.statusOffset), (20, FlightLayout.statusBytes),
      (24, FlightLayout.entryBytes), (28, FlightLayout.entryCount),
    ] { memory.put(UInt32(value), at: offset) }
    status.put(UInt32(rank), at: FlightLayout.Status.rank)
    status.put(UInt32(size), at: FlightLayout.Status.size)
    status.put(UInt64(getpid()), at: FlightLayout.Status.pid)
    status.put(PeerProcess.startTicks(of: Int(getpid())) ?? 0, at: FlightLayout.Status.startTicks)
    status.put(FlightClock.wall(), at: FlightLayout.Status.wallStart)
    for offset in [
      FlightLayout.Status.monotonicStart, FlightLayout.Status.beatAt, FlightLayout.Status.movedAt,
      FlightLayout.Status.notedAt, FlightLayout.Status.phaseSince,
    ] { status.put(now, at: offset) }
    for offset in [FlightLayout.Status.current, FlightLayout.Status.waited, FlightLayout.Status.last] {
      status.put(FlightLayout.none, at: offset)
    }
    status.put(PeerProcess.hostName(), at: FlightLayout.Status.host, bytes: FlightLayout.nameBytes)
    for index in 0..<FlightLayout.entryCount { entry(index).put(FlightLayout.none, at: FlightLayout.Entry.sequence) }
  }

  private func entry(_ index: Int) -> UnsafeMutableRawPointer {
    memory + FlightLayout.headerBytes + index * FlightLayout.entryBytes
  }

  /// Changes the status block so that a reader sees all of the change or knows that it looked too early.
  private func change(_ body: (_ now: UInt64) -> Void) {
    lock.withLock { notes in
      notes += 1
      status.put(2 * notes - 1, at: FlightLayout.Status.generation)
      atomicMemoryFence(ordering: .releasing)
      body(FlightClock.monotonic())
      atomicMemoryFence(ordering: .releasing)
      status.put(2 * notes, at: FlightLayout.Status.generation)
    }
  }

  /// As `change`, for what shows that the rank itself moves; nothing more after a verdict, whatever its end sets free.
  private func move(_ body: (_ now: UInt64) -> Void) {
    change { now in
      let end = UnsafeRawPointer(status).small(at: FlightLayout.Status.end)
      guard end != RankEnd.condemned.rawValue else { return }
      body(now)
      status.put(now, at: FlightLayout.Status.notedAt)
    }
  }

  // MARK: Notes

  package func note(_ moment: CollectiveMoment, _ collective: Collective) {
    move { now in
      let entry = entry(collective.sequence % FlightLayout.entryCount)
      let sequence = UInt64(collective.sequence)
      if moment == .requested { fill(entry, collective, now) }
      // An entry that a later collective has taken is gone; only the counts below still matter.
      let isHere = UnsafeRawPointer(entry).number(at: FlightLayout.Entry.sequence) == sequence
      if isHere { update(entry, moment, now) }
      count(moment, collective, now)
    }
  }

  private func fill(_ entry: UnsafeMutableRawPointer, _ collective: Collective, _ now: UInt64) {
    entry.put(FlightLayout.none, at: FlightLayout.Entry.sequence)
    atomicMemoryFence(ordering: .releasing)
    memset(entry + 8, 0, FlightLayout.Entry.kind - 8)
    entry.put(UInt64(collective.payloadBytes(ranks: size)), at: FlightLayout.Entry.bytes)
    entry.put(now, at: FlightLayout.Entry.requestedAt)
    entry.put(collective.kind.rawValue, at: FlightLayout.Entry.kind, bytes: FlightLayout.Entry.kindBytes)
    entry.put(collective.label, at: FlightLayout.Entry.label, bytes: FlightLayout.Entry.labelBytes)
    atomicMemoryFence(ordering: .releasing)
    entry.put(UInt64(collective.sequence), at: FlightLayout.Entry.sequence)
  }

  private func update(_ entry: UnsafeMutableRawPointer, _ moment: CollectiveMoment, _ now: UInt64) {
    switch moment {
    case .requested: break
    case .began: entry.put(now, at: FlightLayout.Entry.beganAt)
    case .ended, .failed: entry.put(now, at: FlightLayout.Entry.endedAt)
    case .waitBegan: entry.put(now, at: FlightLayout.Entry.waitBeganAt)
    case .waitEnded: entry.put(now, at: FlightLayout.Entry.waitEndedAt)
    }
    switch moment {
    case .requested, .began, .ended, .failed:
      entry.put(UInt32(FlightEntry.State(moment).rawValue), at: FlightLayout.Entry.state)
    case .waitBegan, .waitEnded: break
    }
  }

  private func count(_ moment: CollectiveMoment, _ collective: Collective, _ now: UInt64) {
    let sequence = UInt64(collective.sequence)
    switch moment {
    case .requested:
      status.put(sequence + 1, at: FlightLayout.Status.requested)
    case .began:
      status.put(sequence + 1, at: FlightLayout.Status.began)
      status.put(now, at: FlightLayout.Status.currentBegan)
      status.put(UInt64(collective.payloadBytes(ranks: size)), at: FlightLayout.Status.currentBytes)
      status.put(collective.label, at: FlightLayout.Status.currentLabel, bytes: FlightLayout.nameBytes)
      status.put(collective.kind.rawValue, at: FlightLayout.Status.currentKind, bytes: FlightLayout.Entry.kindBytes)
      status.put(sequence, at: FlightLayout.Status.current)
    case .ended:
      status.put(sequence + 1, at: FlightLayout.Status.ended)
      status.put(FlightLayout.none, at: FlightLayout.Status.current)
      status.put(collective.label, at: FlightLayout.Status.lastLabel, bytes: FlightLayout.nameBytes)
      status.put(collective.kind.rawValue, at: FlightLayout.Status.lastKind, bytes: FlightLayout.Entry.kindBytes)
      status.put(sequence, at: FlightLayout.Status.last)
    case .failed:
      break
    case .waitBegan:
      status.put(now, at: FlightLayout.Status.waitSince)
      status.put(sequence, at: FlightLayout.Status.waited)
    case .waitEnded:
      status.put(FlightLayout.none, at: FlightLayout.Status.waited)
    }
  }

  /// Says what the rank is busy with from now on.
  /// - Parameter step: the step that it works on; nil leaves the last one.
  package func enter(_ phase: RankPhase, _ place: String = "", step: Int? = nil) {
    move { now in
      status.put(place, at: FlightLayout.Status.place, bytes: FlightLayout.nameBytes)
      status.put(phase.rawValue, at: FlightLayout.Status.phase)
      status.put(now, at: FlightLayout.Status.phaseSince)
      if let step { status.put(UInt64(max(step, 0)), at: FlightLayout.Status.step) }
    }
  }

  /// What the rank's watchdog thread reads of its progress, twice a second: shows a live thread, and a live rank if the number has changed.
  package func pulse(ticks: UInt64, fileOperations: Int = 0) {
    change { now in
      if UnsafeRawPointer(status).number(at: FlightLayout.Status.ticks) != ticks {
        status.put(ticks, at: FlightLayout.Status.ticks)
        status.put(now, at: FlightLayout.Status.movedAt)
      }
      status.put(UInt64(max(fileOperations, 0)), at: FlightLayout.Status.fileOperations)
      status.put(now, at: FlightLayout.Status.beatAt)
    }
  }

  /// Says how the rank's part ended, with its last words; the first end stays.
  package func end(_ end: RankEnd, words: String = "") {
    change { now in
      guard UnsafeRawPointer(status).small(at: FlightLayout.Status.end) == RankEnd.none.rawValue else { return }
      memory.put(words, at: FlightLayout.wordsOffset, bytes: FlightLayout.wordsBytes)
      status.put(now, at: FlightLayout.Status.endedAt)
      status.put(end.rawValue, at: FlightLayout.Status.end)
    }
  }

  // MARK: Reading

  /// Where the rank is now.
  package var now: FlightStatus { FlightStatus(block) }

  /// The status block as a heartbeat carries it.
  package var block: [UInt8] {
    lock.withLock { _ in [UInt8](UnsafeRawBufferPointer(start: status, count: FlightLayout.statusBytes)) }
  }

  /// The whole recording.
  package var flight: Flight? {
    let bytes = lock.withLock { _ in [UInt8](UnsafeRawBufferPointer(start: memory, count: FlightLayout.fileBytes)) }
    return try? Flight(bytes: bytes, path: "the recorder of rank \(rank)")
  }

  // MARK: The file

  /// Puts the recording into a file, with what was noted so far; an older file of that name is replaced.
  ///
  /// The file is written in full before it is mapped, so that a disk that is full shows here and not as a signal at some later note.
  /// - Throws: `FlightError` if the file cannot be made; the recording goes on in memory.
  package func attach(to path: String) throws {
    let fresh = path + ".new"
    let file = open(fresh, O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0o644)
    guard file >= 0 else { throw FlightError.cannot("make", fresh, errno) }
    defer { close(file) }
    try lock.withLock { _ in
      var done = 0
      while done < FlightLayout.fileBytes {
        let count = write(file, memory + done, FlightLayout.fileBytes - done)
        guard count > 0 else { throw FlightError.cannot("write", fresh, errno) }
        done += count
      }
      let mapped = mmap(
        memory, FlightLayout.fileBytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, file, 0)
      guard mapped == memory else { throw FlightError.cannot("map", fresh, errno) }
    }
    guard rename(fresh, path) == 0 else { throw FlightError.cannot("rename", fresh, errno) }
  }
}

extension Collective {
  /// Bytes of the whole run that a collective works on, as far as its request tells; 0 where it does not.
  func payloadBytes(ranks: Int) -> Int {
    switch kind {
    case .broadcast: boundaries.count > 1 ? 4 * boundaries[1] : 0
    case .broadcastBytes: 0
    default: boundaries.count > ranks ? 4 * boundaries[ranks] : 0
    }
  }
}

/// A flight file that cannot be made or read.
package struct FlightError: Error, Sendable, CustomStringConvertible {
  package enum Kind: Sendable { case cannotMake, missing, notAFlight, otherVersion, truncated }

  package let kind: Kind
  /// The path.
  package let subject: String
  package let reason: String
  package let remedy: String

  package var description: String { "\(subject): \(reason); \(remedy)" }

  static func cannot(_ verb: String, _ path: String, _ code: Int32) -> FlightError {
    FlightError(
      kind: .cannotMake, subject: path, reason: "cannot \(verb) the file (\(String(cString: strerror(code))))",
      remedy: "make room or set permissions; the run goes on, but leaves no trace of a hang there")
  }
}
