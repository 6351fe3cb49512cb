/// How many samples of a test set were told right. Whole numbers, so that sums over ranks, batches and tasks are exact.
package struct Accuracy: Hashable, Sendable {
  package let correct: Int
  package let count: Int

  /// - Precondition: there is a sample, and no more are right than there are.
  package init(correct: Int, count: Int) {
    precondition(count > 0 && correct >= 0 && correct <= count, "\(correct) of \(count) samples cannot be right")
    self.correct = correct
    self.count = count
  }

  /// 0 to 1.
  package var fraction: Double { Double(correct) / Double(count) }

  /// Of both sets of samples together.
  package static func + (first: Accuracy, second: Accuracy) -> Accuracy {
    Accuracy(correct: first.correct + second.correct, count: first.count + second.count)
  }
}

extension Accuracy: Codable {
  private enum Key: String, CodingKey { case correct, count }

  package init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: Key.self)
    let correct = try container.decode(Int.self, forKey: .correct)
    let count = try container.decode(Int.self, forKey: .count)
    guard count > 0, correct >= 0, correct <= count else {
      throw DecodingError.dataCorruptedError(
        forKey: .correct, in: container, debugDescription: "\(correct) of \(count) samples cannot be right")
    }
    self.init(correct: correct, count: count)
  }
}

/// Accuracy on every task at every moment: what all measures of continual learning are computed from.
package typealias AccuracyMatrix = TaskMatrix<Accuracy>

extension TaskMatrix where Entry == Accuracy {
  /// The mean accuracy on the first tasks, each task counting alike; nil unless all were measured.
  package func mean(learned: Int, ofFirst count: Int) -> Double? {
    Self.mean((0..<count).map { self[learned: learned, task: $0]?.fraction })
  }

  /// The accuracy on the samples of the first tasks together; nil unless all were measured.
  package func pooled(learned: Int, ofFirst count: Int) -> Double? {
    var sum: Accuracy?
    for task in 0..<count {
      guard let entry = self[learned: learned, task: task] else { return nil }
      sum = sum.map { $0 + entry } ?? entry
    }
    return sum?.fraction
  }

  /// Nil for no values, and where one is absent.
  static func mean(_ values: [Double?]) -> Double? {
    let known = values.compactMap { $0 }
    guard !known.isEmpty, known.count == values.count else { return nil }
    return known.reduce(0, +) / Double(known.count)
  }
}
