/// Which tensors were cut among ranks together, and how: all that is needed to cut them among another number of ranks as a
/// store would. Without it a tool cuts all tensors as one run.
package struct SegmentRecord: Sendable, Equatable {
  package let granularity: Granularity
  /// Places in the list of tensors, by segment; each tensor once.
  package let segments: [[Int]]

  package init(granularity: Granularity, segments: [[Int]]) {
    self.granularity = granularity
    self.segments = segments
  }
}

extension SegmentRecord {
  var json: StrictJSON {
    .object([
      .init("granularity", .string(granularity.rawValue)),
      .init("tensors", .array(segments.map { .array($0.map { .integer($0) }) })),
    ])
  }

  init(_ fields: ManifestFields, tensorCount: Int) throws {
    guard let granularity = Granularity(rawValue: try fields.string("granularity")) else {
      throw fields.invalid("granularity", "element or matrix")
    }
    self.granularity = granularity
    guard let lists = try fields.member("tensors").elements else { throw fields.invalid("tensors", "a list of lists") }
    segments = try lists.map { list in
      guard let numbers = list.elements?.compactMap(\.integer), numbers.count == list.elements?.count else {
        throw fields.invalid("tensors", "a list of lists of integers")
      }
      return numbers
    }
    guard segments.joined().sorted() == Array(0..<tensorCount) else {
      throw fields.invalid("tensors", "every tensor once")
    }
  }
}
