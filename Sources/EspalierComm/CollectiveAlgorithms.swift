/// Gathers, broadcasts and barriers over pairwise exchange.
///
/// In step d of a pairwise exchange a rank sends to the rank d after it and receives from the rank d before it, so every link carries
/// each byte once: size − 1 messages, (size − 1)/size of the run in each direction.
extension CollectiveRunner {
  /// Fills the run on every rank from the slices `boundaries[r] ..< boundaries[r + 1]` of its owners.
  ///
  /// - Parameter compresses: whether they may travel in 16 bits between hosts, if the options say so.
  func allGather(_ range: SlabRange, boundaries: [Int], compresses: Bool = false) throws {
    let base = range.pointer
    let mine = boundaries[rank + 1] - boundaries[rank]
    for distance in 1..<max(size, 1) {
      let to = (rank + distance) % size
      let from = (rank - distance + size) % size
      try exchange(
        send: UnsafePointer(base + boundaries[rank]), count: mine, to: to, receive: base + boundaries[from],
        count: boundaries[from + 1] - boundaries[from], from: from, compresses: compresses)
    }
  }

  /// Copies root's bytes to every rank along a binomial tree: log₂(size) messages deep.
  func broadcast(_ bytes: UnsafeMutableRawBufferPointer, from root: Int, isPayload: Bool = true) throws {
    let place = (rank - root + size) % size
    var reach = 1
    while reach < size {
      if place < reach, place + reach < size {
        let to = (rank + reach) % size
        try exchange(send: UnsafeRawBufferPointer(bytes), to: to, receive: nil, from: to, isPayload: isPayload)
      } else if place >= reach, place < 2 * reach {
        let from = (rank - reach + size) % size
        try exchange(send: nil, to: from, receive: bytes, from: from, isPayload: isPayload)
      }
      reach *= 2
    }
  }

  /// Every rank's bytes on every rank; counts may differ.
  func gather(bytes: [UInt8]) throws -> [[UInt8]] {
    let counts = try gatherFixed(Self.bytes(of: bytes.count)).chunked(by: 8).map(Self.count)
    var gathered = counts.map { [UInt8](repeating: 0, count: $0) }
    gathered[rank] = bytes
    for distance in 1..<max(size, 1) {
      let to = (rank + distance) % size
      let from = (rank - distance + size) % size
      try bytes.withUnsafeBytes { outgoing in
        try gathered[from].withUnsafeMutableBytes { incoming in
          try exchange(send: outgoing, to: to, receive: incoming, from: from)
        }
      }
    }
    return gathered
  }

  /// Root's bytes on every rank; the others need not know how many there are.
  func broadcast(bytes: [UInt8], from root: Int) throws -> [UInt8] {
    var header = Self.bytes(of: rank == root ? bytes.count : 0)
    try header.withUnsafeMutableBytes { try broadcast($0, from: root, isPayload: false) }
    var result = rank == root ? bytes : [UInt8](repeating: 0, count: Self.count(header[...]))
    try result.withUnsafeMutableBytes { try broadcast($0, from: root) }
    return result
  }

  /// Returns when every rank has arrived: dissemination, log₂(size) rounds of one byte.
  func barrier() throws {
    let token: [UInt8] = [1]
    var answer: [UInt8] = [0]
    var distance = 1
    while distance < size {
      let to = (rank + distance) % size
      let from = (rank - distance + size) % size
      try token.withUnsafeBytes { outgoing in
        try answer.withUnsafeMutableBytes { incoming in
          try exchange(send: outgoing, to: to, receive: incoming, from: from, isPayload: false)
        }
      }
      distance *= 2
    }
  }

  /// As many bytes from every rank as this one gives, one after the other by rank; bookkeeping, not payload.
  func gatherFixed(_ bytes: [UInt8]) throws -> [UInt8] {
    var all = [UInt8](repeating: 0, count: bytes.count * size)
    all.replaceSubrange(rank * bytes.count..<(rank + 1) * bytes.count, with: bytes)
    for distance in 1..<max(size, 1) {
      let to = (rank + distance) % size
      let from = (rank - distance + size) % size
      try bytes.withUnsafeBytes { outgoing in
        try all.withUnsafeMutableBytes { incoming in
          let place = UnsafeMutableRawBufferPointer(rebasing: incoming[from * bytes.count..<(from + 1) * bytes.count])
          try exchange(send: outgoing, to: to, receive: place, from: from, isPayload: false)
        }
      }
    }
    return all
  }

  private static func bytes(of count: Int) -> [UInt8] { (0..<8).map { UInt8(truncatingIfNeeded: count >> (8 * $0)) } }

  private static func count(_ bytes: ArraySlice<UInt8>) -> Int { bytes.reversed().reduce(0) { $0 << 8 | Int($1) } }
}

extension Array {
  /// Stretches of `length`, in order.
  fileprivate func chunked(by length: Int) -> [ArraySlice<Element>] {
    stride(from: 0, to: count, by: length).map { self[$0..<Swift.min($0 + length, count)] }
  }
}
