/// The way that an ordered sum takes between ranks.
package enum ReductionPath: String, Hashable, Sendable, Codable, CustomStringConvertible {
  /// Nobody to add with.
  case alone
  /// One host: everyone reads the neighbours' windows.
  case windows
  /// Messages between all ranks, slice by slice.
  case pairwise
  /// Windows on each host, slices pairwise between hosts.
  case windowsAndPairwise
  /// Windows on each host, slices halved between hosts; where the lanes fall on the hosts in equal subtrees, otherwise pairwise.
  case windowsAndHalving

  /// The way that is taken for a run of `bytes`.
  ///
  /// - Parameter isShared: whether slabs lie in windows.
  package static func chosen(bytes: Int, hosts: HostMap, isShared: Bool) -> ReductionPath {
    if hosts.hostOfRank.count == 1 { return .alone }
    if !isShared { return .pairwise }
    if hosts.hosts.count == 1 { return .windows }
    let slice = bytes / hosts.hostOfRank.count
    return CostModel.reference.halves(hosts, sliceBytes: slice) ? .windowsAndHalving : .windowsAndPairwise
  }

  package var description: String {
    switch self {
    case .alone: "one rank"
    case .windows: "shared windows"
    case .pairwise: "pairwise messages"
    case .windowsAndHalving: "shared windows, halving between hosts"
    case .windowsAndPairwise: "shared windows, pairwise between hosts"
    }
  }
}

/// What a sum over ranks costs in seconds: latency α a message, β a byte moved, γ a byte added.
///
/// Thakur, Rabenseifner, Gropp 2005, doi:10.1177/1094342005051521, for messages; windows cost a meeting and the bytes that the slower of reading
/// and adding passes over. An estimate that chooses and plans, not a measurement: `espalier bench collectives` prints both.
package struct CostModel: Hashable, Sendable, Codable {
  /// α of a meeting of neighbours in shared memory, seconds.
  package var meeting: Double
  /// α of a message on a host and between hosts, seconds.
  package var localMessage: Double
  package var wireMessage: Double
  /// β of memory shared by all cores of a host, of messages on a host, and of the wire of a host: seconds a byte.
  package var memoryByte: Double
  package var localByte: Double
  package var wireByte: Double
  /// γ: seconds a byte of a summand that is added, by one rank, in cache.
  package var addedByte: Double

  package init(
    meeting: Double, localMessage: Double, wireMessage: Double, memoryByte: Double, localByte: Double, wireByte: Double,
    addedByte: Double
  ) {
    self.meeting = meeting
    self.localMessage = localMessage
    self.wireMessage = wireMessage
    self.memoryByte = memoryByte
    self.localByte = localByte
    self.wireByte = wireByte
    self.addedByte = addedByte
  }

  /// Two cores of Zen 3, Open MPI 4.1.4, 1 Gbit/s Ethernet.
  ///
  /// Memory and meeting are fitted to medians of `espalier bench collectives` there: 0.34 ms for 4 MiB, 1.1 ms for 16 MiB, 3.5 to 8 ms for
  /// 64 MiB; a meeting includes handing the request to the communication thread and back. Messages on the host: MPI_Sendrecv over shared memory
  /// at 3 GB/s. Wire: 118 MB/s of payload and 50 µs, the usual figures of TCP. Adding: 8 bytes a cycle and core.
  package static let reference = CostModel(
    meeting: 45e-6, localMessage: 1e-6, wireMessage: 50e-6, memoryByte: 1 / 45e9, localByte: 1 / 3e9,
    wireByte: 1 / 118e6, addedByte: 1 / 24e9)

  /// Seconds of the sum of one run of `bytes` a rank, onto every rank.
  package func secondsOfSum(
    bytes: Int, hosts: HostMap, path: ReductionPath, wire: WirePrecision = .float32
  ) -> Double {
    let ranks = hosts.hostOfRank.count
    let bytes = Double(bytes)
    switch path {
    case .alone: return 0
    case .windows: return onHost(bytes, ranks: ranks)
    case .pairwise:
      // Every rank sends and receives everybody's slice twice; the wire of a host is shared by its ranks.
      let most = hosts.hosts.map(\.count).max() ?? 1
      let local = Double(most - 1), foreign = Double(ranks - most)
      let slice = bytes / Double(ranks)
      // Copied in and copied out: the memory that all ranks share may be the narrower way.
      let localByte = max(localByte, 4 * Double(most) * memoryByte)
      let sent = 2 * slice * (local * localByte + foreign * Double(most) * wireByte * factor(wire))
      return 2 * meeting + 2 * (local * localMessage + foreign * wireMessage) + sent
        + slice * Double(ranks - 1) * addedByte
    case .windowsAndPairwise, .windowsAndHalving:
      let count = Double(hosts.hosts.count)
      let most = hosts.hosts.map(\.count).max() ?? 1
      // All ranks of a host together send its sum of every foreign slice out and its own slices' results to every other host.
      let reducing = path == .windowsAndHalving ? Double(hosts.hosts.count.trailingZeroBitCount) : count - 1
      let messages = reducing + count - 1
      let crossing = 2 * bytes * (count - 1) / count * wireByte * factor(wire)
      return onHost(bytes, ranks: most) + messages * wireMessage + crossing + bytes / count * addedByte
    }
  }

  /// Whether slices are halved between hosts: a power of two of hosts with as many ranks each, and slices so short that the messages spared are worth
  /// more than copying what every host holds of them.
  package func halves(_ hosts: HostMap, sliceBytes: Int) -> Bool {
    let count = hosts.hosts.count
    guard count >= 4, count.nonzeroBitCount == 1, Set(hosts.hosts.map(\.count)).count == 1 else { return false }
    let spared = Double(count - 1 - count.trailingZeroBitCount) * wireMessage
    return 2 * Double(count * sliceBytes) * memoryByte < spared
  }

  /// Reads every window and writes every window, once.
  private func onHost(_ bytes: Double, ranks: Int) -> Double {
    guard ranks > 1 else { return meeting }
    let moved = 2 * bytes * Double(ranks) * memoryByte
    let added = bytes / Double(ranks) * Double(ranks - 1) * addedByte
    return meeting + max(moved, added)
  }

  private func factor(_ wire: WirePrecision) -> Double { wire == .bfloat16 ? 0.5 : 1 }
}
