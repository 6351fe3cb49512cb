/// What one rank has sent, received, held and waited for since its communicator was made.
public struct CommunicationStatistics: Sendable, Equatable {
  /// Counts of one kind of collective.
  public struct Traffic: Sendable, Equatable {
    public var collectives = 0
    /// Payload bytes that went to other ranks, in messages or through shared memory; headers, checks and what a rank keeps are not counted.
    public var bytesSent = 0
    /// Payload bytes that came from other ranks.
    public var bytesReceived = 0
    /// Of `bytesSent`, those that left the host in messages.
    public var bytesToOtherHosts = 0
    public init() {}
  }

  public var byKind: [CollectiveKind: Traffic] = [:]
  /// Bytes of slabs that are alive now.
  public var slabBytes = 0
  /// The largest value that `slabBytes` has had.
  public var highWaterSlabBytes = 0
  /// Bytes of the staging memory of reductions.
  public var stagingBytes = 0
  /// Why slabs that could be shared are not; nil if they are, or nobody could share them.
  public var windowRefusal: String?
  /// Seconds that threads of this rank spent in `Pending.wait`.
  public var secondsWaited = 0.0

  public init() {}

  /// Payload bytes that went to other ranks.
  public var bytesSent: Int { byKind.values.reduce(0) { $0 + $1.bytesSent } }
  /// Of `bytesSent`, those that left the host.
  public var bytesToOtherHosts: Int { byKind.values.reduce(0) { $0 + $1.bytesToOtherHosts } }
  /// Payload bytes that came from other ranks.
  public var bytesReceived: Int { byKind.values.reduce(0) { $0 + $1.bytesReceived } }
  /// Collectives completed.
  public var collectives: Int { byKind.values.reduce(0) { $0 + $1.collectives } }
}
