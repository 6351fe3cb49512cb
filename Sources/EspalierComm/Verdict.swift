/// What ended a run that hung: which rank, where it was, and what the others wait for.
package struct Verdict: Sendable, Equatable, CustomStringConvertible {
  /// A rank as a verdict sees it.
  package struct Witness: Sendable {
    package let member: Member
    /// Nil where nothing is known.
    package let status: FlightStatus?
    /// The rank's own clock at the verdict.
    package let clock: UInt64

    package init(member: Member, status: FlightStatus?, clock: UInt64) {
      self.member = member
      self.status = status
      self.clock = clock
    }

    var name: String { "rank \(member.rank) on \(member.host) (pid \(member.pid))" }
  }

  /// The ranks at fault.
  package let ranks: [Int]
  /// One sentence for a person.
  package let sentence: String
  /// A line for every rank.
  package let table: [String]

  package init(_ finding: WatchdogJudge.Finding, _ witnesses: [Witness]) {
    ranks = finding.ranks
    let accused = ranks.compactMap { rank in witnesses.first { $0.member.rank == rank } }
    let others = witnesses.filter { !finding.ranks.contains($0.member.rank) }
    let charges = accused.map { Self.charge(finding, $0) }.joined(separator: "; ")
    let waiting = Self.waiting(others, owing: accused.compactMap(\.status?.requested).min())
    sentence = charges + (waiting.isEmpty ? "" : "; " + waiting)
    table = witnesses.map(Self.line)
  }

  package var description: String { sentence }

  /// The verdict as it is printed and as it lies in verdict.txt.
  package var text: String { "verdict: \(sentence)\n" + table.map { "  \($0)\n" }.joined() }

  private static func charge(_ finding: WatchdogJudge.Finding, _ witness: Witness) -> String {
    let what =
      switch finding {
      case .gone: "has ended without a word (killed, or crashed)"
      case .stopped(_, let seconds): "is stopped: no heartbeat for \(tenths(seconds)) s"
      case .silent(_, let seconds):
        "is silent: no heartbeat for \(tenths(seconds)) s; its host or the network to it is gone"
      case .stuck: "stands still: no progress for \(tenths(witness.status?.standing(at: witness.clock) ?? 0)) s"
      case .diverged(_, _, let seconds): "waits for \(tenths(seconds)) s where the ranks' programs differ"
      case .failed: "has failed and the job has not ended"
      }
    guard let status = witness.status else { return "\(witness.name) \(what)" }
    var place = status.activity
    if let current = status.current {
      place += ", inside \(current)"
    } else if let last = status.last {
      place += ", after \(last)"
    }
    return "\(witness.name) \(what); it was \(place)"
  }

  /// "rank 0 and rank 2 wait in gatherValues 'x' (sequence 7), which it owes; rank 3 is in forward 'blocks.1' of step 5"
  private static func waiting(_ others: [Witness], owing: Int?) -> String {
    var parts: [(text: String, ranks: [Int], waits: Bool, seconds: Double)] = []
    for witness in others {
      guard let status = witness.status, status.end == .none else { continue }
      let text: String
      if let current = status.current {
        text = "\(current)" + (owing.map { current.sequence == $0 } == true ? ", which is owed" : "")
      } else {
        text = status.activity
      }
      let seconds = status.inCurrent(at: witness.clock)
      if let index = parts.firstIndex(where: { $0.text == text }) {
        parts[index].ranks.append(witness.member.rank)
        parts[index].seconds = max(parts[index].seconds, seconds)
      } else {
        parts.append((text, [witness.member.rank], status.current != nil, seconds))
      }
    }
    return parts.map { part in
      let ranks = RankList.text(part.ranks), many = part.ranks.count > 1
      guard part.waits else { return "\(ranks) \(many ? "are" : "is") \(part.text)" }
      return "\(ranks) \(many ? "wait" : "waits") in \(part.text), for \(tenths(part.seconds)) s"
    }.joined(separator: "; ")
  }

  static func line(_ witness: Witness) -> String {
    guard let status = witness.status else { return "\(witness.name): nothing was ever heard of it" }
    var text = "\(witness.name): "
    switch status.end {
    case .none: text += status.activity
    case .finished: text += "finished"
    case .failed: text += "failed"
    case .condemned: text += "ended by the watchdog"
    }
    if let current = status.current {
      text += ", in \(current) for \(tenths(status.inCurrent(at: witness.clock))) s"
    } else if let last = status.last {
      text += ", last \(last)"
    }
    return text + ", moved \(tenths(status.standing(at: witness.clock))) s ago"
  }

  static func tenths(_ seconds: Double) -> String {
    let count = Int((max(0, min(seconds, 1e9)) * 10).rounded())
    return "\(count / 10).\(count % 10)"
  }
}

/// Ranks in words.
enum RankList {
  /// "rank 3", "ranks 0 and 2", "ranks 0–6 and 9"
  static func text(_ ranks: [Int]) -> String {
    var runs: [ClosedRange<Int>] = []
    for rank in ranks.sorted() {
      if let last = runs.last, last.upperBound + 1 == rank {
        runs[runs.count - 1] = last.lowerBound...rank
      } else {
        runs.append(rank...rank)
      }
    }
    var words = runs.flatMap { run in
      run.count == 1
        ? ["\(run.lowerBound)"]
        : run.count == 2 ? ["\(run.lowerBound)", "\(run.upperBound)"] : ["\(run.lowerBound)–\(run.upperBound)"]
    }
    let noun = ranks.count == 1 ? "rank " : "ranks "
    let last = words.popLast() ?? "none"
    return noun + (words.isEmpty ? last : words.joined(separator: ", ") + " and " + last)
  }
}
