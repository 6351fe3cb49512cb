internal import Foundation

/// What the in-process ranks share: at most one message under way from each rank to each other.
///
/// Sendable through its monitor: a posted message's memory may be read by its receiver until it is marked taken, and its sender does not
/// return before.
package final class InProcessWorld: Sendable {
  private enum Stage { case posted, copying, taken }

  /// `@unchecked Sendable`: the pointer is read only between `posted` and `taken`, while its sender waits.
  private struct Post: @unchecked Sendable {
    let bytes: UnsafeRawBufferPointer
    var stage = Stage.posted
  }

  private struct State {
    var posts: [Post?]
    var ended: [Bool]
    var failure: (rank: Int, cause: any Error)?
  }

  package let size: Int
  private let state: Monitor<State>

  package init(size: Int) {
    precondition(size >= 1, "a world of \(size) ranks")
    self.size = size
    state = Monitor(
      State(posts: Array(repeating: nil, count: size * size), ended: Array(repeating: false, count: size)))
  }

  /// The error of the rank that failed first.
  package var firstCause: (any Error)? { state.read { $0.failure?.cause } }

  /// Wakes every rank that waits; what they see is that `rank` failed. The first cause stays.
  package func poison(rank: Int, cause: any Error) {
    state.update { $0.failure = $0.failure ?? (rank, cause) }
  }

  func end(rank: Int) { state.update { $0.ended[rank] = true } }

  func post(_ bytes: UnsafeRawBufferPointer, from rank: Int, to peer: Int) throws {
    try state.update { state in
      if let failure = state.failure { throw error(failure, seenBy: rank) }
      state.posts[rank * size + peer] = Post(bytes: bytes)
    }
  }

  /// Copies straight from the sender's memory.
  func take(into bytes: UnsafeMutableRawBufferPointer, from peer: Int, to rank: Int) throws {
    let place = peer * size + rank
    let source = try state.wait { (state) -> UnsafeRawBufferPointer? in
      if let failure = state.failure { throw error(failure, seenBy: rank) }
      guard let post = state.posts[place], post.stage == .posted else {
        if state.ended[peer] { throw finished(peer, seenBy: rank) }
        return nil
      }
      guard post.bytes.count == bytes.count else {
        throw CommunicationError(
          .sizesDiffer, rank: rank,
          reason: "rank \(peer) sent \(post.bytes.count) bytes where rank \(rank) expected \(bytes.count)",
          remedy:
            "make every rank issue the same collectives (CommunicationOptions.checksCollectives names the first difference)"
        )
      }
      state.posts[place]?.stage = .copying
      return post.bytes
    }
    if let source { bytes.copyMemory(from: source) }
    state.update { $0.posts[place]?.stage = .taken }
  }

  /// Waits until the message of `rank` to `peer` has been copied; afterwards nobody reads its memory, whatever happened.
  func awaitTaken(from rank: Int, by peer: Int) throws {
    let place = rank * size + peer
    _ = try state.wait { (state) -> Bool? in
      guard let post = state.posts[place] else { return true }
      switch post.stage {
      case .copying: return nil
      case .taken:
        state.posts[place] = nil
        return true
      case .posted:
        if let failure = state.failure {
          state.posts[place] = nil
          throw error(failure, seenBy: rank)
        }
        if state.ended[peer] {
          state.posts[place] = nil
          throw finished(peer, seenBy: rank)
        }
        return nil
      }
    }
  }

  /// Takes a message back that nobody has begun to copy, and waits for one that somebody has.
  func withdrawPost(from rank: Int, to peer: Int) {
    let place = rank * size + peer
    _ = state.wait { (state) -> Bool? in
      if state.posts[place]?.stage == .copying { return nil }
      state.posts[place] = nil
      return true
    }
  }

  private func error(_ failure: (rank: Int, cause: any Error), seenBy rank: Int) -> CommunicationError {
    .peerFailed(failure.rank, cause: failure.cause, seenBy: rank)
  }

  private func finished(_ peer: Int, seenBy rank: Int) -> CommunicationError {
    CommunicationError(
      .peerFinished, rank: rank, reason: "rank \(peer) has ended while rank \(rank) waits for it",
      remedy: "make every rank issue the same collectives")
  }
}

/// Ranks that are threads of one process.
package final class InProcessBackend: Backend {
  package let rank: Int
  package let size: Int
  private let world: InProcessWorld

  package init(rank: Int, world: InProcessWorld) {
    self.rank = rank
    self.size = world.size
    self.world = world
  }

  package func exchange(send: OutgoingMessage?, receive: IncomingMessage?) throws {
    if let send { try world.post(send.bytes, from: rank, to: send.rank) }
    do {
      if let receive { try world.take(into: receive.bytes, from: receive.rank, to: rank) }
    } catch {
      if let send { world.withdrawPost(from: rank, to: send.rank) }
      throw error
    }
    if let send { try world.awaitTaken(from: rank, by: send.rank) }
  }

  package func withdraw(because error: any Error) { world.poison(rank: rank, cause: error) }

  package func abort(exitCode: Int32) {
    world.poison(
      rank: rank,
      cause: CommunicationError(
        .peerFailed, rank: rank, reason: "rank \(rank) aborted with code \(exitCode)", remedy: "see its error"))
  }

  package func close() throws { world.end(rank: rank) }
}
