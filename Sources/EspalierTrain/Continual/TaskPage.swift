import Foundation

/// tasks.html: what was learned of every task and what became of it, of one run or of several side by side; one file
/// that needs no network.
package enum TaskPage {
  package static let name = "tasks.html"

  package static func html(_ study: TaskStudy) -> String {
    let groups = study.groups
    let title =
      groups.count <= 3 ? groups.map(\.label).joined(separator: ", ") : "\(groups.count) kinds of runs over tasks"
    var body = ["<h1>\(Drawing.escaped(title))</h1>", introduction(study)]
    for view in study.views { body += section(study, view) }
    if study.views.isEmpty { body.append("<p>No task has been measured yet.</p>") }
    body += [measures(study), tasks(study), runs(study), note(study)].filter { !$0.isEmpty }
    let most = groups.map(\.tasks.count).max() ?? 0
    let rules = [AccuracyHeatMap.style, SeriesPlot.style, style, TaskColors.rules(taskCount: most)]
    return HTMLPage.document(title: title, style: rules.joined(separator: "\n"), body)
  }

  /// Writes the page of one run into its directory.
  /// - Returns: the path of the file.
  package static func write(run: String) throws -> String {
    let path = run + "/" + name
    try write(try TaskStudy([run]), to: path)
    return path
  }

  /// - Throws: `RunError` for a file that cannot be written; what was there stays.
  package static func write(_ study: TaskStudy, to path: String) throws {
    try WrittenFile.write(html(study), to: path, what: "the page", option: "--output")
  }

  // MARK: What is compared

  private static func introduction(_ study: TaskStudy) -> String {
    let groups = study.groups
    func about(_ group: TaskGroup) -> String {
      let learned = TaskText.progress(group.learned, of: group.tasks.count)
      return [group.runs[0].results.summary, group.runs.count > 1 ? "\(group.runs.count) seeds" : "", learned]
        .filter { !$0.isEmpty }.joined(separator: ", ")
    }
    guard groups.count > 1 else { return "<p class=\"about\">\(Drawing.escaped(about(groups[0])))</p>" }
    let entries = groups.enumerated().map { index, group in
      HTMLPage.legendEntry(
        "<path class=\"curve \(TaskPlots.style(index))\" d=\"M1 6H33\"/>", "\(group.label): \(about(group))")
    }
    return "<div class=\"legend\">\n\(entries.joined(separator: "\n"))\n</div>"
  }

  // MARK: One view

  private static func section(_ study: TaskStudy, _ view: TaskView) -> [String] {
    let groups = study.groups.filter { $0.views.contains(view) }
    let plots = TaskPlots(study: study, view: view)
    let isCompared = study.groups.count > 1
    let width = TaskPlots.panel.width
    var pictures: [(heading: String, figures: [Figure])] = [
      (
        "Every task after every task",
        groups.compactMap { group in
          AccuracyHeatMap(group, view).map { map in
            // What the shades mean is said once, below the last.
            let legend =
              group.label == groups.last?.label ? "\n<div class=\"shades\">\(AccuracyHeatMap.legend)</div>" : ""
            return Figure(group: group, svg: map.svg + legend, width: map.width)
          }
        }
      ), ("What is forgotten", plots.retention.map { Figure(group: $0.group, svg: $0.svg, width: width) }),
    ]
    if let average = plots.average {
      pictures.append(
        (
          "Mean over the tasks learned",
          [Figure(group: nil, svg: average, width: width)]
        ))
    }
    pictures.append(
      ("Within the tasks", plots.learning.map { Figure(group: $0.group, svg: $0.svg, width: width) }))
    pictures.removeAll { $0.figures.isEmpty }
    var parts = ["<h2>Accuracy \(Drawing.escaped(view.title))</h2>"]
    if isCompared {
      // A heading for each kind of picture, with the groups beside each other.
      for (heading, figures) in pictures {
        parts.append("<h3>\(heading)</h3>")
        parts.append(panels(figures.map { $0.html(heading: caption($0.group, study)) }))
      }
    } else {
      parts.append(
        panels(pictures.flatMap { picture in picture.figures.map { $0.html(heading: "<h3>\(picture.heading)</h3>") } }))
    }
    return parts
  }

  /// A picture on the page, no wider than it is meant to be.
  private struct Figure {
    /// Nil for a picture of all.
    let group: TaskGroup?
    let svg: String
    let width: Double

    func html(heading: String) -> String {
      let parts = [heading, svg].filter { !$0.isEmpty }.joined(separator: "\n")
      return "<figure style=\"flex: 1 1 \(Int(width))px; max-width: \(Int(width))px\">\n\(parts)\n</figure>"
    }
  }

  private static func panels(_ figures: [String]) -> String {
    "<div class=\"panels\">\n\(figures.joined(separator: "\n"))\n</div>"
  }

  private static func caption(_ group: TaskGroup?, _ study: TaskStudy) -> String {
    guard let group else { return "" }
    let index = study.groups.firstIndex { $0.label == group.label } ?? 0
    return "<figcaption class=\"\(TaskPlots.style(index))\">\(Drawing.escaped(group.label))</figcaption>"
  }

  // MARK: Tables

  private static func measures(_ study: TaskStudy) -> String {
    let columns = study.views.flatMap { view in
      study.groups.filter { $0.views.contains(view) }.map { (group: $0, view: view) }
    }
    guard !columns.isEmpty else { return "" }
    let rows = ContinualMetric.allCases.map { metric in
      let values = columns.map { TaskText.percent($0.group.estimate(metric, $0.view)).replacing("-", with: "−") }
      let cells = values.map { "<td>\($0)</td>" }.joined()
      return
        "<tr><td class=\"name\">\(metric.title)</td>\(cells)<td class=\"name how\">\(Drawing.escaped(metric.formula))<small>\(Drawing.escaped(metric.source))</small></td></tr>"
    }
    let names = columns.map { group, view in
      let parts = [study.groups.count > 1 ? group.label : "", study.views.count > 1 ? view.title : ""]
      return parts.filter { !$0.isEmpty }.joined(separator: ", ")
    }
    let heading = ["measure, %"] + names + ["how it is computed, and by whom"]
    return "<h2>Measures</h2>\n" + HTMLPage.table(heading, rows, names: [0, heading.count - 1])
  }

  private static func tasks(_ study: TaskStudy) -> String {
    // Groups may have other tasks; each kind of sequence has a table.
    let sequences = Dictionary(grouping: study.groups) { $0.tasks.map { "\($0.name) \($0.classes)" } }.values
      .sorted { $0[0].label < $1[0].label }
    return sequences.map { groups in
      let views = Set(groups.flatMap(\.views)).sorted()
      var heading = ["", "task", "classes"]
      for group in groups {
        let name = groups.count > 1 ? "\(group.label): " : ""
        for view in views {
          let kind = views.count > 1 ? " (\(view.rawValue))" : ""
          heading += ["\(name)when learned\(kind)", "at the end\(kind)"]
        }
        if groups.count == 1 { heading += ["steps", "seconds"] }
      }
      let rows = groups[0].tasks.enumerated().map { task, description in
        var cells = ["\(task + 1)", description.name, TaskText.classes(description.classes)]
        for group in groups {
          for view in views {
            cells.append(TaskText.percent(group.estimate(view, { $0[learned: task + 1, task: task]?.fraction })))
            cells.append(
              TaskText.percent(
                group.learned > task ? group.estimate(view, { $0[learned: group.learned, task: task]?.fraction }) : nil)
            )
          }
          if groups.count == 1 {
            let own = group.furthest.map { $0.results.tasks[task] }
            cells.append(fixed(Estimate(own.compactMap { $0.steps.map(Double.init) })?.mean, 0))
            cells.append(fixed(Estimate(own.compactMap(\.seconds))?.mean, 1))
          }
        }
        return HTMLPage.row(cells, names: [1, 2])
      }
      let title = sequences.count > 1 ? "Tasks of \(groups.map(\.label).joined(separator: ", "))" : "Tasks"
      return "<h2>\(Drawing.escaped(title))</h2>\n" + HTMLPage.table(heading, rows, names: [1, 2])
    }.joined(separator: "\n")
  }

  private static func runs(_ study: TaskStudy) -> String {
    guard study.runs.count > 1 else { return "" }
    let names: Set = [0, 1]
    let rows = study.groups.flatMap { group in
      group.runs.map { run in
        let results = run.results
        let metrics = study.views.flatMap { view -> [String] in
          let metrics = results.views[view].map { ContinualMetrics($0.accuracy) }
          return [TaskText.percent(metrics?[.finalAccuracy]), TaskText.percent(metrics?[.forgetting])]
        }
        let seconds = results.tasks.compactMap(\.seconds)
        return HTMLPage.row(
          [group.label, run.path, "\(results.seed)", "\(results.learned) of \(results.tasks.count)"] + metrics + [
            fixed(seconds.isEmpty ? nil : seconds.reduce(0, +), 1)
          ], names: names)
      }
    }
    let measures = study.views.flatMap { view in
      let kind = study.views.count > 1 ? " (\(view.rawValue))" : ""
      return ["final accuracy\(kind)", "forgetting\(kind)"]
    }
    return "<h2>Runs</h2>\n"
      + HTMLPage.table(["", "run", "seed", "tasks"] + measures + ["seconds"], rows, names: names)
  }

  private static func fixed(_ value: Double?, _ digits: Int) -> String {
    value.map { String(format: "%.\(digits)f", locale: nil, $0) } ?? "–"
  }

  private static func note(_ study: TaskStudy) -> String {
    var sentences = [
      "All figures are percent of test samples. T tasks are learned; a(i, j) is the accuracy on task j after task i, a(0, j) that of the untrained network. A dash stands for what cannot be computed from what was measured."
    ]
    if study.groups.contains(where: { $0.runs.count > 1 }) {
      sentences.append("± is the sample standard deviation over runs that differ in the seed alone.")
    }
    if study.groups.contains(where: {
      $0.runs.count > 1 && $0.runs[0].results.views.values.contains { !$0.curve.isEmpty }
    }) {
      sentences.append("Curves within the tasks are those of the lowest seed.")
    }
    for group in study.groups where group.furthest.count < group.runs.count {
      sentences.append(
        "Means of \(group.label) are those of the \(TaskText.count(group.furthest.count, "run")) that have learned \(TaskText.count(group.learned, "task")); \(group.runs.count - group.furthest.count) more have learned fewer."
      )
    }
    return "<p class=\"note\">\(Drawing.escaped(sentences.joined(separator: " ")))</p>"
  }

  private static let style = """
    body { max-width: 1240px; } h2 { font-size: 1.25rem; margin: 2.6rem 0 .4rem; } h3 { font-size: 1rem; margin: 1.6rem 0 .5rem; color: var(--soft); }
    .about { color: var(--soft); margin: 0; } .panels { display: flex; flex-wrap: wrap; gap: 1.2rem 2rem; align-items: flex-start; }
    figure { margin: 0; min-width: min(100%, 320px); } figcaption { color: var(--run); font-weight: 600; margin: 0 0 .3rem; }
    figure h3 { margin-top: .6rem; } .shades { margin: .6rem 0 0; } h2 + h3 { margin-top: .6rem; }
    td.how { min-width: 20rem; max-width: 34rem; } th { vertical-align: bottom; } td small { display: block; color: var(--soft); } tbody tr td { vertical-align: top; } td:not(.name) { white-space: nowrap; }
    """
}
