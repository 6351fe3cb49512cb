/// What went wrong between the ranks: who noticed, in which collective, why, and what to do.
public struct CommunicationError: Error, CustomStringConvertible {
  /// One kind per distinct cause.
  public enum Kind: String, Sendable, Hashable {
    /// Another rank failed; `cause` is its error.
    case peerFailed
    /// Another rank has ended while this one waits for it.
    case peerFinished
    /// A collective was not complete when its deadline passed.
    case deadlineExpired
    /// Ranks issued different collectives at one place of the order.
    case collectivesDiffer
    /// A message had another size than its receiver expected.
    case sizesDiffer
    /// A value that must be the same on every rank is not.
    case valuesDiffer
    /// The transport reported an error.
    case transportFailed
    /// The launcher announced more ranks than found each other.
    case worldIncomplete
    /// The transport cannot do what the options ask for.
    case notAvailable
    /// The communicator was closed before the collective was asked for.
    case closed
  }

  public let kind: Kind
  /// The rank that noticed.
  public let rank: Int
  /// The collective that it was in; nil outside of one.
  public let collective: CollectiveKind?
  /// The label of that collective, or what the error is about.
  public let label: String
  /// The place of the collective in the order of this rank's collectives; nil outside of one.
  public let sequence: Int?
  public let reason: String
  public let remedy: String
  /// The error of the rank that failed first, where it is known.
  public let cause: (any Error)?

  package init(
    _ kind: Kind, rank: Int, during collective: Collective? = nil, label: String? = nil, reason: String, remedy: String,
    cause: (any Error)? = nil
  ) {
    self.kind = kind
    self.rank = rank
    self.collective = collective?.kind
    self.label = label ?? collective?.label ?? ""
    self.sequence = collective?.sequence
    self.reason = reason
    self.remedy = remedy
    self.cause = cause
  }

  /// What every other rank sees when `peer` has failed.
  package static func peerFailed(_ peer: Int, cause: any Error, seenBy rank: Int) -> CommunicationError {
    CommunicationError(
      .peerFailed, rank: rank, reason: "rank \(peer) failed: \(cause)", remedy: "mend what stopped rank \(peer)",
      cause: cause)
  }

  static func noNativeSums(rank: Int) -> CommunicationError {
    CommunicationError(
      .notAvailable, rank: rank, label: "reduction",
      reason: "native sums are MPI's, and these ranks are threads of one process",
      remedy: "start the ranks with launch/mpirun, or leave the reduction ordered")
  }

  /// The same error with the collective in which it came up.
  package func during(_ collective: Collective) -> CommunicationError {
    guard self.collective == nil else { return self }
    return CommunicationError(
      kind, rank: rank, during: collective, reason: reason, remedy: remedy, cause: cause)
  }

  public var description: String {
    var place = "rank \(rank)"
    if let collective { place += ", \(collective.rawValue)" }
    if !label.isEmpty { place += " '\(label)'" }
    if let sequence { place += " (sequence \(sequence))" }
    return "\(place): \(reason); \(remedy)"
  }
}
