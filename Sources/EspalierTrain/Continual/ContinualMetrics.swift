/// A measure of continual learning in one convention. The same word means other numbers in other papers, so each has a
/// name of its own.
///
/// T tasks are learned; a(i, j) is the accuracy on task j after task i, a(0, j) that of the untrained network, n(j) the
/// size of the test set. Sums go over the tasks 1 to T unless they say otherwise.
package enum ContinualMetric: String, CaseIterable, Codable, CodingKeyRepresentable, Sendable {
  /// Σⱼ a(T, j) / T.
  case finalAccuracy
  /// Σⱼ n(j) a(T, j) / Σⱼ n(j).
  case finalAccuracyPooled
  /// The mean over i of Σ_{j ≤ i} a(i, j) / i.
  case averagedAccuracy
  /// The mean over i of Σ_{j ≤ i} n(j) a(i, j) / Σ_{j ≤ i} n(j).
  case averagedAccuracyPooled
  /// Σⱼ a(j, j) / T.
  case learningAccuracy
  /// Σ_{j < T} (a(T, j) − a(j, j)) / (T − 1).
  case backwardTransfer
  /// Σ_{j < T} (a(T, j) − a(j, j)) / T.
  case backwardTransferOverAll
  /// Σ_{j < T} (max over j ≤ i ≤ T of a(i, j), less a(T, j)) / (T − 1).
  case forgetting
  /// Σ_{j < T} (max over j ≤ i < T of a(i, j), less a(T, j)) / (T − 1).
  case forgettingBeforeLast
  /// Σ_{j < T} (a(j, j) − a(T, j)) / (T − 1).
  case forgettingSinceOwn
  /// Σ_{j > 1} (a(j − 1, j) − a(0, j)) / (T − 1).
  case forwardTransfer

  /// For people.
  package var title: String {
    switch self {
    case .finalAccuracy: "final average accuracy"
    case .finalAccuracyPooled: "final accuracy, pooled"
    case .averagedAccuracy: "averaged accuracy"
    case .averagedAccuracyPooled: "averaged accuracy, pooled"
    case .learningAccuracy: "learning accuracy"
    case .backwardTransfer: "backward transfer"
    case .backwardTransferOverAll: "backward transfer, over all tasks"
    case .forgetting: "forgetting"
    case .forgettingBeforeLast: "forgetting, peak before the end"
    case .forgettingSinceOwn: "forgetting, since learned"
    case .forwardTransfer: "forward transfer"
    }
  }

  /// One line, in the letters of this type's comment.
  package var formula: String {
    switch self {
    case .finalAccuracy: "mean of a(T, j)"
    case .finalAccuracyPooled: "right answers over samples of all tasks, after task T"
    case .averagedAccuracy: "mean over i of the mean of a(i, j), j ≤ i"
    case .averagedAccuracyPooled: "mean over i of right answers over samples of tasks 1 to i"
    case .learningAccuracy: "mean of a(j, j)"
    case .backwardTransfer: "sum over j < T of a(T, j) − a(j, j), divided by T − 1"
    case .backwardTransferOverAll: "the same sum, divided by T"
    case .forgetting: "mean over j < T of max a(i, j) − a(T, j), j ≤ i ≤ T; never negative"
    case .forgettingBeforeLast: "the same with the maximum over j ≤ i < T; negative where the last task helped"
    case .forgettingSinceOwn: "mean over j < T of a(j, j) − a(T, j)"
    case .forwardTransfer: "mean over j > 1 of a(j − 1, j) − a(0, j)"
    }
  }

  /// Who computes it so.
  package var source: String {
    switch self {
    case .finalAccuracy:
      "ACC of GEM (Lopez-Paz and Ranzato 2017, arXiv:1706.08840) and of API (Liang and Li 2023, eq. 12); ACC_T of InfLoRA"
    case .finalAccuracyPooled: "one test set of all classes; the code of InfLoRA (Liang and Li 2024)"
    case .averagedAccuracy:
      "averaged accuracy of InfLoRA; average incremental accuracy of iCaRL (Rebuffi et al. 2017, arXiv:1611.07725)"
    case .averagedAccuracyPooled: "the code of InfLoRA"
    case .learningAccuracy: "LA of MER (Riemer et al. 2019, arXiv:1810.11910); printed as Fwt by the code of GainLoRA"
    case .backwardTransfer: "BWT of GEM, of API's paper and of mammoth (LODE's code)"
    case .backwardTransferOverAll: "the code of API and of GainLoRA, whose sum has a last term of 0"
    case .forgetting: "mammoth (Buzzega et al. 2020, arXiv:2004.07211), and so LODE's code"
    case .forgettingBeforeLast: "Chaudhry et al. 2018, arXiv:1801.10112; the code of GainLoRA"
    case .forgettingSinceOwn: "backward transfer with the other sign"
    case .forwardTransfer: "FWT of GEM and mammoth; needs the untrained network measured"
    }
  }

  /// Whether less of it is better.
  package var isLoss: Bool {
    switch self {
    case .forgetting, .forgettingBeforeLast, .forgettingSinceOwn: true
    default: false
    }
  }
}

