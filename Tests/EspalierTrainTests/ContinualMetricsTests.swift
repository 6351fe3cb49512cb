import EspalierTensor
import EspalierTrain
import Foundation
import Testing

/// `Goldens/metrics.json`: one matrix, and a variant of it, in every convention; computed by NumPy.
private struct MetricsGolden: Decodable {
  struct Expected: Decodable {
    let final_average_accuracy_ACC_T: Double?
    let accuracy_after_each_task: [Double]?
    let averaged_accuracy_over_tasks: Double?
    let accuracy_after_each_task_pooled_by_test_size: [Double]?
    let averaged_accuracy_pooled: Double?
    let bwt_paper_over_T_minus_1: Double?
    let bwt_over_T_api_code_and_gainlora_score: Double?
    let forgetting_mammoth_max_over_all_rows: Double?
    let forgetting_gainlora_max_over_rows_before_last: Double?
    let forgetting_peak_at_own_task: Double?
    let fwt_gem_mammoth: Double?
    let learning_accuracy_mean_diagonal: Double?

    var values: [ContinualMetric: Double] {
      let pairs: [ContinualMetric: Double?] = [
        .finalAccuracy: final_average_accuracy_ACC_T, .averagedAccuracy: averaged_accuracy_over_tasks,
        .finalAccuracyPooled: accuracy_after_each_task_pooled_by_test_size?.last,
        .averagedAccuracyPooled: averaged_accuracy_pooled, .learningAccuracy: learning_accuracy_mean_diagonal,
        .backwardTransfer: bwt_paper_over_T_minus_1, .backwardTransferOverAll: bwt_over_T_api_code_and_gainlora_score,
        .forgetting: forgetting_mammoth_max_over_all_rows,
        .forgettingBeforeLast: forgetting_gainlora_max_over_rows_before_last,
        .forgettingSinceOwn: forgetting_peak_at_own_task, .forwardTransfer: fwt_gem_mammoth,
      ]
      return pairs.compactMapValues { $0 }
    }
  }

  let tolerance: [String: Double]
  /// Percent.
  let accuracy_matrix: [[Double]]
  let test_set_sizes: [Int]
  let accuracy_of_untrained_network: [Double]
  let expected: Expected
  let variant_matrix_row3_col0_is_95: Expected

  static func read() throws -> MetricsGolden {
    let url = Bundle.module.url(forResource: "Goldens/metrics", withExtension: "json")
    guard let url else { throw CocoaError(.fileNoSuchFile) }
    return try JSONDecoder().decode(MetricsGolden.self, from: Data(contentsOf: url))
  }

  /// Percentages of test sets are whole numbers of samples.
  func matrix(_ rows: [[Double]]) throws -> AccuracyMatrix {
    var matrix = AccuracyMatrix(taskCount: rows.count)
    for (learned, row) in ([accuracy_of_untrained_network] + rows).enumerated() {
      for (task, percent) in row.enumerated() {
        let correct = percent * Double(test_set_sizes[task]) / 100
        try #require(abs(correct - correct.rounded()) < 1e-9, "\(percent) % of \(test_set_sizes[task])")
        matrix[learned: learned, task: task] = Accuracy(correct: Int(correct.rounded()), count: test_set_sizes[task])
      }
    }
    return matrix
  }
}

@Suite struct ContinualMetricsTests {
  @Test("every convention has the value that the reference computes")
  func golden() throws {
    let golden = try MetricsGolden.read()
    let tolerance = try #require(golden.tolerance["float64"])
    let metrics = ContinualMetrics(try golden.matrix(golden.accuracy_matrix))
    #expect(golden.expected.values.count == ContinualMetric.allCases.count)
    for (metric, expected) in golden.expected.values {
      let value = try #require(metrics[metric], "\(metric)")
      #expect(abs(100 * value - expected) <= tolerance, "\(metric): \(100 * value) is not \(expected)")
    }
    func compare(_ values: [Double?], _ expected: [Double]?) throws {
      let expected = try #require(expected)
      #expect(values.count == expected.count)
      for (value, expected) in zip(values, expected) {
        #expect(abs(100 * (value ?? .nan) - expected) <= tolerance, "\(value ?? .nan) is not \(expected)")
      }
    }
    try compare(metrics.accuracyAfterEachTask, golden.expected.accuracy_after_each_task)
    try compare(
      metrics.accuracyAfterEachTaskPooled, golden.expected.accuracy_after_each_task_pooled_by_test_size)
  }

  @Test("where the last task helped an earlier one, the rules of forgetting part as the reference says")
  func variant() throws {
    let golden = try MetricsGolden.read()
    let tolerance = try #require(golden.tolerance["float64"])
    var rows = golden.accuracy_matrix
    rows[3][0] = 95
    let metrics = ContinualMetrics(try golden.matrix(rows))
    let expected = golden.variant_matrix_row3_col0_is_95.values
    #expect(expected.count == 3)
    for (metric, expected) in expected {
      let value = try #require(metrics[metric], "\(metric)")
      #expect(abs(100 * value - expected) <= tolerance, "\(metric): \(100 * value) is not \(expected)")
    }
  }

