/// Which tensors were cut among ranks together, and how: all that is needed to cut them among another number of ranks as a
/// store would. Without it a tool cuts all tensors as one run.
package struct SegmentRecord: Sendable, Equatable {
  /// Places in the list of tensors, by segment; each tensor once.
  package let segments: [[Int]]
  /// By tensor: what decides the owner of one that is never cut, and 0 for one that may be; empty where all may be.
  package let costs: [Int]

  package init(segments: [[Int]], costs: [Int] = []) {
    self.segments = segments
    self.costs = costs.contains { $0 > 0 } ? costs : []
  }

  func cost(of tensor: Int) -> Int { costs.isEmpty ? 0 : costs[tensor] }
}

extension SegmentRecord {
  var json: StrictJSON {
    .object(
      [
        .init("granularity", .string((costs.isEmpty ? Granularity.element : .matrix).rawValue)),
        .init("tensors", .array(segments.map { .array($0.map { .integer($0) }) })),
      ] + (costs.isEmpty ? [] : [.init("costs", .array(costs.map { .integer($0) }))]))
  }

  init(_ fields: ManifestFields, tensorCount: Int) throws {
    guard let granularity = Granularity(rawValue: try fields.string("granularity")) else {
      throw fields.invalid("granularity", "element or matrix")
    }
    func integers(_ list: StrictJSON, _ field: String) throws -> [Int] {
      guard let numbers = list.elements?.compactMap(\.integer), numbers.count == list.elements?.count else {
        throw fields.invalid(field, "a list of integers")
      }
      return numbers
    }
    guard let lists = try fields.member("tensors").elements else { throw fields.invalid("tensors", "a list of lists") }
    segments = try lists.map { try integers($0, "tensors") }
    guard segments.joined().sorted() == Array(0..<tensorCount) else {
      throw fields.invalid("tensors", "every tensor once")
    }
    costs = granularity == .matrix ? try integers(fields.member("costs"), "costs") : []
    guard costs.isEmpty || (costs.count == tensorCount && costs.allSatisfy { $0 >= 0 }) else {
      throw fields.invalid("costs", "a number from 0 for every tensor")
    }
  }
}
