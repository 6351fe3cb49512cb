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

  init(backend: any Backend, options: CommunicationOptions, ledger: Monitor<CommunicationStatistics>) {
    self.backend = backend
    self.options = options
    self.ledger = ledger
    rank = backend.rank
    size = backend.size
  }

  deinit { free(staging) }

  /// Runs one collective: the check if there is one, the work, the books.
  func perform<Value>(_ collective: Collective, _ work: (CollectiveRunner) throws -> Value) throws -> Value {
    do {
      if options.checksCollectives { try check(collective) }
      traffic = .init()
      let value = try work(self)
      let traffic = traffic
      ledger.update { statistics in
        var total = statistics.byKind[collective.kind] ?? .init()
        total.collectives += 1
        total.bytesSent += traffic.bytesSent
        total.bytesReceived += traffic.bytesReceived
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
  }

  /// An exchange of floats.
  func exchange(
    send: UnsafePointer<Float>?, count sendCount: Int, to: Int, receive: UnsafeMutablePointer<Float>?,
    count receiveCount: Int, from: Int
  ) throws {
    try exchange(
      send: UnsafeRawBufferPointer(UnsafeBufferPointer(start: send, count: send == nil ? 0 : sendCount)), to: to,
      receive: UnsafeMutableRawBufferPointer(
        UnsafeMutableBufferPointer(start: receive, count: receive == nil ? 0 : receiveCount)), from: from)
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
