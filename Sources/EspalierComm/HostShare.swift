/// A stretch of a round's nodes that one host holds and that is one node of the tree: what that host hands over for them.
package struct HostShare: Hashable, Sendable {
  package let host: Int
  /// Indices into the round's nodes.
  package let nodes: Range<Int>
  package let firstLane: Int
  package let level: Int

  private var laneCount: Int { 1 << level }

  /// The maximal aligned subtrees of each host, in lane order.
  ///
  /// Halves that lie on one host are summed there, as the tree would sum them, so that fewer nodes cross the wire.
  package static func shares(of nodes: [LaneNode], _ hosts: HostMap) -> [HostShare] {
    var shares: [HostShare] = []
    for (index, node) in nodes.enumerated() {
      shares.append(
        HostShare(
          host: hosts.hostOfRank[node.rank], nodes: index..<index + 1, firstLane: node.firstLane, level: node.level))
      while let merged = merged(shares) { shares.replaceSubrange((shares.count - 2)..., with: [merged]) }
    }
    return shares
  }

  /// The sum of the last two if they are the two halves of an aligned subtree on one host.
  private static func merged(_ shares: [HostShare]) -> HostShare? {
    guard let right = shares.last, let left = shares.dropLast().last, left.host == right.host,
      left.level == right.level, left.firstLane % (2 * left.laneCount) == 0
    else { return nil }
    return HostShare(
      host: left.host, nodes: left.nodes.lowerBound..<right.nodes.upperBound, firstLane: left.firstLane,
      level: left.level + 1)
  }
}
