extension Communicator {
  /// Makes sure that a value is the same on every rank, and names the ranks where it is not.
  ///
  /// - Throws: `.valuesDiffer` on every rank alike, with every value and the ranks that hold it.
  public func requireSame(_ value: String, what: String) throws {
    let values = try allGather(bytes: Array(value.utf8), label: what).wait().map { String(decoding: $0, as: UTF8.self) }
    guard Set(values).count > 1 else { return }
    // Rank 0's value first, then each other value in the order of the first rank that holds it.
    var groups: [(value: String, ranks: [Int])] = []
    for (rank, value) in values.enumerated() {
      if let index = groups.firstIndex(where: { $0.value == value }) {
        groups[index].ranks.append(rank)
      } else {
        groups.append((value, [rank]))
      }
    }
    let parts = groups.map { group in
      let hosts = Set(group.ranks.map { members[$0].host }).sorted().joined(separator: ", ")
      let ranks = group.ranks.map(String.init).joined(separator: ", ")
      return "'\(group.value)' on rank\(group.ranks.count == 1 ? "" : "s") \(ranks) (\(hosts))"
    }
    throw CommunicationError(
      .valuesDiffer, rank: rank, label: what, reason: "\(what) differs between ranks: \(parts.joined(separator: "; "))",
      remedy: "start every rank with the same program, files and settings")
  }

  /// Makes sure that a number, usually a hash, is the same on every rank.
  public func requireSame(_ value: UInt64, what: String) throws {
    try requireSame("0x" + String(value, radix: 16), what: what)
  }
}
