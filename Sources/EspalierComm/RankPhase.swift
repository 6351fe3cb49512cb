/// What a rank is busy with, as its flight recorder and its heartbeats tell.
package enum RankPhase: UInt32, Sendable, CaseIterable {
  case starting = 0
  case readingData
  case forward
  case backward
  /// Between passes: sums and norms of the step.
  case exchanging
  case updating
  case evaluating
  case saving
  case ending
  /// Making the state of a larger model from its own.
  case growing

  /// The phase in words, ready to follow "rank 1 is": "reading data", "in backward 'blocks.3'".
  package func text(place: String) -> String {
    let quoted = place.isEmpty ? "" : " '\(place)'"
    return switch self {
    case .starting: "starting"
    case .readingData: "reading data"
    case .forward: "in forward" + quoted
    case .backward: "in backward" + quoted
    case .exchanging: "between passes"
    case .updating: "updating weights"
    case .evaluating: "evaluating" + (place.isEmpty ? "" : " in" + quoted)
    case .saving: "saving"
    case .ending: "ending"
    case .growing: "growing" + (place.isEmpty ? "" : " to" + quoted)
    }
  }
}

/// How a rank's part in a run ended, if it did.
package enum RankEnd: UInt32, Sendable, CaseIterable {
  /// It has not said so: it lives, or it ended without a word.
  case none = 0
  case finished
  /// It threw an error, which it printed.
  case failed
  /// The watchdog ended it.
  case condemned
}
