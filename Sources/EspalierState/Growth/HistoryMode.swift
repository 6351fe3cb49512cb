/// How the history of old weights enters the grown model.
public enum HistoryMode: String, Codable, Sendable, CaseIterable {
  /// Entries that stay keep theirs, copies and other new entries begin empty, which is what tells copies apart.
  case asymmetric
  /// Copies take their share along with the gradient's factors: the dynamics go on, and copies stay equal for ever.
  case transport
  /// All begin empty.
  case dropAll
}
