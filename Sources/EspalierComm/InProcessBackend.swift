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
    /// Parts of windows that are being made, by window and rank.
    var parts: [Int: [Int: WindowPart]] = [:]
    /// How many ranks have taken their view of a window.
    var views: [Int: [Int: Int]] = [:]
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

  /// Shows the part of a rank and waits for those of its neighbours.
  func share(_ part: WindowPart, window id: Int, rank: Int, with neighbours: [Int]) throws -> [WindowPart] {
    state.update { $0.parts[id, default: [:]][rank] = part }
    let found = try state.wait { (state) -> [WindowPart]? in
      if let failure = state.failure { throw error(failure, seenBy: rank) }
      let parts = neighbours.compactMap { state.parts[id]?[$0] }
      guard parts.count == neighbours.count else {
        if let gone = neighbours.first(where: { state.ended[$0] }) { throw finished(gone, seenBy: rank) }
        return nil
      }
      // The last to look takes the entry away; the views hold the parts.
      let group = neighbours.first ?? rank
      let looks = state.views[id, default: [:]][group, default: 0] + 1
      state.views[id]?[group] = looks
      if looks == neighbours.count {
        for neighbour in neighbours { state.parts[id]?[neighbour] = nil }
        state.views[id]?[group] = nil
      }
      return parts
    }
    return found ?? []
  }

  /// - Throws: what `rank` sees if a rank has failed or `peer` has ended.
  func requirePresent(_ peer: Int, seenBy rank: Int) throws {
    try state.read { state in
      if let failure = state.failure { throw error(failure, seenBy: rank) }
      if state.ended[peer] { throw finished(peer, seenBy: rank) }
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

/// One rank's part of a window in ordinary memory: on a cache line, zero.
final class WindowPart: @unchecked Sendable {
  let base: UnsafeMutableRawPointer

  init(bytes: Int) {
    base = UnsafeMutableRawPointer(alignedFloats(count: (bytes + 3) / 4))
    memset(base, 0, bytes)
  }

  deinit { free(base) }
}

/// Ranks that are threads of one process.
package final class InProcessBackend: Backend {
  package let rank: Int
  package let size: Int
  private let world: InProcessWorld

  package let neighbours: [Int]
  package let hasNativeSums = false

  /// - Parameter pretendedHosts: by rank; ranks with different numbers share no memory.
  package init(rank: Int, world: InProcessWorld, pretendedHosts: [Int]? = nil) {
    self.rank = rank
    neighbours = (0..<world.size).filter { pretendedHosts?[$0] == pretendedHosts?[rank] }
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

  package func windowSpace() throws -> (directory: String, freeBytes: Int)? { nil }

  package func makeWindow(id: Int, bytes: Int) throws -> WindowMemory {
    let parts = try world.share(WindowPart(bytes: bytes), window: id, rank: rank, with: neighbours)
    return WindowMemory(
      ranks: neighbours, place: neighbours.firstIndex(of: rank) ?? 0, bases: parts.map(\.base), keepers: parts)
  }

  package func freeWindow(_ memory: WindowMemory) throws {}

  package func requirePresent(_ peer: Int) throws { try world.requirePresent(peer, seenBy: rank) }

  package func nativeReduceScatter(
    _ send: UnsafePointer<Float>, into slice: UnsafeMutablePointer<Float>, counts: [Int]
  ) throws { throw noNativeSums }

  package func nativeAllReduce(_ values: UnsafeMutablePointer<Float>, count: Int) throws { throw noNativeSums }

  private var noNativeSums: CommunicationError { .noNativeSums(rank: rank) }

  package func withdraw(because error: any Error) { world.poison(rank: rank, cause: error) }

  package func abort(exitCode: Int32) {
    world.poison(
      rank: rank,
      cause: CommunicationError(
        .peerFailed, rank: rank, reason: "rank \(rank) aborted with code \(exitCode)", remedy: "see its error"))
  }

  package func close() throws { world.end(rank: rank) }
}
