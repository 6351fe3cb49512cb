import EspalierNN

/// Which entries of a parameter were born later than the run, by growth, and when: a few rectangles of its rows and columns.
///
/// New entries begin with empty moments. With the counter of the whole tensor, Adam's correction of them would come too late
/// by far: with β₂ = 0.999 their first update is 3.2 times the rate, their tenth 6.5 times. So an update counts from the
/// birth of what it updates. A row is the first axis, a column all others together; a vector has rows of one column.
public struct BirthRanges: Codable, Hashable, Sendable {
  /// Entries that were born together.
  public struct Block: Codable, Hashable, Sendable {
    public let rows: Range<Int>
    public let columns: Range<Int>
    /// Updates done before the birth: the first update that the block takes part in counts as its first.
    public let birth: Int
    /// The phase of the schedule that grew it: learning rates follow from it.
    public let growth: Int

    public init(rows: Range<Int>, columns: Range<Int>, birth: Int, growth: Int) {
      self.rows = rows
      self.columns = columns
      self.birth = birth
      self.growth = growth
    }
  }

  /// Neighbouring elements with one birth.
  package struct Run: Hashable, Sendable {
    package let range: Range<Int>
    /// nil for what is as old as the run.
    package let block: Block?
  }

  /// Columns of a row.
  public let columns: Int
  /// Disjoint, by their first row and then their first column.
  public let blocks: [Block]

  /// - Precondition: blocks are disjoint, not empty, and lie in the columns.
  public init(columns: Int, blocks: [Block]) {
    for block in blocks {
      precondition(
        !block.rows.isEmpty && !block.columns.isEmpty && block.rows.lowerBound >= 0 && block.columns.lowerBound >= 0
          && block.columns.upperBound <= columns,
        "a block of rows \(block.rows) and columns \(block.columns) does not lie in \(columns) columns")
    }
    self.columns = columns
    self.blocks = blocks.sorted {
      ($0.rows.lowerBound, $0.columns.lowerBound) < ($1.rows.lowerBound, $1.columns.lowerBound)
    }
    for (index, block) in self.blocks.enumerated() {
      for other in self.blocks[(index + 1)...] {
        precondition(
          !block.rows.overlaps(other.rows) || !block.columns.overlaps(other.columns),
          "two births share entries: \(block) and \(other)")
      }
    }
  }

  /// The runs of a stretch of the flattened parameter, in order and without gaps; neighbours of one birth are one run.
  /// - Complexity: rows of the stretch that a block crosses, times the blocks in them.
  package func runs(in range: Range<Int>) -> [Run] {
    guard !range.isEmpty, columns > 0 else { return [] }
    var result: [Run] = []
    func add(_ part: Range<Int>, _ block: Block?) {
      let part = part.clamped(to: range)
      guard !part.isEmpty else { return }
      // The same birth may lie in several blocks.
      if let last = result.last, last.block?.birth == block?.birth, last.block?.growth == block?.growth {
        result[result.count - 1] = Run(range: last.range.lowerBound..<part.upperBound, block: last.block)
      } else {
        result.append(Run(range: part, block: block))
      }
    }
    var row = range.lowerBound / columns
    let end = (range.upperBound + columns - 1) / columns
    while row < end {
      let here = blocks.filter { $0.rows.contains(row) }
      guard !here.isEmpty else {
        let next = min(blocks.map(\.rows.lowerBound).filter { $0 > row }.min() ?? end, end)
        add(row * columns..<next * columns, nil)
        row = next
        continue
      }
      var column = 0
      for block in here.sorted(by: { $0.columns.lowerBound < $1.columns.lowerBound }) {
        add(row * columns + column..<row * columns + block.columns.lowerBound, nil)
        add(row * columns + block.columns.lowerBound..<row * columns + block.columns.upperBound, block)
        column = block.columns.upperBound
      }
      add(row * columns + column..<(row + 1) * columns, nil)
      row += 1
    }
    return result
  }
}

extension BirthRanges {
  /// What has no birth yet: a parameter as old as the run.
  public static func none(columns: Int) -> BirthRanges { BirthRanges(columns: columns, blocks: []) }

