/// A command line that cannot be carried out as it stands.
struct CommandError: Error, Equatable, CustomStringConvertible {
  enum Kind: Sendable, Equatable {
    case rankCount, threadCount, clusterDisagrees, noCheckpoint, notText, fileExists, unknownName, damaged, noRecording,
      deadline, notAvailable
  }

  let kind: Kind
  /// The option, path or name.
  let subject: String
  let reason: String
  let remedy: String

  init(_ kind: Kind, subject: String, reason: String, remedy: String) {
    self.kind = kind
    self.subject = subject
    self.reason = reason
    self.remedy = remedy
  }

  var description: String { "\(subject): \(reason); \(remedy)" }
}
