/// Shares out what must stay whole: the longest processing time first, each to the rank that has the least to do.
///
/// The busiest rank then has at most 4/3 of what the best sharing would give it (Graham 1969, doi:10.1137/0117039). Memory is the second
/// constraint: no rank takes more than 4/3 of an even share while another has room, which counts where costs and sizes part.
/// Deterministic: equal costs go by their numbers, equal loads to the lower rank.
package struct OwnerPlan: Sendable {
  package struct Item: Hashable, Sendable {
    /// The place in the blueprint.
    package let parameter: Int
    /// What one update costs.
    package let cost: Double
    /// Elements.
    package let memory: Int

    package init(parameter: Int, cost: Double, memory: Int) {
      self.parameter = parameter
      self.cost = cost
      self.memory = memory
    }
  }

  /// By parameter.
  package private(set) var owners: [Int: Int] = [:]
  /// By rank.
  package private(set) var costs: [Double]
  package private(set) var elements: [Int]

  /// - Parameter costs: what each rank has to do before; nothing where it is empty.
  /// - Precondition: at least one rank.
  package init(_ items: [Item], ranks: Int, costs before: [Double] = []) {
    costs = before.isEmpty ? Array(repeating: 0, count: ranks) : before
    elements = Array(repeating: 0, count: ranks)
    let total = items.reduce(0) { $0 + $1.memory }
    let limit = max(Int((4 / 3 * Double(total) / Double(ranks)).rounded(.up)), items.map(\.memory).max() ?? 0)
    for item in items.sorted(by: { ($1.cost, $0.parameter) < ($0.cost, $1.parameter) }) {
      let withRoom = (0..<ranks).filter { elements[$0] + item.memory <= limit }
      let owner =
        withRoom.min { (costs[$0], $0) < (costs[$1], $1) }
        ?? (0..<ranks).min { (elements[$0], $0) < (elements[$1], $1) } ?? 0
      owners[item.parameter] = owner
      costs[owner] += item.cost
      elements[owner] += item.memory
    }
  }
}
