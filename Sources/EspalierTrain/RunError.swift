/// A run that cannot start or go on as asked.
package struct RunError: Error, CustomStringConvertible {
  package enum Kind: Sendable, Hashable {
    case moreRanksThanLanes
    case runExists
    case nothingToResume
    case resumeRefused
    case batchLargerThanData
    case noValidation
    case notFinite
    case saveFailed
    case mixedCluster
    case elsewhere
    case wrongModel
    case noRun
    case notShared
    case noTasks
    case damagedTasks
    case newerTasks
  }

  package let kind: Kind
  /// The path, key or tensor.
  package let subject: String
  package let reason: String
  package let remedy: String

  package init(_ kind: Kind, subject: String, reason: String, remedy: String) {
    self.kind = kind
    self.subject = subject
    self.reason = reason
    self.remedy = remedy
  }

  package var description: String { "\(subject): \(reason); \(remedy)" }
}
