internal import Foundation

/// A rank of the world.
public struct Member: Sendable, Hashable, Codable {
  /// Its number, from 0.
  public let rank: Int
  /// What its machine is called.
  public let host: String
  /// Its process.
  public let pid: Int
}

/// One rank's way to the others: collectives are asked for, run one after the other on a thread of their own, and waited for.
///
/// Every rank must ask for the same collectives in the same order. Memory in a request is lent until its `Pending.wait` returns. A collective
/// that failed fails all later ones with the first cause.
///
/// ```swift
/// let sum = communicator.reduceScatter([gradients.range], round: round, boundaries: boundaries, into: counter, label: "blocks.3")
/// // … compute …
/// try sum.wait()
/// ```
public final class Communicator: Sendable {
  /// This rank's number, from 0.
  public let rank: Int
  /// How many ranks there are.
  public let size: Int
  /// Every rank with its host and process, in rank order.
  public let members: [Member]
  /// Which ranks share memory.
  package let hosts: HostMap
  /// Whether `allReduceNatively` can be asked for.
  package let hasNativeSums: Bool
  package let options: CommunicationOptions
  let queue: CollectiveQueue
  private let thread: DedicatedThread
  let ledger: Monitor<CommunicationStatistics>

  /// Starts the communication thread, makes the backend on it and meets the other ranks.
  package init(
    rank: Int = 0, options: CommunicationOptions, makeBackend: @escaping @Sendable () throws -> any Backend
  ) throws {
    let ledger = Monitor(CommunicationStatistics())
    let started = Monitor<Result<(rank: Int, size: Int, queue: CollectiveQueue), any Error>?>(nil)
    let thread = DedicatedThread(named: "communication", stackBytes: 8 << 20) {
      let backend: any Backend
      let queue: CollectiveQueue
      do {
        backend = try makeBackend()
        queue = CollectiveQueue(
          rank: backend.rank, deadlineSeconds: options.deadlineSeconds, ledger: ledger,
          observers: options.observers?(backend.rank, backend.size) ?? [])
        started.update { $0 = .success((backend.rank, backend.size, queue)) }
      } catch {
        started.update { $0 = .failure(error) }
        return
      }
      Self.serve(queue, CollectiveRunner(backend: backend, options: options, ledger: ledger))
    }
    guard let world = started.wait(atMost: options.deadlineSeconds, for: { $0 }) else {
      throw CommunicationError(
        .deadlineExpired, rank: rank, label: "start",
        reason: "the transport did not start in \(options.deadlineSeconds) s",
        remedy: "check that every rank of the job was started")
    }
    self.ledger = ledger
    self.thread = thread
    self.options = options
    (self.rank, size, queue) = try world.get()
    do {
      let me = Member(
        rank: self.rank, host: Self.hostName(), pid: Int(ProcessInfo.processInfo.processIdentifier))
      let mine = Array(try JSONEncoder().encode(me))
      let (hosts, hasNativeSums, encoded) = try queue.submit(.gatherBytes, label: "members") {
        (try $0.meetHosts(), $0.backend.hasNativeSums, try $0.gather(bytes: mine))
      }.wait()
      self.hosts = hosts
      self.hasNativeSums = hasNativeSums
      members = try encoded.map { try JSONDecoder().decode(Member.self, from: Data($0)) }
    } catch {
      queue.close()
      throw error
    }
    ledger.update { $0.byKind = [:] }
  }

  /// Memory for gradients and gathered weights: zero, on a 64-byte edge, freed when nobody holds it.
  public func slab(count: Int) -> Slab { Slab(count: count, poisons: options.poisonsMemory, ledger: ledger) }

  /// The ordered reduction: feeds the nodes of one round to the counter on this rank's slice.
  ///
  /// `contributions` are this rank's nodes of `round` in lane order, each a whole run of `boundaries.last` elements. The slice
  /// `boundaries[rank] ..< boundaries[rank + 1]` of every node of the round is added in lane order; after the last round slot 0 of `counter`
  /// holds the finished sum. This rank's own slice of its contributions may be overwritten, nothing else of them. The bits depend on the lanes
  /// alone: not on the number of ranks, the dealing, the boundaries or the chunk size.
  ///
  /// - Parameter boundaries: size + 1 rising offsets from 0; slices may be uneven or empty. The same on every rank.
  /// - Complexity: sends (size − 1)/size of a run for each own node; staging of one chunk for each node of another rank.
  public func reduceScatter(
    _ contributions: [SlabRange], round: LaneDealing.Round, boundaries: [Int], into counter: LaneCounter, label: String
  ) -> Pending<Void> {
    require(contributions, round, boundaries, label)
    let slice = boundaries[rank + 1] - boundaries[rank]
    precondition(
      counter.slots[0].count == slice, "'\(label)': slots of \(counter.slots[0].count) elements for a slice of \(slice)"
    )
    return submit(
      .reduceScatter, contributions, round: round, boundaries: boundaries, into: counter, publishing: nil, label: label)
  }

