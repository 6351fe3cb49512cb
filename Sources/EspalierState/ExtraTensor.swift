package import EspalierComm

/// Rows that ranks share out in even blocks and that are no weights: records of replay. Saved, digested and resharded like a weight's
/// value, never trained, gathered or grown.
package final class ExtraTensor {
  package let name: String
  package let rows: Int
  package let columns: Int
  /// The rows of this rank.
  package let own: Range<Int>
  private let slab: Slab

  /// All zeros.
  package init(_ name: String, rows: Int, columns: Int, _ communicator: Communicator) {
    self.name = name
    self.rows = rows
    self.columns = columns
    own = Self.rows(of: communicator.rank, in: communicator.size, rows)
    slab = communicator.slab(count: own.count * columns)
    slab.pointer.update(repeating: 0, count: own.count * columns)
  }

  /// What begins the names of the records of replay.
  static let recordsPrefix = "records."
  /// Whether a tensor of a checkpoint is of records.
  static func isRecords(_ name: String) -> Bool { name.hasPrefix(recordsPrefix) }

  private static func rows(of rank: Int, in ranks: Int, _ rows: Int) -> Range<Int> {
    rows * rank / ranks..<rows * (rank + 1) / ranks
  }

  /// The elements of this rank, counted from the first of the tensor.
  package var range: Range<Int> { own.lowerBound * columns..<own.upperBound * columns }
  package var shape: [Int] { [rows, columns] }
  package var pointer: UnsafeMutablePointer<Float> { slab.pointer }

  /// One row.
  /// - Precondition: it is this rank's.
  package func row(_ index: Int) -> UnsafeMutableBufferPointer<Float> {
    precondition(own.contains(index), "row \(index) of '\(name)' is another rank's; this one has \(own)")
    return UnsafeMutableBufferPointer(start: slab.pointer + (index - own.lowerBound) * columns, count: columns)
  }
}