/// All measures of one accuracy matrix, as fractions (0.83 is 83 %).
///
/// They are those of a run that ends with the tasks learned so far: T is `learned`. What cannot be computed is absent,
/// never zero: transfer and forgetting of a single task, forward transfer without the untrained row or where the head
/// lacked the classes, and whatever needs an entry that was not measured.
package struct ContinualMetrics: Hashable, Codable, Sendable {
  /// T.
  package let learned: Int
  package let values: [ContinualMetric: Double]
  /// Σ_{j ≤ i} a(i, j) / i for i = 1 to T.
  package let accuracyAfterEachTask: [Double?]
  /// Σ_{j ≤ i} n(j) a(i, j) / Σ_{j ≤ i} n(j) for i = 1 to T.
  package let accuracyAfterEachTaskPooled: [Double?]

  package subscript(metric: ContinualMetric) -> Double? { values[metric] }

  package init(_ matrix: AccuracyMatrix) {
    let last = matrix.learned
    // The matrix in the letters of the formulas: moments from 0, tasks from 1.
    func a(_ moment: Int, _ task: Int) -> Double? { matrix[learned: moment, task: task - 1]?.fraction }
    func difference(_ first: Double?, _ second: Double?) -> Double? {
      if let first, let second { first - second } else { nil }
    }
    /// The highest accuracy on a task; nil unless all were measured.
    func peak(_ task: Int, through end: Int) -> Double? {
      let entries = (task...end).map { a($0, task) }
      return entries.contains(nil) ? nil : entries.compactMap { $0 }.max()
    }
    func mean(_ tasks: some Sequence<Int>, _ value: (Int) -> Double?) -> Double? {
      AccuracyMatrix.mean(tasks.map(value))
    }
    let moments = last > 0 ? Array(1...last) : []
    // None for a single task.
    let earlier = moments.dropLast(), later = moments.dropFirst()
    let means = moments.map { matrix.mean(learned: $0, ofFirst: $0) }
    let pooled = moments.map { matrix.pooled(learned: $0, ofFirst: $0) }
    let transfer = mean(earlier) { difference(a(last, $0), a($0, $0)) }
    let values: [ContinualMetric: Double?] = [
      .finalAccuracy: means.last ?? nil,
      .finalAccuracyPooled: pooled.last ?? nil,
      .averagedAccuracy: AccuracyMatrix.mean(means),
      .averagedAccuracyPooled: AccuracyMatrix.mean(pooled),
      .learningAccuracy: mean(moments) { a($0, $0) },
      .backwardTransfer: transfer,
      .backwardTransferOverAll: transfer.map { $0 * Double(last - 1) / Double(last) },
      .forgetting: mean(earlier) { difference(peak($0, through: last), a(last, $0)) },
      .forgettingBeforeLast: mean(earlier) { difference(peak($0, through: last - 1), a(last, $0)) },
      .forgettingSinceOwn: mean(earlier) { difference(a($0, $0), a(last, $0)) },
      .forwardTransfer: mean(later) { difference(a($0 - 1, $0), a(0, $0)) },
    ]
    learned = last
    self.values = values.compactMapValues { $0 }
    accuracyAfterEachTask = means
    accuracyAfterEachTaskPooled = pooled
  }
}