  @Test("conventions stand to each other as their formulas do", arguments: 2...12)
  func relations(_ tasks: Int) throws {
    for trial in 0..<20 {
      let metrics = ContinualMetrics(SampledTasks.matrix(tasks, key: RandomKey(seed: UInt64(100 * tasks + trial))))
      func value(_ metric: ContinualMetric) throws -> Double { try #require(metrics[metric], "\(metric)") }
      let count = Double(tasks)
      #expect(abs(try value(.backwardTransferOverAll) * count - value(.backwardTransfer) * (count - 1)) < 1e-12)
      #expect(abs(try value(.forgettingSinceOwn) + value(.backwardTransfer)) < 1e-12)
      #expect(
        abs(try value(.finalAccuracy) - value(.learningAccuracy) - value(.backwardTransferOverAll)) < 1e-12)
      #expect(try value(.forgetting) >= max(0, value(.forgettingBeforeLast)) - 1e-15)
      #expect(try value(.forgettingBeforeLast) >= value(.forgettingSinceOwn) - 1e-15)
      #expect(metrics.accuracyAfterEachTask.last == metrics[.finalAccuracy])
      #expect(metrics.accuracyAfterEachTask.count == tasks)
    }
  }

  @Test("test sets of one size make pooled figures those of the tasks' mean", arguments: 1...9)
  func pooled(_ tasks: Int) throws {
    let matrix = SampledTasks.matrix(
      tasks, key: RandomKey(seed: UInt64(tasks)), counts: Array(repeating: 128, count: tasks))
    let metrics = ContinualMetrics(matrix)
    for (mean, pooled) in zip(metrics.accuracyAfterEachTask, metrics.accuracyAfterEachTaskPooled) {
      #expect(abs(try #require(mean) - #require(pooled)) < 1e-15)
    }
    let (mean, pooled) = (metrics[.averagedAccuracy], metrics[.averagedAccuracyPooled])
    #expect(abs(try #require(mean) - #require(pooled)) < 1e-15)
  }

  @Test("the final accuracy does not depend on which task is called which", arguments: 2...9)
  func relabelled(_ tasks: Int) throws {
    let key = RandomKey(seed: UInt64(77 + tasks))
    let matrix = SampledTasks.matrix(tasks, key: key)
    let order = (0..<tasks).sorted { key.uniform(at: UInt64(1_000_000 + $0)) < key.uniform(at: UInt64(1_000_000 + $1)) }
    var other = AccuracyMatrix(taskCount: tasks)
    for learned in 0...tasks {
      for task in 0..<tasks { other[learned: learned, task: order[task]] = matrix[learned: learned, task: task] }
    }
    let (first, second) = (ContinualMetrics(matrix), ContinualMetrics(other))
    let (mean, otherMean) = (first[.finalAccuracy], second[.finalAccuracy])
    #expect(abs(try #require(mean) - #require(otherMean)) < 1e-15)
    // Sums of whole numbers: to the bit.
    #expect(first[.finalAccuracyPooled] == second[.finalAccuracyPooled])
  }

  @Test("tasks whose accuracy never changes are forgotten by exactly nothing in every convention")
  func constant() {
    var matrix = AccuracyMatrix(taskCount: 7)
    for learned in 0...7 {
      for task in 0..<7 { matrix[learned: learned, task: task] = Accuracy(correct: 11 * task + 1, count: 97) }
    }
    let metrics = ContinualMetrics(matrix)
    let changes: [ContinualMetric] = [
      .backwardTransfer, .backwardTransferOverAll, .forgetting, .forgettingBeforeLast, .forgettingSinceOwn,
      .forwardTransfer,
    ]
    for metric in changes { #expect(metrics[metric] == 0, "\(metric)") }
  }

  @Test("what cannot be computed is absent, and everything else is there")
  func absent() {
    func without(_ matrix: AccuracyMatrix, _ change: (inout AccuracyMatrix) -> Void) -> Set<ContinualMetric> {
      var matrix = matrix
      change(&matrix)
      return Set(ContinualMetric.allCases).subtracting(ContinualMetrics(matrix).values.keys)
    }
    let whole = SampledTasks.matrix(4, key: RandomKey(seed: 3))
    #expect(without(whole) { _ in } == [])
    #expect(without(whole) { for task in 0..<4 { $0[learned: 0, task: task] = nil } } == [.forwardTransfer])
    // The row after task 2 lacks task 1: its own means, the peaks over all rows.
    #expect(
      without(whole) { $0[learned: 2, task: 0] = nil }
        == [.averagedAccuracy, .averagedAccuracyPooled, .forgetting, .forgettingBeforeLast])
    // A head without rows for tasks to come.
    #expect(without(whole) { $0[learned: 1, task: 1] = nil } == [.forwardTransfer])
    #expect(
      without(whole) { $0[learned: 2, task: 1] = nil }.isSuperset(of: [.learningAccuracy, .backwardTransfer]))
    let single = SampledTasks.matrix(1, key: RandomKey(seed: 4))
    #expect(
      Set(ContinualMetrics(single).values.keys)
        == [.finalAccuracy, .finalAccuracyPooled, .averagedAccuracy, .averagedAccuracyPooled, .learningAccuracy])
    #expect(ContinualMetrics(AccuracyMatrix(taskCount: 3)).values.isEmpty)
    #expect(ContinualMetrics(whole.upTo(learned: 0)).values.isEmpty)
  }

  @Test("measures of a run that goes on are those of a run that ends there", arguments: 1...6)
  func underway(_ learned: Int) {
    let whole = SampledTasks.matrix(6, key: RandomKey(seed: 9))
    var short = AccuracyMatrix(taskCount: learned)
    for moment in 0...learned {
      for task in 0..<learned { short[learned: moment, task: task] = whole[learned: moment, task: task] }
    }
    #expect(ContinualMetrics(whole.upTo(learned: learned)).values == ContinualMetrics(short).values)
  }

  @Test("every convention has a name, a formula and a source of its own")
  func names() {
    for part in [\ContinualMetric.title, \.formula, \.source, \.rawValue] {
      let texts = ContinualMetric.allCases.map { $0[keyPath: part] }
      #expect(Set(texts).count == texts.count && !texts.contains(""))
    }
  }
}
