/// Which ranks share memory with each other: those of a host, or each with itself alone where there are no windows.
package struct HostMap: Hashable, Sendable {
  /// Ranks by host, ascending; hosts in the order of their first rank.
  package let hosts: [[Int]]
  /// The host of each rank.
  package let hostOfRank: [Int]
  /// The place of each rank among those of its host.
  package let placeOfRank: [Int]

  /// - Parameter labels: one for each rank, equal where ranks share a host.
  package init(labels: [Int]) {
    var hosts: [[Int]] = []
    var known: [Int: Int] = [:]
    var hostOfRank: [Int] = []
    var placeOfRank: [Int] = []
    for (rank, label) in labels.enumerated() {
      let host = known[label] ?? hosts.count
      if known.updateValue(host, forKey: label) == nil { hosts.append([]) }
      hostOfRank.append(host)
      placeOfRank.append(hosts[host].count)
      hosts[host].append(rank)
    }
    self.hosts = hosts
    self.hostOfRank = hostOfRank
    self.placeOfRank = placeOfRank
  }

  /// Every rank on a host of its own.
  package static func apart(_ size: Int) -> HostMap { HostMap(labels: Array(0..<size)) }

  /// The rank of `host` that stands in for it where rank `owner`'s slice is concerned; `owner` itself on its own host.
  ///
  /// Slices of another host are shared out evenly, so that every local rank drives its part of the wire.
  package func carrier(of owner: Int, on host: Int) -> Int { hosts[host][placeOfRank[owner] % hosts[host].count] }

  /// Whether what one sends the other leaves the host.
  package func areApart(_ a: Int, _ b: Int) -> Bool { hostOfRank[a] != hostOfRank[b] }

  /// Whether some ranks share memory.
  package var hasNeighbours: Bool { hosts.count < hostOfRank.count }
}
