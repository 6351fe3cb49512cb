import ArgumentParser
import EspalierComm
import Foundation

struct StatusCommand: ParsableCommand, CatalogueCommand {
  static let configuration = CommandConfiguration(
    commandName: "status",
    abstract: "Shows where every rank of a run is, or was when it ended.",
    discussion: """
      Reads RUN/flight, which survives kill -9, and RUN/verdict.txt; disturbs nothing. Whether a process lives can be told for ranks of this \
      host; for others it is told from the age of their last sign of life.
      """)

  @Argument(help: ArgumentHelp("The run directory.", valueName: "run"))
  var run: String

  @Option(help: ArgumentHelp("Collectives to show of each rank.", valueName: "n"))
  var last = 1

  @Flag(help: "Print JSON.") var json = false

  func validate() throws {
    guard last >= 0 else { throw ValidationError("--last must be 0 or more, not \(last).") }
  }

  func run(_ context: CommandContext) throws -> Int32 {
    let status = try RunStatus(run: run, last: last)
    try json ? Output.json(status) : Output.write(status.text)
    return 0
  }
}

/// Where the ranks of a run are.
struct RunStatus: Encodable {
  struct Entry: Encodable {
    let sequence: Int
    let kind: String
    let label: String
    let state: String
    /// Of the whole run; absent where the request does not tell.
    let bytes: Int?
    /// Seconds that it took, or has taken so far.
    let seconds: Double
  }

  struct Rank: Encodable {
    let rank: Int
    let host: String
    let pid: Int
    /// running, stopped, dead, silent, finished, failed, ended by the watchdog.
    let state: String
    let phase: String
    let place: String
    let step: Int
    let activity: String
    /// Since its last sign of progress; up to its end where it has ended.
    let secondsSinceProgress: Double
    let progress: UInt64
    /// Of collectives: asked for and completed.
    let requested: Int
    let completed: Int
    /// The last that were begun.
    let collectives: [Entry]
    /// What it said when it ended.
    let words: String?
  }

  let run: String
  /// Absent where the run has none.
  let verdict: String?
  let ranks: [Rank]
  /// Recordings that could not be read.
  let problems: [String]

  /// - Throws: `CommandError` for a directory without recordings.
  init(run: String, last: Int) throws {
    var run = run
    while run.count > 1, run.hasSuffix("/") { run.removeLast() }
    let found = Flight.all(run: run)
    guard !found.flights.isEmpty || !found.problems.isEmpty else {
      throw CommandError(
        .noRecording, subject: run, reason: "there are no recordings in \(Flight.folder(run))",
        remedy: "name the directory of a run that `espalier train` has begun")
    }
    self.run = run
    verdict = try? String(contentsOfFile: Watchdog.verdictPath(run), encoding: .utf8)
    ranks = found.flights.map { Rank($0, last: last) }
    problems = found.problems.map { "\($0)" }
  }

  var text: String {
    var text = verdict.map { $0 + "\n" } ?? ""
    let rows = ranks.map { rank in
      [
        "\(rank.rank)", rank.host, "\(rank.pid)", rank.state, rank.activity,
        rank.collectives.last.map { "\($0.sequence)" } ?? "-",
        rank.collectives.last.map { "\($0.kind) '\($0.label)' \($0.state)" } ?? "-",
        Amount.fixed(rank.secondsSinceProgress, 1) + " s",
      ]
    }
    text += TextTable.columns(["rank", "host", "pid", "state", "phase", "seq", "last collective", "still for"], rows)
    for rank in ranks where rank.collectives.count > 1 {
      text += "\nrank \(rank.rank)\n"
      text += TextTable.columns(
        ["  seq", "kind", "label", "state", "bytes", "seconds"],
        rank.collectives.map {
          [
            "  \($0.sequence)", $0.kind, $0.label, $0.state, $0.bytes.map(Amount.bytes) ?? "-",
            Amount.fixed($0.seconds, 4),
          ]
        })
    }
    for rank in ranks where verdict == nil {
      if let words = rank.words { text += "\nrank \(rank.rank) said: \(words)\n" }
    }
    return text + problems.map { "\n\($0)\n" }.joined()
  }
}

extension RunStatus.Rank {
  init(_ flight: Flight, last: Int) {
    let status = flight.status, life = FlightLife(status)
    rank = status.rank
    host = status.host
    pid = status.pid
    state = life.text
    phase = "\(status.phase)"
    place = status.place
    step = status.step
    activity = status.activity
    secondsSinceProgress = status.standing(at: life.clock)
    progress = status.ticks
    requested = status.requested
    completed = status.ended
    // What only waits in the queue behind them says nothing of where the rank is; `requested` counts it.
    collectives = flight.entries.filter { $0.state != .requested }.suffix(last).map { entry in
      RunStatus.Entry(
        sequence: entry.place.sequence, kind: entry.place.kind, label: entry.place.label, state: entry.state.text,
        bytes: entry.bytes > 0 ? entry.bytes : nil, seconds: entry.seconds(at: life.clock))
    }
    words = flight.words.isEmpty ? nil : flight.words
  }
}
