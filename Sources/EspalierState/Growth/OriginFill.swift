package import EspalierNN
import EspalierTensor

/// Computes elements of one slot of one grown weight from whole old tensors: the same numbers whoever asks for which range.
package struct OriginFill {
  private let spec: ParameterSpec
  private let origin: ParameterOrigin
  private let isValue: Bool
  /// The stream of fresh elements and noise of this weight and this growth.
  private let key: RandomKey
  /// Empty where nothing old enters.
  private let terms: [MappedTerm]

  /// - Parameters:
  ///   - mode: of an optimizer's slots; values and what follows them take no notice.
  ///   - growth: the growth's number in the run, so that a second one draws anew.
  package init(
    _ spec: ParameterSpec, _ origin: ParameterOrigin, rule: GrowthRule, mode: HistoryMode, seed: UInt64, growth: Int
  ) {
    self.spec = spec
    self.origin = origin
    isValue = rule == .likeValue
    key = RandomKey(seed: seed).child("growth").child(UInt64(growth)).child(spec.name)
    let startsEmpty = !isValue && (mode == .dropAll || (origin.isNew && (mode == .asymmetric || rule == .zero)))
    terms = startsEmpty ? [] : origin.terms.map { MappedTerm($0, rule: rule, mode: mode) }
  }

  /// The old weights whose slots are read.
  package var sources: [String] {
    terms.reduce(into: []) { if !$0.contains($1.source) { $0.append($1.source) } }
  }

  /// Elements `range` of the new slot.
  /// - Parameter old: the whole old slot of every source, row-major.
  package func fill(
    _ range: Range<Int>, from old: [String: UnsafePointer<Float>], into destination: UnsafeMutablePointer<Float>
  ) {
    let columns = max(spec.axes.last?.count ?? 1, 1)
    var row = MappedRow(columns)
    var means = [RowMeans](repeating: RowMeans(), count: terms.count)
    var first = range.lowerBound
    while first < range.upperBound {
      let start = first / columns * columns
      let part = first - start..<min(range.upperBound - start, columns)
      row.clear(part, isFresh: origin.terms.isEmpty)
      for (index, term) in terms.enumerated() {
        if let values = old[term.source] { term.add(to: &row, at: start / columns, part, values, &means[index]) }
      }
      write(row, part, at: start, into: destination + (first - range.lowerBound))
      first = start + part.upperBound
    }
  }

  private func write(
    _ row: MappedRow, _ part: Range<Int>, at start: Int, into destination: UnsafeMutablePointer<Float>
  ) {
    for column in part { destination[column - part.lowerBound] = Float(row.sums[column]) }
    guard isValue else { return }
    row.forEachStretch(in: part) { stretch, state in
      let place = destination + (stretch.lowerBound - part.lowerBound)
      let elements = start + stretch.lowerBound..<start + stretch.upperBound
      if state == .fresh {
        origin.remainder.fill(elements, of: key.child("fresh"), into: place)
      } else if let noise = origin.noise, !noise.onlyOnNew || state == .made {
        let drawn = UnsafeMutablePointer<Float>.allocate(capacity: elements.count)
        defer { drawn.deallocate() }
        Initializer.normal(standardDeviation: noise.deviation).fill(elements, of: key.child("noise"), into: drawn)
        for index in 0..<elements.count { place[index] += drawn[index] }
      }
    }
  }
}

/// One row of a weight while it is put together.
private struct MappedRow {
  enum State: UInt8 {
    /// Goes on from an old element.
    case kept
    /// Made of old elements, or zero.
    case made
    /// The initializer's.
    case fresh
  }

  var sums: [Double]
  var states: [State]

  init(_ columns: Int) {
    sums = Array(repeating: 0, count: columns)
    states = Array(repeating: .kept, count: columns)
  }

  mutating func clear(_ part: Range<Int>, isFresh: Bool) {
    for column in part {
      sums[column] = 0
      states[column] = isFresh ? .fresh : .kept
    }
  }

  /// Of several terms the one that knows least decides.
  mutating func raise(_ part: Range<Int>, to state: State) {
    for column in part where states[column].rawValue < state.rawValue { states[column] = state }
  }

  func forEachStretch(in part: Range<Int>, _ body: (Range<Int>, State) -> Void) {
    var first = part.lowerBound
    while first < part.upperBound {
      var last = first + 1
      while last < part.upperBound, states[last] == states[first] { last += 1 }
      body(first..<last, states[first])
      first = last
    }
  }
}

/// The sum of all old rows, where rows are their mean: made once for a stretch.
private struct RowMeans {
  var byLeading: [[Int]: [Double]] = [:]
}

/// A term of an origin, ready to be applied to one slot: maps with the factors that the slot's rule asks for.
private struct MappedTerm {
  enum Source: Equatable {
    case copy(of: Int, factor: Double, isKept: Bool)
    case mean, zero, fresh
  }

  let source: String
  private let factor: Double
  /// Of all axes but the last, by coordinate.
  private let leading: [(sources: [Source], oldCount: Int)]
  /// Of the last axis: stretches in which neighbours come from neighbours.
  private let runs: [(range: Range<Int>, source: Source)]
  private let oldColumns: Int

