internal import CKernels

/// Recursive halving between hosts: log₂(hosts) messages in place of hosts − 1, with the additions of the tree.
///
/// Taken where every host holds one subtree of one size and the hosts are a power of two: then the tree above the hosts is the one that halving
/// builds, nearest neighbours first, lower lanes on the left. (Rabenseifner's reduce-scatter; Thakur, Rabenseifner, Gropp 2005,
/// doi:10.1177/1094342005051521.) Slices are kept in bit-reversed order of their owners, so that what is sent is one stretch.
struct Halving {
  /// Level of the finished sum.
  let level: Int
  /// Local ranks of equal place, by the order of their hosts' lanes; their slices are the ones that this rank carries.
  let peers: [Int]
  /// Where this rank stands among them.
  private let position: Int
  private let bits: Int

  /// Nil where the subtrees do not fit, or where pairwise exchange is faster.
  init?(_ shares: [HostShare], _ hosts: HostMap, rank: Int, longestSlice: Int) {
    let count = hosts.hosts.count
    guard let first = shares.first, shares.count == count, Set(shares.map(\.host)).count == count,
      shares.allSatisfy({ $0.level == first.level }), first.firstLane % (count << first.level) == 0,
      CostModel.reference.halves(hosts, sliceBytes: 4 * longestSlice)
    else { return nil }
    bits = count.trailingZeroBitCount
    level = first.level + bits
    peers = shares.map { hosts.hosts[$0.host][hosts.placeOfRank[rank]] }
    position = peers.firstIndex(of: rank) ?? 0
  }

  /// Floats of memory that `run` works in.
  func memoryCount(width: Int) -> Int { (peers.count + peers.count / 2) * width }

  /// Reduces one chunk of the peers' slices and returns where the sum of this rank's own lies.
  ///
  /// - Parameters:
  ///   - width: floats between two slices in `memory`; chunks that are shorter are filled up with zeros.
  ///   - load: writes this host's subtree of the chunk of a peer's slice, and returns its length.
  func run(
    in memory: UnsafeMutablePointer<Float>, width: Int, on runner: CollectiveRunner,
    load: (_ peer: Int, _ into: UnsafeMutablePointer<Float>) -> Int
  ) throws -> UnsafeMutablePointer<Float> {
    for index in peers.indices {
      let place = memory + index * width
      let length = load(peers[reversed(index)], place)
      (place + length).update(repeating: 0, count: width - length)
    }
    let arrived = memory + peers.count * width
    var begin = 0
    var count = peers.count
    for bit in 0..<bits {
      let distance = 1 << bit
      let partner = peers[position ^ distance]
      let half = count / 2
      let isUpper = position & distance != 0
      let kept = memory + (begin + (isUpper ? half : 0)) * width
      let sent = memory + (begin + (isUpper ? 0 : half)) * width
      try runner.exchange(
        send: UnsafePointer(sent), count: half * width, to: partner, receive: arrived, count: half * width,
        from: partner, compresses: true)
      if isUpper { ck_add(arrived, kept, kept, half * width) } else { ck_add(kept, arrived, kept, half * width) }
      if isUpper { begin += half }
      count = half
    }
    return memory + begin * width
  }

  /// The lowest bit of a position decides first, so it is the highest of its index.
  private func reversed(_ index: Int) -> Int {
    (0..<bits).reduce(0) { $0 | (index >> $1 & 1) << (bits - 1 - $1) }
  }
}
