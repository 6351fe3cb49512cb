/// The curves of a page of tasks: the average after each task, what becomes of each task, and learning within tasks.
struct TaskPlots {
  let study: TaskStudy
  let view: TaskView

  /// Pixels of a picture; two stand side by side on a wide screen.
  static let panel = (width: 590.0, height: 340.0)

  /// The colour and dashes of a group.
  static func style(_ group: Int) -> String {
    "run\(group % 6)" + (group < 6 ? "" : " dash\((group / 6 - 1) % 2 + 1)")
  }

  /// The mean accuracy over the tasks learned so far, a curve for each group.
  /// - Returns: nil where nobody has measured it.
  var average: String? {
    let series = study.groups.enumerated().map { index, group in
      SeriesPlot.Series(
        name: study.groups.count > 1 ? TaskText.short(group.label, 24) : "", style: Self.style(index),
        points: (1...group.tasks.count).compactMap { learned in
          group.estimate(view, { $0.mean(learned: learned, ofFirst: learned) }).map { estimate in
            point(learned, estimate, "\(group.label), after \(TaskText.count(learned, "task")): ")
          }
        })
    }
    let taskCount = study.groups.map(\.tasks.count).max() ?? 1
    return plot(
      series, "mean accuracy over the tasks learned, after each task", yTitle: "mean accuracy, %", taskCount: taskCount,
      range: Self.range(of: series), size: Self.panel)
  }

  /// The accuracy on every task from when it was learned, a picture for each group.
  var retention: [(group: TaskGroup, svg: String)] {
    let all = study.groups.map { group in
      group.tasks.enumerated().map { task, description in
        SeriesPlot.Series(
          name: "\(task + 1): \(TaskText.short(description.name, 16))", style: "task\(task)",
          points: (task + 1...group.tasks.count).compactMap { learned in
            group.estimate(view, { $0[learned: learned, task: task]?.fraction }).map { estimate in
              point(learned, estimate, "task \(task + 1) (\(description.name)) after task \(learned): ")
            }
          }.map { point in
            // One band for each of many tasks would hide what it belongs to.
            SeriesPlot.Point(x: point.x, y: point.y, deviation: nil, note: point.note)
          })
      }
    }
    let range = Self.range(of: all.flatMap { $0 })
    return zip(study.groups, all).compactMap { group, series in
      plot(
        series, "accuracy on each task since it was learned: \(group.label)", yTitle: "accuracy on a task, %",
        taskCount: group.tasks.count, range: range, size: Self.panel
      ).map { (group, $0) }
    }
  }

  /// What was measured within tasks, against steps; of a group of several runs the first.
  var learning: [(group: TaskGroup, svg: String)] {
    let curves = study.groups.map { group in group.runs[0].results.views[view]?.curve ?? [] }
    let all = zip(study.groups, curves).map { group, curve in
      group.tasks.enumerated().map { task, description in
        SeriesPlot.Series(
          name: "\(task + 1): \(TaskText.short(description.name, 16))", style: "task\(task)",
          points: curve.filter { $0.task == task && $0.learning >= task }.sorted { $0.step < $1.step }.map { point in
            SeriesPlot.Point(
              x: Double(point.step), y: 100 * point.accuracy.fraction,
              note:
                "task \(task + 1) (\(description.name)) at step \(point.step): \(TaskText.percent(point.accuracy.fraction)) %"
            )
          }, hasMarks: curve.count <= 200)
      }
    }
    let range = Self.range(of: all.flatMap { $0 })
    return study.groups.indices.compactMap { index in
      guard let last = curves[index].map(\.step).max(), last > 0 else { return nil }
      // Where the task that is learned changes: behind the last step of the one before.
      let learnt = Dictionary(grouping: curves[index], by: \.learning).mapValues { $0.map(\.step).max() ?? 0 }
      let borders = learnt.sorted { $0.key < $1.key }.dropLast().map { Double($0.value) }
      let group = study.groups[index]
      let plot = SeriesPlot(
        label: "accuracy on each task while later ones are learned: \(group.label)", xTitle: "steps",
        yTitle: "accuracy on a task, %", series: all[index], domain: 0...Double(last), range: range, borders: borders,
        size: Self.panel)
      return (group, plot.svg)
    }
  }

  private func point(_ learned: Int, _ estimate: Estimate, _ note: String) -> SeriesPlot.Point {
    SeriesPlot.Point(
      x: Double(learned), y: 100 * estimate.mean, deviation: estimate.deviation.map { 100 * $0 },
      note: note + TaskText.percent(estimate) + " %")
  }

  private func plot(
    _ series: [SeriesPlot.Series], _ label: String, yTitle: String, taskCount: Int, range: ClosedRange<Double>,
    size: (Double, Double)
  ) -> String? {
    guard series.contains(where: { !$0.points.isEmpty }) else { return nil }
    let ticks = (1...taskCount).map { PlotScale.Tick(value: Double($0), label: "\($0)") }
    // Half a task of room on both sides of few, less of many.
    let margin = min(0.3, 0.04 * Double(taskCount))
    return SeriesPlot(
      label: label, xTitle: "tasks learned", yTitle: yTitle, series: series,
      domain: 1 - margin...Double(max(taskCount, 2)) + margin, xTicks: ticks, range: range, size: size
    ).svg
  }

  private static func range(of series: [SeriesPlot.Series]) -> ClosedRange<Double> {
    SeriesPlot.range(series.flatMap { $0.points.flatMap { [$0.y - ($0.deviation ?? 0), $0.y + ($0.deviation ?? 0)] } })
  }
}
