import EspalierTrain

/// Runs over tasks as tables for a terminal, in percent.
enum TaskStudyText {
  static func text(_ study: TaskStudy) -> String {
    var parts = study.groups.map(group)
    if study.groups.count > 1 { parts += study.views.map { comparison(study, $0) } }
    return parts.joined(separator: "\n") + "\n"
  }

  private static func group(_ group: TaskGroup) -> String {
    var parts = group.runs.map { run in
      let results = run.results
      let about = [
        results.summary, "seed \(results.seed)", TaskText.progress(results.learned, of: results.tasks.count),
      ]
      let heading = "\(run.path): \(about.filter { !$0.isEmpty }.joined(separator: ", "))\n"
      let matrices = results.views.sorted { $0.key < $1.key }.map { view, measured in
        "\naccuracy \(view.title), %\n" + matrix(measured.accuracy, results.tasks)
      }
      return heading + (matrices.isEmpty ? "no task has been measured yet\n" : matrices.joined())
    }
    parts += group.views.map { metrics(group, $0) }
    return parts.joined(separator: "\n")
  }

  /// A row for each moment, a column for each task.
  private static func matrix(_ matrix: AccuracyMatrix, _ tasks: [TaskResults.Task]) -> String {
    let rows = matrix.moments.map { moment in
      [moment == 0 ? "untrained" : "\(moment): \(TaskText.short(tasks[moment - 1].name, 20))"]
        + tasks.indices.map { TaskText.percent(matrix[learned: moment, task: $0]?.fraction) }
        + [moment == 0 ? "" : TaskText.percent(matrix.mean(learned: moment, ofFirst: moment))]
    }
    return TextTable.columns(["after task"] + tasks.indices.map { "\($0 + 1)" } + ["mean"], rows, areNumbers: true)
  }

  /// The measures of a group: of each run, and their mean.
  private static func metrics(_ group: TaskGroup, _ view: TaskView) -> String {
    let runs = group.runs.map { run in run.results.views[view].map { ContinualMetrics($0.accuracy) } }
    let isSingle = group.runs.count == 1
    let rows = ContinualMetric.allCases.map { metric in
      let values = runs.map { TaskText.percent($0?[metric]) }
      return [metric.title] + values + (isSingle ? [] : [TaskText.percent(group.estimate(metric, view))])
    }
    let heading =
      isSingle ? ["value"] : group.runs.map { "seed \($0.results.seed)" } + ["mean ± sd"]
    var table = TextTable.columns(["measure, %"] + heading, rows, areNumbers: true).split(separator: "\n").map(
      String.init)
    let width = table.map(\.count).max() ?? 0
    for (index, metric) in ContinualMetric.allCases.enumerated() where isSingle {
      table[index + 1] += String(repeating: " ", count: width - table[index + 1].count) + "  " + metric.formula
    }
    let left = group.runs.count - group.furthest.count
    let note =
      left == 0
      ? ""
      : "means are those of the \(Amount.count(group.furthest.count, "run")) after \(Amount.count(group.learned, "task"))\n"
    return "measures \(isSingle ? "" : "of \(group.label) ")\(view.title)\n" + table.joined(separator: "\n") + "\n"
      + note
  }

  /// Groups under each other.
  private static func comparison(_ study: TaskStudy, _ view: TaskView) -> String {
    let metrics: [(String, ContinualMetric)] = [
      ("final", .finalAccuracy), ("averaged", .averagedAccuracy), ("learning", .learningAccuracy),
      ("forgetting", .forgetting), ("backward", .backwardTransfer), ("forward", .forwardTransfer),
    ]
    let rows = study.groups.map { group in
      [group.label, "\(group.furthest.count)"] + metrics.map { TaskText.percent(group.estimate($0.1, view)) }
    }
    return "compared \(view.title), %\n"
      + TextTable.columns(["", "runs"] + metrics.map(\.0), rows, areNumbers: true)
  }
}
