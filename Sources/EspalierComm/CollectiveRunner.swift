internal import CMPI
internal import Foundation

/// One rank's collectives as straight-line code over a backend; lives on the communication thread.
final class CollectiveRunner {
  let backend: any Backend
  let options: CommunicationOptions
  let rank: Int
  let size: Int
  private let ledger: Monitor<CommunicationStatistics>
  private var traffic = CommunicationStatistics.Traffic()
  private var staging: UnsafeMutablePointer<Float>?
  private var stagingCount = 0
  private var scratch: UnsafeMutablePointer<Float>?
  private var scratchBlocks = 0
  private var packedOut: [UInt16] = []
  private var packedIn: [UInt16] = []
  /// What neighbours compare when they meet.
  private(set) var signature: UInt64 = 0
  /// Which ranks share a host; known from the first collective on.
  private(set) var hosts: HostMap
  let shelf: WindowShelf

  init(backend: any Backend, options: CommunicationOptions, ledger: Monitor<CommunicationStatistics>) {
    self.backend = backend
    self.options = options
    self.ledger = ledger
    rank = backend.rank
    size = backend.size
    hosts = .apart(backend.size)
    shelf = WindowShelf()
  }

  deinit {
    free(staging)
    free(scratch)
  }

  /// Learns from everyone who shares a host.
  func meetHosts() throws -> HostMap {
    let label = withUnsafeBytes(of: UInt64(backend.neighbours.first ?? rank).littleEndian) { Array($0) }
    let labels = try gatherFixed(label)
    hosts = HostMap(
      labels: (0..<size).map { rank in (0..<8).reversed().reduce(0) { $0 << 8 | Int(labels[8 * rank + $1]) } })
    return hosts
  }

  /// Runs one collective: the check if there is one, the work, the books.
  func perform<Value>(_ collective: Collective, _ work: (CollectiveRunner) throws -> Value) throws -> Value {
    do {
      if options.checksCollectives { try check(collective) }
      traffic = .init()
      signature = collective.signature
      let value = try work(self)
      let traffic = traffic
      ledger.update { statistics in
        var total = statistics.byKind[collective.kind] ?? .init()
        total.collectives += 1
        total.bytesSent += traffic.bytesSent
        total.bytesReceived += traffic.bytesReceived
        total.bytesToOtherHosts += traffic.bytesToOtherHosts
        statistics.byKind[collective.kind] = total
      }
      return value
    } catch let error as CommunicationError {
      throw error.during(collective)
    }
  }

  /// An exchange of payload; sides without bytes are left out on both ends.
  func exchange(
    send: UnsafeRawBufferPointer?, to: Int, receive: UnsafeMutableRawBufferPointer?, from: Int, isPayload: Bool = true
  ) throws {
    let outgoing = send.flatMap { $0.isEmpty ? nil : OutgoingMessage(bytes: $0, rank: to) }
    let incoming = receive.flatMap { $0.isEmpty ? nil : IncomingMessage(bytes: $0, rank: from) }
    guard outgoing != nil || incoming != nil else { return }
    try backend.exchange(send: outgoing, receive: incoming)
    guard isPayload else { return }
    traffic.bytesSent += outgoing?.bytes.count ?? 0
    traffic.bytesReceived += incoming?.bytes.count ?? 0
    if let outgoing, hosts.areApart(rank, to) { traffic.bytesToOtherHosts += outgoing.bytes.count }
  }

  /// Books what moved through shared memory.
  func account(sent: Int, received: Int) {
    traffic.bytesSent += sent
    traffic.bytesReceived += received
  }