  /// The ordered reduction of a step's only round, with the whole sum in `range` on every rank: `reduceScatter` and `allGather` in one pass over
  /// memory.
  ///
  /// The first of `contributions` may lie in `range`; all of them may be overwritten.
  public func allReduce(
    _ contributions: [SlabRange], round: LaneDealing.Round, boundaries: [Int], into range: SlabRange, label: String
  ) -> Pending<Void> {
    require(contributions, round, boundaries, label)
    precondition(round.isLast, "'\(label)': a sum on every rank is that of all lanes")
    precondition(
      range.count == boundaries[size], "'\(label)': \(range.count) elements for a run of \(boundaries[size])")
    let slice = boundaries[rank]..<boundaries[rank + 1]
    let own = SlabRange(slab: range.slab, offset: range.offset + slice.lowerBound, count: slice.count)
    return submit(
      .allReduce, contributions, round: round, boundaries: boundaries,
      into: LaneCounter(slots: [own], nodesIn: [range.slab] + contributions.map(\.slab)), publishing: range,
      label: label)
  }

  /// MPI's own sum in place, to measure ours against; its bits are MPI's.
  package func allReduceNatively(_ range: SlabRange, label: String) -> Pending<Void> {
    queue.submit(.allReduce, label: label, boundaries: [range.count]) {
      try $0.backend.nativeAllReduce(range.pointer, count: range.count)
    }
  }

  private func submit(
    _ kind: CollectiveKind, _ contributions: [SlabRange], round: LaneDealing.Round, boundaries: [Int],
    into counter: LaneCounter, publishing range: SlabRange?, label: String
  ) -> Pending<Void> {
    let signature = boundaries + round.nodes.flatMap { [$0.rank, $0.firstLane, $0.level] } + [round.isLast ? 1 : 0]
    if options.reduction == .native {
      let reduction = NativeReduction(
        contributions: contributions, round: round, boundaries: boundaries, counter: counter, publication: range)
      return queue.submit(kind, label: label, boundaries: signature) { try reduction.run(on: $0) }
    }
    let reduction = OrderedReduction(
      contributions: contributions, round: round, boundaries: boundaries, counter: counter, rank: rank,
      publication: range)
    return queue.submit(kind, label: label, boundaries: signature) { try reduction.run(on: $0) }
  }

  private func require(
    _ contributions: [SlabRange], _ round: LaneDealing.Round, _ boundaries: [Int], _ label: String
  ) {
    require(boundaries, label)
    let own = round.nodes(of: rank).count
    precondition(
      contributions.count == own, "'\(label)': \(contributions.count) contributions for \(own) nodes of rank \(rank)")
    let run = boundaries[size]
    precondition(
      contributions.allSatisfy { $0.count == run },
      "'\(label)': contributions of \(contributions.map(\.count)) elements to a run of \(run)")
  }

  /// Fills `range` on every rank: the slice `boundaries[r] ..< boundaries[r + 1]` comes from rank r, in place.
  ///
  /// - Parameters:
  ///   - shard: this rank's slice, where it does not lie in `range` already.
  ///   - boundaries: size + 1 rising offsets from 0 to `range.count`.
  public func allGather(
    _ range: SlabRange, from shard: SlabRange? = nil, boundaries: [Int], label: String
  ) -> Pending<Void> {
    require(boundaries, label)
    precondition(
      boundaries[size] == range.count, "'\(label)': boundaries end at \(boundaries[size]), the range at \(range.count)")
    if let shard {
      precondition(
        shard.count == boundaries[rank + 1] - boundaries[rank], "'\(label)': a shard of \(shard.count) elements")
    }
    let gather = SliceGather(range: range, shard: shard, boundaries: boundaries)
    return queue.submit(.allGather, label: label, boundaries: boundaries) { try gather.run(on: $0) }
  }

  /// Brings a part from every rank to every rank; parts may be uneven or empty.
  ///
  /// - Parameters:
  ///   - outgoing: this rank's parts, one after the other by receiver.
  ///   - incoming: where all ranks' parts for this one go, one after the other by sender; another memory than `outgoing`.
  ///   - counts: the same on every rank.
  public func allToAll(
    _ outgoing: SlabRange, into incoming: SlabRange, counts: AllToAllCounts, label: String
  ) -> Pending<Void> {
    precondition(counts.rankCount == size, "'\(label)': counts of \(counts.rankCount) ranks for \(size)")
    let (sent, received) = (counts.sendOffsets(of: rank)[size], counts.receiveOffsets(of: rank)[size])
    precondition(
      outgoing.count == sent && incoming.count == received,
      "'\(label)': \(outgoing.count) and \(incoming.count) elements where \(sent) go and \(received) come")
    let exchange = AllToAll(outgoing: outgoing, incoming: incoming, counts: counts)
    return queue.submit(.allToAll, label: label, boundaries: counts.elements) { try exchange.run(on: $0) }
  }