  /// The births after a growth: an entry whose row and column both kept their state keeps its birth, every other is born now.
  /// - Parameters:
  ///   - rows: for every new row the old row whose state it kept, nil where it is new.
  ///   - columns: the same for columns.
  ///   - birth: updates done.
  ///   - growth: the phase that grows.
  /// - Complexity: rows + columns + blocks · changes along either axis.
  public func grown(rows: [Int?], columns: [Int?], birth: Int, growth: Int) -> BirthRanges {
    let rowRuns = Self.sections(rows, edges: blocks.flatMap { [$0.rows.lowerBound, $0.rows.upperBound] })
    let columnRuns = Self.sections(columns, edges: blocks.flatMap { [$0.columns.lowerBound, $0.columns.upperBound] })
    var result: [Block] = []
    for row in rowRuns {
      for column in columnRuns {
        var birth = birth, growth = growth
        if let oldRow = rows[row.lowerBound], let oldColumn = columns[column.lowerBound] {
          guard let old = blocks.first(where: { $0.rows.contains(oldRow) && $0.columns.contains(oldColumn) }) else {
            continue
          }
          (birth, growth) = (old.birth, old.growth)
        }
        result.append(Block(rows: row, columns: column, birth: birth, growth: growth))
      }
    }
    return BirthRanges(columns: columns.count, blocks: Self.merged(result))
  }

  /// Cuts a map where it begins to be new or stops, leaves the old order, or crosses an edge of the old.
  private static func sections(_ map: [Int?], edges: [Int]) -> [Range<Int>] {
    let edges = Set(edges)
    var result: [Range<Int>] = []
    for (index, old) in map.enumerated() {
      if let last = result.last {
        let before = map[index - 1]
        let goesOn = old == nil ? before == nil : before.map { $0 + 1 } == old && !edges.contains(old ?? 0)
        if goesOn {
          result[result.count - 1] = last.lowerBound..<index + 1
          continue
        }
      }
      result.append(index..<index + 1)
    }
    return result
  }

  /// Joins neighbours of one birth: first along a row, then rows of one width.
  private static func merged(_ blocks: [Block]) -> [Block] {
    var wide: [Block] = []
    for block in blocks {
      if let last = wide.last, last.rows == block.rows, last.columns.upperBound == block.columns.lowerBound,
        last.birth == block.birth, last.growth == block.growth
      {
        wide[wide.count - 1] = Block(
          rows: last.rows, columns: last.columns.lowerBound..<block.columns.upperBound, birth: last.birth,
          growth: last.growth)
      } else {
        wide.append(block)
      }
    }
    var result: [Block] = []
    for block in wide {
      if let index = result.lastIndex(where: {
        $0.columns == block.columns && $0.rows.upperBound == block.rows.lowerBound && $0.birth == block.birth
          && $0.growth == block.growth
      }) {
        result[index] = Block(
          rows: result[index].rows.lowerBound..<block.rows.upperBound, columns: block.columns, birth: block.birth,
          growth: block.growth)
      } else {
        result.append(block)
      }
    }
    return result
  }
}

/// What an update must know of births: where they are, and the rates of what was born.
package struct UpdateBirths: Sendable {
  /// By parameter name; a parameter that never grew is not among them.
  package let ranges: [String: BirthRanges]
  /// The rate of the step for what a growth has born, by the phase that grew; the moment's own where there is none.
  package let rates: [Int: Double]

  package init(ranges: [String: BirthRanges] = [:], rates: [Int: Double] = [:]) {
    self.ranges = ranges
    self.rates = rates
  }

  package static let none = UpdateBirths()
}

extension ParameterShard {
  /// Cuts the stretch where births differ; each part comes with the moment that it is updated at.
  ///
  /// An optimizer that takes any stretch needs to know no more of growth. One that takes whole matrices is handed the
  /// whole, for its update has no counter of its own in an entry.
  package func forEachBirth(
    _ births: UpdateBirths, at moment: UpdateMoment, _ body: (ParameterShard, UpdateMoment) -> Void
  ) {
    guard let ranges = births.ranges[spec.name] else { return body(self, moment) }
    for run in ranges.runs(in: range) {
      let part = run.range.lowerBound - range.lowerBound..<run.range.upperBound - range.lowerBound
      let moment =
        run.block.map {
          UpdateMoment(
            count: moment.count - $0.birth, rate: births.rates[$0.growth] ?? moment.rate,
            gradientScale: moment.gradientScale)
        } ?? moment
      body(self.part(part, range: run.range), moment)
    }
  }
}
