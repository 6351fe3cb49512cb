internal import Foundation

/// Where a rank is: the status block of its recorder as a value. Times are nanoseconds of the rank's own clock.
package struct FlightStatus: Sendable, Equatable {
  /// A collective at its place.
  package struct Place: Sendable, Equatable, CustomStringConvertible {
    package let kind: String
    package let label: String
    package let sequence: Int

    package init(kind: String, label: String, sequence: Int) {
      self.kind = kind
      self.label = label
      self.sequence = sequence
    }

    package var description: String { "\(kind) '\(label)' (sequence \(sequence))" }
  }

  package let rank: Int
  package let size: Int
  package let pid: Int
  package let startTicks: UInt64
  package let host: String
  package let wallStart: UInt64
  package let monotonicStart: UInt64
  package let beatAt: UInt64
  package let ticks: UInt64
  package let movedAt: UInt64
  package let notedAt: UInt64
  package let generation: UInt64
  package let phase: RankPhase
  package let place: String
  package let phaseSince: UInt64
  package let step: Int
  /// Collectives asked for, taken up and completed: the next one has this sequence.
  package let requested: Int
  package let began: Int
  package let ended: Int
  /// The collective that the communication thread is in, since `currentBegan`.
  package let current: Place?
  package let currentBegan: UInt64
  /// The last that was completed.
  package let last: Place?
  /// The sequence that the rank's own thread waits for, since `waitSince`.
  package let waited: Int?
  package let waitSince: UInt64
  /// Calls to the file system that are under way.
  package let fileOperations: Int
  package let end: RankEnd
  package let endedAt: UInt64

  init(_ block: [UInt8]) {
    precondition(block.count >= FlightLayout.statusBytes, "a status block of \(block.count) bytes")
    self = block.withUnsafeBytes { bytes in
      guard let base = bytes.baseAddress else { preconditionFailure("an empty status block") }
      return FlightStatus(base)
    }
  }

  private init(_ base: UnsafeRawPointer) {
    typealias At = FlightLayout.Status
    func sequence(_ offset: Int) -> Int? {
      let number = base.number(at: offset)
      return number == FlightLayout.none ? nil : Int(truncatingIfNeeded: number)
    }
    func place(_ offset: Int, _ kind: Int, _ label: Int) -> Place? {
      sequence(offset).map {
        Place(
          kind: base.text(at: kind, bytes: FlightLayout.Entry.kindBytes),
          label: base.text(at: label, bytes: FlightLayout.nameBytes), sequence: $0)
      }
    }
    func integer(_ offset: Int) -> Int { Int(truncatingIfNeeded: base.number(at: offset)) }
    generation = base.number(at: At.generation)
    rank = Int(base.small(at: At.rank))
    size = Int(base.small(at: At.size))
    pid = integer(At.pid)
    startTicks = base.number(at: At.startTicks)
    host = base.text(at: At.host, bytes: FlightLayout.nameBytes)
    wallStart = base.number(at: At.wallStart)
    monotonicStart = base.number(at: At.monotonicStart)
    beatAt = base.number(at: At.beatAt)
    ticks = base.number(at: At.ticks)
    movedAt = base.number(at: At.movedAt)
    notedAt = base.number(at: At.notedAt)
    phase = RankPhase(rawValue: base.small(at: At.phase)) ?? .starting
    self.place = base.text(at: At.place, bytes: FlightLayout.nameBytes)
    phaseSince = base.number(at: At.phaseSince)
    step = integer(At.step)
    requested = integer(At.requested)
    began = integer(At.began)
    ended = integer(At.ended)
    current = place(At.current, At.currentKind, At.currentLabel)
    currentBegan = base.number(at: At.currentBegan)
    last = place(At.last, At.lastKind, At.lastLabel)
    waited = sequence(At.waited)
    waitSince = base.number(at: At.waitSince)
    fileOperations = integer(At.fileOperations)
    end = RankEnd(rawValue: base.small(at: At.end)) ?? .none
    endedAt = base.number(at: At.endedAt)
  }

  /// Seconds since the rank last moved: a tick of its progress counter, a collective, a phase.
  package func standing(at clock: UInt64) -> Double { FlightClock.seconds(from: max(movedAt, notedAt), to: clock) }

  /// Seconds in the collective that its communication thread is in; 0 outside of one.
  package func inCurrent(at clock: UInt64) -> Double {
    current == nil ? 0 : FlightClock.seconds(from: currentBegan, to: clock)
  }

  /// Nothing that it asked for is open: what others wait for in a later collective is still to come from its program.
  package var owesNext: Bool { current == nil && ended >= requested }

  /// "in backward 'blocks.3' of step 12"
  package var activity: String { phase.text(place: place) + (step > 0 && phase != .ending ? " of step \(step)" : "") }
}