  /// Copies root's `range` into that of every other rank; all have one length.
  public func broadcast(_ range: SlabRange, from root: Int, label: String) -> Pending<Void> {
    require(root: root, label)
    return queue.submit(.broadcast, label: label, boundaries: [root, range.count]) {
      try $0.broadcast(UnsafeMutableRawBufferPointer(start: range.pointer, count: range.count * 4), from: root)
    }
  }

  /// Every rank's values by rank, bit for bit; counts may differ.
  public func allGather(_ values: [Double], label: String) -> Pending<[[Double]]> {
    queue.submit(.gatherValues, label: label) { runner in
      let bytes = values.withUnsafeBytes { Array($0) }
      return try runner.gather(bytes: bytes).map { bytes in
        bytes.withUnsafeBytes { raw in
          (0..<raw.count / 8).map { raw.loadUnaligned(fromByteOffset: 8 * $0, as: Double.self) }
        }
      }
    }
  }

  /// Every rank's bytes by rank; counts may differ.
  public func allGather(bytes: [UInt8], label: String) -> Pending<[[UInt8]]> {
    queue.submit(.gatherBytes, label: label) { try $0.gather(bytes: bytes) }
  }

  /// Root's bytes on every rank; what the others pass is ignored.
  public func broadcast(bytes: [UInt8], from root: Int, label: String) -> Pending<[UInt8]> {
    require(root: root, label)
    return queue.submit(.broadcastBytes, label: label, boundaries: [root]) {
      try $0.broadcast(bytes: bytes, from: root)
    }
  }

  /// Completes on no rank before every rank has asked for it.
  public func barrier(label: String) -> Pending<Void> { queue.submit(.barrier, label: label) { try $0.barrier() } }

  /// What this rank has sent, received, held and waited for so far.
  public var statistics: CommunicationStatistics { ledger.read { $0 } }

  /// Tells one more observer of every collective from now on.
  package func observe(with observer: any CollectiveObserver) { queue.add(observer) }

  /// The last 64 collectives that this rank completed, in order: what to look at when ranks disagree.
  package var recentCollectives: [Collective] { queue.done }

  /// Serves what is waiting, then ends the transport on its thread.
  package func close() throws {
    if options.checksCollectives { try queue.submit(.close, label: "end") { _ in }.wait() }
    queue.close()
    guard thread.join(atMost: options.deadlineSeconds) else {
      throw CommunicationError(
        .deadlineExpired, rank: rank, label: "end", reason: "the transport did not end in \(options.deadlineSeconds) s",
        remedy: "look for a rank that still computes or has stopped")
    }
    if let failure = queue.failure { throw failure }
  }

  /// Ends the communication thread of a rank that has failed; its world must have been told before.
  package func abandon() {
    queue.close()
    thread.join(atMost: options.deadlineSeconds)
  }

  /// Ends every rank, through the communication thread if it is free within `seconds`; returns if it is not.
  package func abort(exitCode: Int32, atMost seconds: Double) {
    if queue.abort(exitCode: exitCode) { thread.join(atMost: seconds) }
  }

  /// The communication thread's whole life.
  private static func serve(_ queue: CollectiveQueue, _ runner: CollectiveRunner) {
    while true {
      switch queue.next() {
      case .run(let request):
        if let failure = queue.failure {
          request.fail(failure)
          continue
        }
        do {
          try request.run(runner)
        } catch {
          queue.fail(with: error)
          runner.backend.withdraw(because: error)
          request.fail(error)
        }
      case .abort(let exitCode):
        runner.backend.abort(exitCode: exitCode)
        return
      case .stop:
        do {
          try runner.shelf.close(runner.backend)
          try runner.backend.close()
        } catch { queue.fail(with: error) }
        return
      }
    }
  }

  /// The kernel's name for this machine; Foundation's would ask the network.
  private static func hostName() -> String {
    withUnsafeTemporaryAllocation(of: CChar.self, capacity: 256) { buffer in
      guard let text = buffer.baseAddress, gethostname(text, 255) == 0 else { return "unknown" }
      text[255] = 0
      return String(cString: text)
    }
  }

  private func require(_ boundaries: [Int], _ label: String) {
    precondition(
      boundaries.count == size + 1 && boundaries.first == 0
        && zip(boundaries, boundaries.dropFirst()).allSatisfy { $0 <= $1 },
      "'\(label)': boundaries \(boundaries) do not cut a run among \(size) ranks")
  }

  private func require(root: Int, _ label: String) {
    precondition(0 <= root && root < size, "'\(label)': root \(root) of \(size) ranks")
  }
}
