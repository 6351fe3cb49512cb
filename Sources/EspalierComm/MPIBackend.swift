internal import CMPI
internal import Foundation

/// Ranks that are processes of an MPI job; every MPI call from Init to Finalize is made by the thread that owns this.
package final class MPIBackend: Backend {
  package let rank: Int
  package let size: Int
  private let maximumCount: Int64

  /// Starts MPI with MPI_THREAD_FUNNELED: the calling thread is the one that calls MPI.
  package init(maximumCount: Int) throws {
    var rank: Int32 = 0
    var size: Int32 = 1
    let code = cmpi_init(&rank, &size)
    guard code == CMPI_SUCCESS else { throw Self.error(code, rank: 0, call: "MPI_Init_thread") }
    self.rank = Int(rank)
    self.size = Int(size)
    self.maximumCount = Int64(maximumCount)
  }

  package func exchange(send: OutgoingMessage?, receive: IncomingMessage?) throws {
    var received: Int64 = 0
    let expected = receive?.bytes.count ?? 0
    let code = cmpi_exchange(
      send?.bytes.baseAddress, Int64(send?.bytes.count ?? 0), Int32(send?.rank ?? 0), receive?.bytes.baseAddress,
      Int64(expected), Int32(receive?.rank ?? 0), maximumCount, &received)
    guard code != CMPI_TOO_LONG else { throw sizeError(receive, came: "more") }
    guard code == CMPI_SUCCESS else {
      var call = "MPI_Sendrecv"
      if let send { call += " to rank \(send.rank)" }
      if let receive { call += " from rank \(receive.rank)" }
      throw Self.error(code, rank: rank, call: call)
    }
    guard received == Int64(expected) else { throw sizeError(receive, came: "\(received)") }
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
