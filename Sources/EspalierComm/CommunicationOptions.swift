/// How a world of ranks communicates; the same on every rank.
public struct CommunicationOptions: Sendable {
  /// Seconds that `Pending.wait` waits before it throws.
  public var deadlineSeconds: Double
  /// Compare kind, label, sequence and boundaries of every collective between the ranks before it runs.
  public var checksCollectives: Bool
  /// Elements of one chunk of a reduction: staging is this times the nodes of a round that come from other ranks. Never changes a bit.
  public var chunkElements: Int
  /// Most bytes in one MPI call; longer messages are sent in parts.
  public var maximumCount: Int
  /// Fill staging and dead slabs with signalling NaN, so that a use after return shows.
  public var poisonsMemory: Bool
  /// Called by `World.mpi` on the rank whose body threw, before the job is aborted: prints the error and returns the exit code (not 0).
  /// Without it the error goes to standard error and the code is 1.
  public var onFailure: (@Sendable (any Error) -> Int32)?
  /// Who is told of every collective.
  package var observers: CollectiveObservers?

  public init(
    deadlineSeconds: Double = 300, checksCollectives: Bool = false, chunkElements: Int = 262_144,
    maximumCount: Int = 1 << 30,
    poisonsMemory: Bool = false, onFailure: (@Sendable (any Error) -> Int32)? = nil
  ) {
    precondition(deadlineSeconds > 0, "a deadline of \(deadlineSeconds) s would always have passed")
    precondition(chunkElements > 0, "chunks of \(chunkElements) elements carry nothing")
    precondition(maximumCount > 0 && maximumCount <= Int(Int32.max), "MPI counts are 1 … 2³¹ − 1, not \(maximumCount)")
    self.deadlineSeconds = deadlineSeconds
    self.checksCollectives = checksCollectives
    self.chunkElements = chunkElements
    self.maximumCount = maximumCount
    self.poisonsMemory = poisonsMemory
    self.onFailure = onFailure
  }
}
