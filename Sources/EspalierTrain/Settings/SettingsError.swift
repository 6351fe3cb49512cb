/// A fault of a recipe or cluster file, said in one sentence: where it stands, what is wrong, what to write instead.
public struct SettingsError: Error, Equatable, CustomStringConvertible {
  public enum Kind: Sendable, Equatable {
    case unreadable, notYAML, tooLarge, newerVersion
    case unknownKey, duplicateKey, unknownChoice, wrongType, badValue, conflict, badOverride, refusedChange
  }

  public let kind: Kind
  /// The key path that is at fault, as `schedule.0.train.steps`; empty for the whole file.
  public let subject: String
  /// "recipe.yaml line 3" or "--set batch.samples=many"; empty where nothing was written.
  public let place: String
  public let reason: String
  /// What to do instead; empty where the reason says it.
  public let remedy: String

  public init(_ kind: Kind, subject: String = "", place: String = "", reason: String, remedy: String = "") {
    self.kind = kind
    self.subject = subject
    self.place = place
    self.reason = reason
    self.remedy = remedy
  }

  public var description: String {
    (place.isEmpty ? "" : place + ": ") + reason + (remedy.isEmpty ? "" : "; " + remedy)
  }
}

/// The known word that is nearest to what was written, for "did you mean".
package enum NearestName {
  /// The word of `known` with the fewest edits from `word`, if so few that it is likely meant.
  package static func find(_ word: String, in known: some Sequence<String>) -> String? {
    let lowered = word.lowercased()
    let ranked = known.map { (name: $0, edits: edits(lowered, $0.lowercased())) }
    guard let best = ranked.min(by: { ($0.edits, $0.name) < ($1.edits, $1.name) }) else { return nil }
    return best.edits <= max(1, min(3, word.count / 2)) ? best.name : nil
  }

  /// "did you mean 'rate'?", or the list of what is known where nothing is near.
  package static func hint(_ word: String, in known: [String], noun: String = "known") -> String {
    if let name = find(word, in: known) { return "did you mean '\(name)'?" }
    return known.isEmpty ? "" : "\(noun): \(known.joined(separator: ", "))"
  }

  /// Insertions, removals, changes and swaps of neighbours that turn one word into the other.
  ///
  /// Restricted Damerau–Levenshtein distance; Damerau 1964, doi:10.1145/363958.363994.
  package static func edits(_ first: String, _ second: String) -> Int {
    let a = Array(first.unicodeScalars.prefix(128)), b = Array(second.unicodeScalars.prefix(128))
    var beforeLast = [Int](repeating: 0, count: b.count + 1)
    var last = Array(0...b.count)
    for i in 0..<a.count {
      var row = [Int](repeating: i + 1, count: b.count + 1)
      for j in 0..<b.count {
        row[j + 1] = min(last[j + 1] + 1, row[j] + 1, last[j] + (a[i] == b[j] ? 0 : 1))
        if i > 0, j > 0, a[i] == b[j - 1], a[i - 1] == b[j] { row[j + 1] = min(row[j + 1], beforeLast[j - 1] + 1) }
      }
      (beforeLast, last) = (last, row)
    }
    return last[b.count]
  }
}
