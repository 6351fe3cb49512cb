import EspalierState
import EspalierTensor
import Testing

@Suite struct BirthRangesTests {
  /// The birth of every entry, row-major, by asking the blocks one by one.
  private func births(_ ranges: BirthRanges, rows: Int) -> [Int] {
    (0..<rows * ranges.columns).map { index in
      let (row, column) = (index / ranges.columns, index % ranges.columns)
      return ranges.blocks.first { $0.rows.contains(row) && $0.columns.contains(column) }?.birth ?? 0
    }
  }

  /// Old places of a new axis: some kept in order, some new, now and then all of it turned about.
  private func map(_ count: Int, _ key: RandomKey) -> [Int?] {
    var next = 0
    let kept = (0..<count).map { index -> Int? in
      guard next == 0 || key.child("kept").uniform(at: UInt64(index)) < 0.6 else { return nil }
      next += 1
      return next - 1
    }
    return key.uniform(at: 0) < 0.3 ? kept.reversed() : kept
  }

  @Test(
    "growths by any maps give every entry the birth that it had or now has, and any stretch is cut where births differ")
  func growths() {
    for trial in 0..<60 {
      let key = RandomKey(seed: UInt64(trial))
      var rows = 3, columns = 2
      var ranges = BirthRanges.none(columns: columns)
      var expected = Array(repeating: 0, count: rows * columns)
      for growth in 1...3 {
        let key = key.child("growth \(growth)")
        let rowMap = map(rows + 3, key.child("rows")), columnMap = map(columns + 2, key.child("columns"))
        // An old place can only be kept where the axis had it.
        let rowsKept = rowMap.map { $0.flatMap { $0 < rows ? $0 : nil } }
        let columnsKept = columnMap.map { $0.flatMap { $0 < columns ? $0 : nil } }
        ranges = ranges.grown(rows: rowsKept, columns: columnsKept, birth: 10 * growth, growth: growth)
        expected = rowsKept.flatMap { row in
          columnsKept.map { column in
            if let row, let column { expected[row * columns + column] } else { 10 * growth }
          }
        }
        (rows, columns) = (rowsKept.count, columnsKept.count)
        #expect(births(ranges, rows: rows) == expected, "trial \(trial), growth \(growth)")
      }
      let count = rows * columns
      for start in stride(from: 0, to: count, by: 5) {
        for end in stride(from: start, through: count, by: 7) {
          let runs = ranges.runs(in: start..<end)
          #expect(runs.flatMap { run in run.range.map { _ in run.block?.birth ?? 0 } } == Array(expected[start..<end]))
          #expect(
            runs.map(\.range.lowerBound) == (start < end ? [start] + runs.dropLast().map(\.range.upperBound) : []))
          for (run, next) in zip(runs, runs.dropFirst()) { #expect(run.block?.birth != next.block?.birth) }
        }
      }
    }
  }

  @Test("a width growth is three rectangles at most, however large the weight")
  func compression() {
    let half = (0..<512).map { $0 < 256 ? Int?.some($0) : nil }
    let grown = BirthRanges.none(columns: 256).grown(rows: half, columns: half, birth: 5, growth: 1)
    #expect(
      grown.blocks == [
        BirthRanges.Block(rows: 0..<256, columns: 256..<512, birth: 5, growth: 1),
        BirthRanges.Block(rows: 256..<512, columns: 0..<512, birth: 5, growth: 1),
      ])
  }

  @Test("whole new rows are one run")
  func rows() {
    let ranges = BirthRanges(columns: 4, blocks: [BirthRanges.Block(rows: 2..<9, columns: 0..<4, birth: 1, growth: 0)])
    #expect(ranges.runs(in: 0..<40).map(\.range) == [0..<8, 8..<36, 36..<40])
  }
}
