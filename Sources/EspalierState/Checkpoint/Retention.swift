internal import Synchronization

/// Which checkpoints of a run stay when a new one has been committed.
///
/// A pure rule over what is known of each, so that rank 0 of a resumed run decides as the one before it did: all that it
/// depends on is in the checkpoints themselves. docs/checkpoint-format.md §4 has the rules in words.
package struct Retention: Sendable, Equatable {
  /// The newest so many that can be opened; at least 1.
  package var last: Int
  /// Those whose step is a multiple of this; 0 = none.
  package var every = 0
  /// So many with the lowest validation loss; 0 = none.
  package var best = 0
  /// Those that were made where a phase ends.
  package var borders = false
  /// All that is kept together, as far as the newest allows; 0 = no limit.
  package var maximumBytes = 0

  package init(last: Int) { self.last = max(last, 1) }

  package static let all = Retention(last: .max)
  package static func last(_ count: Int) -> Retention { Retention(last: count) }

  /// What there is to know of a checkpoint.
  package struct Candidate: Sendable, Equatable {
    package let step: Int
    /// Whether it can be opened.
    package let isValid: Bool
    /// Nil where they cannot be read.
    package let marks: CheckpointMarks?
    /// Of its own shards.
    package let bytes: Int
    /// Of files that other checkpoints may share, by what is the same for all names of a file.
    package let shared: [String: Int]

    package init(
      step: Int, isValid: Bool = true, marks: CheckpointMarks? = nil, bytes: Int = 0, shared: [String: Int] = [:]
    ) {
      self.step = step
      self.isValid = isValid
      self.marks = marks
      self.bytes = bytes
      self.shared = shared
    }
  }

  /// Why a checkpoint stays.
  package enum Reason: String, Sendable, Hashable, Comparable {
    case newest
    case every
    case best
    case border
    /// It has a fault, but is among the newest, or the rules would keep it were it mended, or may: that cannot be read.
    case faulty
    /// Of a later step than the one just made: a resume has passed it over.
    case ahead

    /// How much it weighs against `maximumBytes`.
    private var weight: Int {
      switch self {
      case .newest: 0
      case .every: 1
      case .best: 2
      case .border: 3
      case .faulty, .ahead: 4
      }
    }

    package static func < (a: Reason, b: Reason) -> Bool { a.weight < b.weight }
  }

  /// The steps that stay, each with its reasons; all others go.
  ///
  /// The newest valid one is always among them.
  package func kept(of candidates: [Candidate], justCommitted: Int) -> [Int: [Reason]] {
    var reasons: [Int: [Reason]] = [:]
    func keep(_ step: Int, _ reason: Reason) { reasons[step, default: []].append(reason) }

    for candidate in candidates where candidate.step > justCommitted { keep(candidate.step, .ahead) }
    let past = candidates.filter { $0.step <= justCommitted }.sorted { $0.step > $1.step }
    let valid = past.filter(\.isValid)

    let window = valid.prefix(last)
    for candidate in window { keep(candidate.step, .newest) }
    for candidate in valid where isDue(candidate.step) { keep(candidate.step, .every) }
    for candidate in chosenAsBest(valid) { keep(candidate.step, .best) }
    if borders { for candidate in valid where candidate.marks?.border != nil { keep(candidate.step, .border) } }

    // A fault may be mended, or be the file system's for a moment: what the rules want, or may want, is not theirs to remove.
    let oldest = window.count == last ? window.last?.step ?? .min : .min
    for candidate in past where !candidate.isValid {
      let isWanted =
        if let marks = candidate.marks { borders && marks.border != nil } else { borders || best > 0 }
      if candidate.step > oldest || isDue(candidate.step) || isWanted { keep(candidate.step, .faulty) }
    }
    limitBytes(&reasons, valid)
    return reasons
  }

  private func isDue(_ step: Int) -> Bool { every > 0 && step.isMultiple(of: every) }

  /// Several checkpoints may stand between two evaluations: the one nearest behind an evaluation stands for it. Of equal
  /// losses the later one is better.
  private func chosenAsBest(_ valid: [Candidate]) -> some Sequence<Candidate> {
    var nearest: [Int: (candidate: Candidate, evaluation: CheckpointMarks.Evaluation)] = [:]
    for candidate in valid {
      guard let evaluation = candidate.marks?.evaluation, evaluation.loss.isFinite else { continue }
      if let other = nearest[evaluation.step], other.candidate.step < candidate.step { continue }
      nearest[evaluation.step] = (candidate, evaluation)
    }
    return nearest.values.map { ($0.candidate, $0.evaluation) }
      .sorted { ($0.1.loss, $1.1.step) < ($1.1.loss, $0.1.step) }.prefix(best).map(\.0)
  }

  /// Lets go of the least wanted, the oldest of them first, until all together are small enough; never of the newest.
  private func limitBytes(_ reasons: inout [Int: [Reason]], _ valid: [Candidate]) {
    guard maximumBytes > 0 else { return }
    var kept = valid.filter { reasons[$0.step] != nil }
    while Self.bytes(kept) > maximumBytes {
      let least = kept.dropFirst().min {
        (reasons[$0.step]?.max() ?? .newest, $0.step) < (reasons[$1.step]?.max() ?? .newest, $1.step)
      }
      guard let least else { return }
      reasons[least.step] = nil
      kept.removeAll { $0.step == least.step }
    }
  }
}

extension Retention {
  /// On disk: a file that several share counts once.
  private static func bytes(_ kept: [Candidate]) -> Int {
    let shared = kept.reduce(into: [:]) { $0.merge($1.shared) { size, _ in size } }
    return kept.reduce(shared.values.reduce(0, +)) { $0 + $1.bytes }
  }
}

/// What a retention wants to know of a checkpoint beyond its step: the member `marks` of the trainer's state.
package struct CheckpointMarks: Codable, Sendable, Equatable {
  package struct Evaluation: Codable, Sendable, Equatable {
    /// After which it was.
    package let step: Int
    /// On the validation set, in nats.
    package let loss: Double

    package init(step: Int, loss: Double) {
      self.step = step
      self.loss = loss
    }
  }

  /// What ends at this step, in words; nil within a phase.
  package var border: String?
  /// The newest one at or before this step that gave a finite loss.
  package var evaluation: Evaluation?

  package init(border: String? = nil, evaluation: Evaluation? = nil) {
    self.border = border
    self.evaluation = evaluation
  }
}

extension CheckpointReader {
  package var marks: CheckpointMarks {
    guard let marks = manifest.state["marks"] else { return CheckpointMarks() }
    var evaluation: CheckpointMarks.Evaluation?
    if let step = marks["evaluation"]?["step"]?.integer, case .number(let text)? = marks["evaluation"]?["loss"],
      let loss = Double(text)
    {
      evaluation = .init(step: step, loss: loss)
    }
    return CheckpointMarks(border: marks["border"]?.text, evaluation: evaluation)
  }
}

/// What this process has read of the checkpoints of a directory, which do not change once they are made.
final class RetentionMemory: Sendable {
  private let known = Mutex<[String: Retention.Candidate]>([:])
  private let faulty = Mutex<Set<String>>([])

  func candidate(_ name: String) -> Retention.Candidate? { known.withLock { $0[name] } }
  func note(_ candidate: Retention.Candidate, as name: String) { known.withLock { $0[name] = candidate } }
  func forget(_ name: String) { known.withLock { $0[name] = nil } }
  /// Whether it is the first time that this one cannot be opened.
  func isNews(_ name: String) -> Bool { faulty.withLock { $0.insert(name).inserted } }
}
