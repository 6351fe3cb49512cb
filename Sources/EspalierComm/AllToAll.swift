/// A part from every rank for every rank: what lies for others in one range arrives from others in the other.
///
/// Pairwise like the gathers: in step d a rank sends to the rank d after it and receives from the rank d before it. Parts may be
/// uneven or empty; what is empty is not sent.
struct AllToAll {
  /// This rank's parts for all, one after the other by receiver.
  let outgoing: SlabRange
  /// All ranks' parts for this one, one after the other by sender.
  let incoming: SlabRange
  let counts: AllToAllCounts

  func run(on runner: CollectiveRunner) throws {
    let (rank, size) = (runner.rank, runner.size)
    let sends = counts.sendOffsets(of: rank), receives = counts.receiveOffsets(of: rank)
    (incoming.pointer + receives[rank]).update(from: outgoing.pointer + sends[rank], count: counts[rank, rank])
    for distance in 1..<max(size, 1) {
      let to = (rank + distance) % size, from = (rank - distance + size) % size
      try runner.exchange(
        send: UnsafePointer(outgoing.pointer + sends[to]), count: counts[rank, to], to: to,
        receive: incoming.pointer + receives[from], count: counts[from, rank], from: from)
    }
  }
}

/// Elements that each rank has for each: known to all before anything travels.
public struct AllToAllCounts: Hashable, Sendable {
  /// How many ranks take part.
  public let rankCount: Int
  /// By sender, then by receiver.
  private(set) var elements: [Int]

  /// Nothing for anybody.
  public init(ranks: Int) {
    rankCount = ranks
    elements = Array(repeating: 0, count: ranks * ranks)
  }

  /// Elements from a rank for a rank.
  public subscript(sender: Int, receiver: Int) -> Int {
    get { elements[sender * rankCount + receiver] }
    set { elements[sender * rankCount + receiver] = newValue }
  }

  /// The way back: who sent receives.
  public var reversed: AllToAllCounts {
    var back = self
    for sender in 0..<rankCount {
      for receiver in 0..<rankCount { back[receiver, sender] = self[sender, receiver] }
    }
    return back
  }

  /// Where each receiver's part begins in what `rank` sends, and the end.
  public func sendOffsets(of rank: Int) -> [Int] { Self.offsets((0..<rankCount).map { self[rank, $0] }) }
  /// Where each sender's part begins in what `rank` receives, and the end.
  public func receiveOffsets(of rank: Int) -> [Int] { Self.offsets((0..<rankCount).map { self[$0, rank] }) }

  private static func offsets(_ counts: [Int]) -> [Int] {
    counts.reduce(into: [0]) { $0.append($0[$0.count - 1] + $1) }
  }
}
