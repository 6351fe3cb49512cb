internal import CMPI
internal import Foundation

/// Ranks that are processes of an MPI job; every MPI call from Init to Finalize is made by the thread that owns this.
package final class MPIBackend: Backend {
  package let rank: Int
  package let size: Int
  package let neighbours: [Int]
  package let hasNativeSums = true
  private let maximumCount: Int64
  private let deathGrace: Duration
  private var deathSeen: ContinuousClock.Instant?

  /// Starts MPI with MPI_THREAD_FUNNELED: the calling thread is the one that calls MPI.
  ///
  /// - Parameter options: ranks on different pretended hosts share no memory even if they could.
  package init(_ options: CommunicationOptions) throws {
    var rank: Int32 = 0
    var size: Int32 = 1
    let code = cmpi_init(&rank, &size)
    guard code == CMPI_SUCCESS else { throw Self.error(code, rank: 0, call: "MPI_Init_thread") }
    self.rank = Int(rank)
    self.size = Int(size)
    maximumCount = Int64(options.maximumCount)
    deathGrace = .seconds(options.deathGraceSeconds)
    var count: Int32 = 0
    let found = cmpi_find_neighbours(Int32(options.pretendedHosts?[Int(rank)] ?? 0), &count)
    guard found == CMPI_SUCCESS else { throw Self.error(found, rank: Int(rank), call: "MPI_Comm_split_type") }
    neighbours = [Int32](unsafeUninitializedCapacity: Int(count)) { buffer, filled in
      cmpi_neighbours(buffer.baseAddress)
      filled = Int(count)
    }.map(Int.init)
  }

  package func windowSpace() throws -> (directory: String, freeBytes: Int)? {
    guard neighbours.count > 1 else { return nil }
    let directory = String(cString: cmpi_window_directory())
    return (directory, try WindowSpace.freeBytes(of: directory))
  }

  package func makeWindow(id: Int, bytes: Int) throws -> WindowMemory {
    let place = neighbours.firstIndex(of: rank) ?? 0
    guard neighbours.count > 1 else {
      let part = WindowPart(bytes: bytes)
      return WindowMemory(ranks: neighbours, place: place, bases: [part.base], keepers: [part])
    }
    var bases = [UnsafeMutableRawPointer?](repeating: nil, count: neighbours.count)
    var handle: Int32 = -1
    // MPI promises no edge. It maps whole pages, so every process rounds an address up by the same number of bytes.
    let code = cmpi_window_allocate(Int64(bytes + 64), &bases, &handle)
    guard code == CMPI_SUCCESS else { throw Self.error(code, rank: rank, call: "MPI_Win_allocate_shared") }
    return WindowMemory(
      ranks: neighbours, place: place, bases: bases.compactMap { $0?.alignedUp(toMultipleOf: 64) },
      handle: handle)
  }

  package func freeWindow(_ memory: WindowMemory) throws {
    guard memory.handle >= 0 else { return }
    let code = cmpi_window_free(memory.handle)
    guard code == CMPI_SUCCESS else { throw Self.error(code, rank: rank, call: "MPI_Win_free") }
  }

  package func requirePresent(_ peer: Int) throws {
    let absent = Int(cmpi_absent_neighbour())
    guard absent >= 0 else { return }
    let now = ContinuousClock.now
    let seen = deathSeen ?? now
    deathSeen = seen
    guard now - seen >= deathGrace else { return }
    throw CommunicationError(
      .peerFailed, rank: rank, reason: "the process of rank \(absent) has died",
      remedy: "look for what ended it in its output and in the system's log (out of memory, a signal)")
  }

  package func nativeReduceScatter(
    _ send: UnsafePointer<Float>, into slice: UnsafeMutablePointer<Float>, counts: [Int]
  ) throws {
    let code = cmpi_reduce_scatter(send, slice, counts.map { Int32($0) })
    guard code == CMPI_SUCCESS else { throw Self.error(code, rank: rank, call: "MPI_Reduce_scatter") }
  }

  package func nativeAllReduce(_ values: UnsafeMutablePointer<Float>, count: Int) throws {
    let code = cmpi_all_reduce(values, Int64(count), max(1, maximumCount / 4))
    guard code == CMPI_SUCCESS else { throw Self.error(code, rank: rank, call: "MPI_Allreduce") }
  }

  package func exchange(send: OutgoingMessage?, receive: IncomingMessage?) throws {
    var received: Int64 = 0
    let expected = receive?.bytes.count ?? 0
    let code = cmpi_exchange(
      send?.bytes.baseAddress, Int64(send?.bytes.count ?? 0), Int32(send?.rank ?? 0), cut(send?.rank),
      receive?.bytes.baseAddress, Int64(expected), Int32(receive?.rank ?? 0), cut(receive?.rank), &received)
    guard code != CMPI_TOO_LONG else { throw sizeError(receive, came: "more") }
    guard code == CMPI_SUCCESS else {
      var call = "MPI_Sendrecv"
      if let send { call += " to rank \(send.rank)" }
      if let receive { call += " from rank \(receive.rank)" }
      throw Self.error(code, rank: rank, call: call)
    }
    guard received == Int64(expected) else { throw sizeError(receive, came: "\(received)") }
  }

  /// Bytes in one message to or from a rank.
  ///
  /// Beyond 64 KiB Open MPI asks over TCP whether it may send. The answer waits behind all that goes the same way, so that of two hosts that
  /// send each other much at once one waits for the other, and a link carries half of what it could. Between hosts no message is that long.
  private func cut(_ peer: Int?) -> Int64 {
    guard let peer, !neighbours.contains(peer) else { return maximumCount }
    return min(maximumCount, 60 << 10)
  }

  private func sizeError(_ receive: IncomingMessage?, came: String) -> CommunicationError {
    CommunicationError(
      .sizesDiffer, rank: rank,
      reason: "rank \(receive?.rank ?? 0) sent \(came) bytes where rank \(rank) expected \(receive?.bytes.count ?? 0)",
      remedy:
        "make every rank issue the same collectives (CommunicationOptions.checksCollectives names the first difference)"
    )
  }

  /// MPI has no way to tell; the abort that follows does.
  package func withdraw(because error: any Error) {}

  package func abort(exitCode: Int32) { cmpi_abort(exitCode) }

  package func close() throws {
    let code = cmpi_finalize()
    guard code == CMPI_SUCCESS else { throw Self.error(code, rank: rank, call: "MPI_Finalize") }
  }

  private static func error(_ code: Int32, rank: Int, call: String) -> CommunicationError {
    let text = withUnsafeTemporaryAllocation(of: CChar.self, capacity: 1024) { buffer -> String in
      cmpi_error_text(code, buffer.baseAddress, 1024)
      return buffer.baseAddress.map { String(cString: $0) } ?? "error \(code)"
    }
    return CommunicationError(
      .transportFailed, rank: rank, reason: "\(call) failed: \(text)",
      remedy: "look in the output of the other ranks for the first error, and check the network between the hosts")
  }
}
