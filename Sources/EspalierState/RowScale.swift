import CKernels
import EspalierNN

/// Rows of a parameter that are multiplied with a factor after an update, wherever they lie.
package struct RowScale: Hashable, Sendable {
  package let parameter: String
  /// Along its first axis.
  package let rows: Range<Int>
  package let factor: Float

  package init(_ parameter: String, rows: Range<Int>, factor: Float) {
    self.parameter = parameter
    self.rows = rows
    self.factor = factor
  }

  /// Multiplies what a stretch has of the rows.
  func apply(to shard: ParameterShard) {
    guard shard.spec.name == parameter, let value = shard.value.baseAddress else { return }
    let width = shard.spec.axes.dropFirst().reduce(1) { $0 * $1.count }
    let own = (rows.lowerBound * width..<rows.upperBound * width).clamped(to: shard.range)
    if own.isEmpty { return }
    let start = value + (own.lowerBound - shard.range.lowerBound)
    ck_scale(start, factor, 0, start, own.count)
  }
}