  init(_ term: ParameterOrigin.Term, rule: GrowthRule, mode: HistoryMode) {
    source = term.source
    factor =
      switch rule {
      case .likeValue: term.coefficient
      case .zero: 1
      case .likeGradient: term.coefficient == 0 ? 0 : 1 / term.coefficient
      case .likeSquaredGradient: term.coefficient == 0 ? 0 : 1 / (term.coefficient * term.coefficient)
      }
    let maps = term.maps.map { map in (sources: Self.sources(map, rule, mode), oldCount: map.oldCount) }
    leading = Array(maps.dropLast())
    oldColumns = maps.last?.oldCount ?? 1
    runs = Self.runs(maps.last?.sources ?? [.copy(of: 0, factor: 1, isKept: true)])
  }

  /// What is new along an axis has no history: only values have means and fresh numbers.
  private static func sources(_ map: AxisMap, _ rule: GrowthRule, _ mode: HistoryMode) -> [Source] {
    zip(map.entries, map.isKept).map { entry, isKept in
      guard case .copy(let old, let coefficient, let share) = entry else {
        guard rule == .likeValue else { return .zero }
        return entry == .mean ? .mean : entry == .zero ? .zero : .fresh
      }
      if rule != .likeValue, !isKept, mode == .asymmetric || rule == .zero { return .zero }
      let dual = coefficient == 0 ? 0 : share / coefficient
      let factor =
        switch rule {
        case .likeValue: coefficient
        case .zero: 1.0
        case .likeGradient: dual
        case .likeSquaredGradient: dual * dual
        }
      return .copy(of: old, factor: factor, isKept: isKept)
    }
  }

  private static func runs(_ sources: [Source]) -> [(range: Range<Int>, source: Source)] {
    var runs: [(range: Range<Int>, source: Source)] = []
    for (column, source) in sources.enumerated() {
      if let last = runs.last {
        let goesOn =
          switch (last.source, source) {
          case (.copy(let first, let a, let keptA), .copy(let old, let b, let keptB)):
            first + last.range.count == old && a == b && keptA == keptB
          default: last.source == source
          }
        if goesOn {
          runs[runs.count - 1].range = last.range.lowerBound..<column + 1
          continue
        }
      }
      runs.append((column..<column + 1, source))
    }
    return runs
  }

  /// Adds what this term brings to `part` of one new row.
  func add(
    to row: inout MappedRow, at number: Int, _ part: Range<Int>, _ old: UnsafePointer<Float>, _ means: inout RowMeans
  ) {
    var rest = number, factor = factor
    // From the innermost outwards; -1 stands for the mean over the axis.
    var coordinates = [Int](repeating: 0, count: leading.count)
    var isKept = true, isZero = false, isFresh = false
    for axis in leading.indices.reversed() {
      let count = leading[axis].sources.count
      switch leading[axis].sources[rest % count] {
      case .copy(let old, let share, let kept):
        coordinates[axis] = old
        factor *= share
        isKept = isKept && kept
      case .mean:
        coordinates[axis] = -1
        factor /= Double(max(leading[axis].oldCount, 1))
        isKept = false
      case .zero: isZero = true
      case .fresh: isFresh = true
      }
      rest /= count
    }
    for run in runs where run.range.overlaps(part) {
      let here = run.range.clamped(to: part)
      if isZero || run.source == .zero {
        row.raise(here, to: .made)
      } else if isFresh || run.source == .fresh {
        row.raise(here, to: .fresh)
      } else if coordinates.contains(-1) {
        let sum = means.byLeading[coordinates] ?? sumOfRows(coordinates, old)
        means.byLeading[coordinates] = sum
        sum.withUnsafeBufferPointer { add(to: &row, here, run, factor, false) { [sum = $0] in sum[$0] } }
      } else {
        let values = old + rowIndex(coordinates) * oldColumns
        add(to: &row, here, run, factor, isKept) { Double(values[$0]) }
      }
    }
  }

  @inline(__always)
  private func add(
    to row: inout MappedRow, _ here: Range<Int>, _ run: (range: Range<Int>, source: Source), _ factor: Double,
    _ isKept: Bool, _ value: (Int) -> Double
  ) {
    switch run.source {
    case .copy(let first, let share, let kept):
      let shift = first - run.range.lowerBound, factor = factor * share
      row.sums.withUnsafeMutableBufferPointer { sums in
        for column in here { sums[column] += factor * value(column + shift) }
      }
      if !(isKept && kept) { row.raise(here, to: .made) }
    case .mean:
      let mean = (0..<oldColumns).reduce(0) { $0 + value($1) } * factor / Double(max(oldColumns, 1))
      for column in here { row.sums[column] += mean }
      row.raise(here, to: .made)
    case .zero, .fresh: break
    }
  }

  private func rowIndex(_ coordinates: [Int]) -> Int {
    zip(leading, coordinates).reduce(0) { $0 * $1.0.oldCount + $1.1 }
  }

  /// The sum over every axis whose coordinate is -1.
  private func sumOfRows(_ coordinates: [Int], _ old: UnsafePointer<Float>) -> [Double] {
    var rows = [0]
    for (axis, coordinate) in zip(leading, coordinates) {
      rows = rows.flatMap { row in
        coordinate >= 0 ? [row * axis.oldCount + coordinate] : (0..<axis.oldCount).map { row * axis.oldCount + $0 }
      }
    }
    var sum = [Double](repeating: 0, count: oldColumns)
    for row in rows {
      for column in 0..<oldColumns { sum[column] += Double(old[row * oldColumns + column]) }
    }
    return sum
  }
}
