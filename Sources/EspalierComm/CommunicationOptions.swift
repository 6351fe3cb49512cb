/// Who decides the order in which a sum over ranks is added.
public enum ReductionOrder: String, Sendable, Hashable, Codable, CaseIterable {
  /// The tree over lanes: the same bits for every number of ranks.
  case ordered
  /// MPI: other bits for other numbers of ranks and sizes. The baseline of measurements.
  case native
}

/// The format of gradients on their way between hosts.
public enum WirePrecision: String, Sendable, Hashable, Codable, CaseIterable {
  /// As they are.
  case float32
  /// Rounded to nearest even, half the bytes; added in 32 bits. Values of weights always travel as they are.
  case bfloat16
}

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
  /// Who decides the order of sums. `.native` needs MPI and gives up the same bits at every number of ranks.
  public var reduction: ReductionOrder
  /// How gradients travel between hosts. `.bfloat16` gives up the same bits at every number of hosts.
  public var wire: WirePrecision
  /// Told once, on rank 0, why slabs are not shared on a host although they could be; standard error without it.
  public var onNotice: (@Sendable (String) -> Void)?
  /// Called by `World.mpi` on the rank whose body threw, before the job is aborted: prints the error and returns the exit code (not 0).
  /// Without it the error goes to standard error and the code is 1.
  public var onFailure: (@Sendable (any Error) -> Int32)?
  /// Seconds for which a neighbour's death is left to a watchdog, whose verdict says more, before a collective fails over it.
  package var deathGraceSeconds = 0.0
  /// Who is told of every collective.
  package var observers: CollectiveObservers?
  /// Whether slabs may lie in shared memory.
  package var usesWindows = true
  /// By rank: a number of the host that it pretends to live on, so that one machine can try what happens between several.
  package var pretendedHosts: [Int]?

  public init(
    deadlineSeconds: Double = 300, checksCollectives: Bool = false, chunkElements: Int = 262_144,
    maximumCount: Int = 1 << 30,
    poisonsMemory: Bool = false, reduction: ReductionOrder = .ordered, wire: WirePrecision = .float32,
    onFailure: (@Sendable (any Error) -> Int32)? = nil
  ) {
    precondition(deadlineSeconds > 0, "a deadline of \(deadlineSeconds) s would always have passed")
    precondition(chunkElements > 0, "chunks of \(chunkElements) elements carry nothing")
    precondition(maximumCount > 0 && maximumCount <= Int(Int32.max), "MPI counts are 1 … 2³¹ − 1, not \(maximumCount)")
    self.deadlineSeconds = deadlineSeconds
    self.checksCollectives = checksCollectives
    self.chunkElements = chunkElements
    self.maximumCount = maximumCount
    self.poisonsMemory = poisonsMemory
    self.reduction = reduction
    self.wire = wire
    self.onFailure = onFailure
  }
}