  /// An exchange of floats.
  ///
  /// - Parameter compresses: whether they may travel in 16 bits between hosts, if the options say so.
  func exchange(
    send: UnsafePointer<Float>?, count sendCount: Int, to: Int, receive: UnsafeMutablePointer<Float>?,
    count receiveCount: Int, from: Int, compresses: Bool = false
  ) throws {
    if compresses, options.wire == .bfloat16, hosts.hosts.count > 1 {
      return try exchangeCompressed(
        send: send, count: sendCount, to: to, receive: receive, count: receiveCount, from: from)
    }
    try exchange(
      send: UnsafeRawBufferPointer(UnsafeBufferPointer(start: send, count: send == nil ? 0 : sendCount)), to: to,
      receive: UnsafeMutableRawBufferPointer(
        UnsafeMutableBufferPointer(start: receive, count: receive == nil ? 0 : receiveCount)), from: from)
  }

  /// Sides that leave the host travel as brain floats and are floats again before anything is added.
  private func exchangeCompressed(
    send: UnsafePointer<Float>?, count sendCount: Int, to: Int, receive: UnsafeMutablePointer<Float>?,
    count receiveCount: Int, from: Int
  ) throws {
    let (sendCount, receiveCount) = (send == nil ? 0 : sendCount, receive == nil ? 0 : receiveCount)
    let (packs, unpacks) = (hosts.areApart(rank, to), hosts.areApart(rank, from))
    if packedOut.count < sendCount { packedOut = Array(repeating: 0, count: sendCount) }
    if packedIn.count < receiveCount { packedIn = Array(repeating: 0, count: receiveCount) }
    try packedOut.withUnsafeMutableBufferPointer { out in
      if packs, let send { cmpi_bfloat16_pack(send, out.baseAddress, Int64(sendCount)) }
      let outgoing = UnsafeRawBufferPointer(
        start: packs ? UnsafeRawPointer(out.baseAddress) : UnsafeRawPointer(send), count: sendCount * (packs ? 2 : 4))
      try packedIn.withUnsafeMutableBufferPointer { into in
        let incoming = UnsafeMutableRawBufferPointer(
          start: unpacks ? UnsafeMutableRawPointer(into.baseAddress) : UnsafeMutableRawPointer(receive),
          count: receiveCount * (unpacks ? 2 : 4))
        try exchange(send: outgoing, to: to, receive: incoming, from: from)
        if unpacks, let receive { cmpi_bfloat16_unpack(into.baseAddress, receive, Int64(receiveCount)) }
      }
    }
  }

  /// Blocks for what lies between two additions; they stay in cache and are not counted as staging.
  func scratchMemory(blocks: Int) -> UnsafeMutablePointer<Float> {
    if let scratch, scratchBlocks >= blocks { return scratch }
    free(scratch)
    let memory = alignedFloats(count: blocks * BlockSum.blockElements)
    scratch = memory
    scratchBlocks = blocks
    return memory
  }

  /// Memory for what arrives before it is added: kept from one reduction to the next, made larger when it must be.
  func stagingMemory(count: Int) -> UnsafeMutablePointer<Float> {
    if let staging, stagingCount >= count { return staging }
    free(staging)
    let memory = alignedFloats(count: count)
    staging = memory
    stagingCount = count
    ledger.update { $0.stagingBytes = alignedBytes(count: count) }
    return memory
  }

  /// Makes a read of staging outside of its reduction show.
  func poisonStaging() {
    if options.poisonsMemory, let staging { poison(staging, count: stagingCount) }
  }

  /// Compares this collective with that of every other rank, so that a difference has a name and nobody hangs.
  private func check(_ collective: Collective) throws {
    let mine = CollectiveHeader(collective)
    let headers = try gatherFixed(mine.bytes)
    for other in 0..<size where other != rank {
      let start = other * CollectiveHeader.byteCount
      let theirs = CollectiveHeader(bytes: headers[start..<start + CollectiveHeader.byteCount])
      guard theirs != mine else { continue }
      throw CommunicationError(
        .collectivesDiffer, rank: rank, during: collective,
        reason:
          "rank \(rank) is at \(mine.description(beside: theirs)) while rank \(other) is at \(theirs.description(beside: mine))",
        remedy: "make every rank issue the same collectives in the same order")
    }
  }
}
