/// What was measured of every task at every moment of a run: rows are moments, columns are tasks.
///
/// A moment is the number of tasks learned by then: 0 before any training, i after the i-th task. Rows come as a run
/// goes on, and a row may lack tasks (classes that the head does not have yet). The value, and its JSON, are the same
/// in whatever order entries were set.
package struct TaskMatrix<Entry: Hashable & Codable & Sendable>: Hashable, Sendable {
  package let taskCount: Int
  /// By moment; no row is without an entry.
  private var rows: [Int: [Entry?]] = [:]

  /// A matrix without entries.
  package init(taskCount: Int) {
    precondition(taskCount > 0, "a run has at least one task, not \(taskCount)")
    self.taskCount = taskCount
  }

  /// - Parameters:
  ///   - learned: tasks learned by then, 0 to `taskCount`.
  ///   - task: from 0, in the order of learning.
  package subscript(learned learned: Int, task task: Int) -> Entry? {
    get {
      precondition(task >= 0 && task < taskCount, "task \(task) is none of \(taskCount)")
      return rows[learned]?[task]
    }
    set {
      precondition(task >= 0 && task < taskCount, "task \(task) is none of \(taskCount)")
      precondition(learned >= 0 && learned <= taskCount, "\(learned) tasks learned are not 0 to \(taskCount)")
      var row = rows[learned] ?? Array(repeating: nil, count: taskCount)
      row[task] = newValue
      rows[learned] = row.contains { $0 != nil } ? row : nil
    }
  }

  /// The moments of which there is an entry, ascending.
  package var moments: [Int] { rows.keys.sorted() }

  /// The latest moment of which there is an entry.
  package var learned: Int { rows.keys.max() ?? 0 }

  package var isEmpty: Bool { rows.isEmpty }

  /// The same without what came after a moment, for a run that is resumed there.
  package func upTo(learned: Int) -> TaskMatrix {
    var result = self
    result.rows = rows.filter { $0.key <= learned }
    return result
  }
}

extension TaskMatrix: Codable {
  private enum Key: String, CodingKey { case tasks, rows }

  private struct Row: Codable {
    let learned: Int
    let entries: [Entry?]
  }

  package init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: Key.self)
    func refuse(_ key: Key, _ reason: String) -> DecodingError {
      DecodingError.dataCorruptedError(forKey: key, in: container, debugDescription: reason)
    }
    let taskCount = try container.decode(Int.self, forKey: .tasks)
    guard taskCount > 0 else { throw refuse(.tasks, "a run has at least one task, not \(taskCount)") }
    self.init(taskCount: taskCount)
    for row in try container.decode([Row].self, forKey: .rows) {
      guard row.learned >= 0, row.learned <= taskCount else {
        throw refuse(.rows, "there is a row after \(row.learned) of \(taskCount) tasks")
      }
      guard rows[row.learned] == nil else { throw refuse(.rows, "there are two rows after \(row.learned) tasks") }
      guard row.entries.count == taskCount else {
        throw refuse(
          .rows, "the row after \(row.learned) tasks has \(row.entries.count) entries for \(taskCount) tasks")
      }
      if row.entries.contains(where: { $0 != nil }) { rows[row.learned] = row.entries }
    }
  }

  package func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: Key.self)
    try container.encode(taskCount, forKey: .tasks)
    try container.encode(moments.map { Row(learned: $0, entries: rows[$0] ?? []) }, forKey: .rows)
  }
}