/// One collective of a recording.
package struct FlightEntry: Sendable, Equatable {
  package enum State: Int, Sendable, CaseIterable {
    case requested = 1
    case began, ended, failed

    init(_ moment: CollectiveMoment) {
      self =
        switch moment {
        case .requested, .waitBegan, .waitEnded: .requested
        case .began: .began
        case .ended: .ended
        case .failed: .failed
        }
    }

    package var text: String {
      switch self {
      case .requested: "asked for"
      case .began: "under way"
      case .ended: "done"
      case .failed: "failed"
      }
    }
  }

  package let place: FlightStatus.Place
  package let state: State
  /// Of the whole run; 0 where the request does not tell.
  package let bytes: Int
  /// 0 where it has not happened.
  package let requestedAt: UInt64
  package let beganAt: UInt64
  package let endedAt: UInt64
  package let waitBeganAt: UInt64
  package let waitEndedAt: UInt64
}

/// A whole recording: the status of a rank, its last words, and its last collectives in order.
package struct Flight: Sendable {
  package let status: FlightStatus
  package let words: String
  package let entries: [FlightEntry]

  /// Reads a flight file, whether its rank lives or not.
  /// - Throws: `FlightError`.
  package init(path: String) throws {
    guard let data = FileManager.default.contents(atPath: path) else {
      throw FlightError(
        kind: .missing, subject: path, reason: "the file cannot be read", remedy: "name a run directory")
    }
    try self.init(bytes: [UInt8](data), path: path)
  }

  init(bytes: [UInt8], path: String) throws {
    func refuse(_ kind: FlightError.Kind, _ reason: String) -> FlightError {
      FlightError(
        kind: kind, subject: path, reason: reason, remedy: "remove it, or read it with the Espalier that wrote it")
    }
    guard bytes.count >= FlightLayout.headerBytes else {
      throw refuse(.truncated, "\(bytes.count) bytes are no flight file")
    }
    let header = bytes.withUnsafeBytes { raw in
      raw.baseAddress.map { ($0.number(at: 0), $0.small(at: 8)) } ?? (0, 0)
    }
    guard header.0 == FlightLayout.magic else { throw refuse(.notAFlight, "it does not begin as a flight file") }
    guard header.1 == FlightLayout.version else { throw refuse(.otherVersion, "its layout has version \(header.1)") }
    guard bytes.count == FlightLayout.fileBytes else {
      throw refuse(.truncated, "it has \(bytes.count) bytes instead of \(FlightLayout.fileBytes)")
    }
    status = FlightStatus(
      Array(bytes[FlightLayout.statusOffset..<FlightLayout.statusOffset + FlightLayout.statusBytes]))
    (words, entries) = bytes.withUnsafeBytes { raw in
      guard let base = raw.baseAddress else { return ("", []) }
      let entries = (0..<FlightLayout.entryCount).compactMap { index in
        FlightEntry(base + FlightLayout.headerBytes + index * FlightLayout.entryBytes, place: index)
      }
      return (
        base.text(at: FlightLayout.wordsOffset, bytes: FlightLayout.wordsBytes),
        entries.sorted { $0.place.sequence < $1.place.sequence }
      )
    }
  }

  /// Where the file of a rank lies in a run directory.
  package static func path(run: String, rank: Int) -> String {
    let digits = String(rank)
    return "\(folder(run))/rank-\(String(repeating: "0", count: max(0, 5 - digits.count)))\(digits)"
  }

  package static func folder(_ run: String) -> String { run + "/flight" }

  /// Every recording of a run by rank, and what could not be read.
  package static func all(run: String) -> (flights: [Flight], problems: [FlightError]) {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: folder(run))) ?? []
    var flights: [Flight] = []
    var problems: [FlightError] = []
    for name in names.sorted() where name.hasPrefix("rank-") && !name.hasSuffix(".new") {
      do { flights.append(try Flight(path: folder(run) + "/" + name)) } catch let error as FlightError {
        problems.append(error)
      } catch { continue }
    }
    return (flights.sorted { $0.status.rank < $1.status.rank }, problems)
  }
}

extension FlightEntry {
  /// Nil for a place that is empty or was being written.
  fileprivate init?(_ base: UnsafeRawPointer, place index: Int) {
    typealias At = FlightLayout.Entry
    let sequence = base.number(at: At.sequence)
    guard sequence != FlightLayout.none, Int(truncatingIfNeeded: sequence % UInt64(FlightLayout.entryCount)) == index,
      let state = State(rawValue: Int(base.small(at: At.state)))
    else { return nil }
    place = FlightStatus.Place(
      kind: base.text(at: At.kind, bytes: At.kindBytes), label: base.text(at: At.label, bytes: At.labelBytes),
      sequence: Int(truncatingIfNeeded: sequence))
    self.state = state
    bytes = Int(truncatingIfNeeded: base.number(at: At.bytes))
    requestedAt = base.number(at: At.requestedAt)
    beganAt = base.number(at: At.beganAt)
    endedAt = base.number(at: At.endedAt)
    waitBeganAt = base.number(at: At.waitBeganAt)
    waitEndedAt = base.number(at: At.waitEndedAt)
  }
}
