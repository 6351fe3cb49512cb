import EspalierMethods
import EspalierNN
import EspalierState
import EspalierTensor

/// What a task's test set says of a model: how many samples are told right among all rows of the head, and among those of the task.
struct TaskMeasure: Hashable, Sendable {
  let among: [TaskView: Accuracy]
  let losses: [TaskView: Double]
}

/// Measures the test sets of tasks, in batches that are cut by index as in `Evaluation`.
struct TaskEvaluation {
  let session: RankSession
  let measured: ModelCopy?
  let sequence: TaskSequence
  /// Rows that the head has.
  let headRows: Int

  /// The views that a setting has.
  var views: [TaskView] { sequence.setting == .class || sequence.setting == .task ? [.class, .task] : [.class] }

  /// nil for a task whose rows the head does not have yet. Collective.
  func measure(_ task: Int) throws -> TaskMeasure? {
    let data = sequence.tasks[task]
    guard data.rows.allSatisfy({ Int($0) < headRows }) else { return nil }
    return try measure(data.test, of: task)
  }

  /// Samples of one task, whose rows compete in the view of the task, and of whose time the layers are. Collective.
  func measure(_ test: any Dataset, of task: Int) throws -> TaskMeasure {
    let views = views, rows = sequence.tasks[task].rows, before = session.task
    session.task = session.run.place(ofTask: task)
    defer { session.task = before }
    let sums = try Evaluation(session, test, batch: session.run.settings.evaluate.batch, limit: 0).sums(
      measured
    ) { logits, batch in
      let columns = logits.shape.columns
      let values = UnsafeBufferPointer(start: logits.pointer, count: logits.count)
      return views.flatMap { view -> [Double] in
        let competing = view == .task ? Array(repeating: rows, count: batch.samples.count) : []
        let part = StepLoss.Part(targets: batch.targets.values, count: 1, competing: competing)
        var scratch = [Double](repeating: 0, count: max(logits.count, 1))
        let term = scratch.withUnsafeMutableBufferPointer {
          part.evaluate(values, columns: columns, gradient: $0)
        }
        return [term.loss, Double(term.correct)]
      }
    }
    var accuracies: [TaskView: Accuracy] = [:], losses: [TaskView: Double] = [:]
    for (index, view) in views.enumerated() {
      accuracies[view] = Accuracy(correct: Int(sums[2 * index + 1]), count: test.sampleCount)
      losses[view] = sums[2 * index] / Double(max(test.sampleCount, 1))
    }
    return TaskMeasure(among: accuracies, losses: losses)
  }
}
