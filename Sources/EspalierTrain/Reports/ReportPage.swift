import Foundation

/// report.html: loss against work, tokens and wall time, and what every phase took; one file that needs no network.
package enum ReportPage {
  /// The page of one run, or of several that lie over each other.
  package static func html(_ runs: [RunCurves]) -> String {
    let names = RunNames.short(runs.map(\.path))
    let plots = PlotAxis.allCases.compactMap { axis in
      LossPlot(runs, against: axis).map { "<h2>\(axis.heading)</h2>\n\($0.svg)" }
    }
    let title = runs.count == 1 ? names[0] : "\(runs.count) runs"
    let note = """
      <p class="note">Work is counted from the shapes of all matrix products of training steps, forward, backward and computed
      again; evaluation is not in it, nor in the wall time. Training losses are running means, begun anew at every growth. The
      plots begin at a hundredth of the longest run.</p>
      """
    let tables = zip(runs, names).enumerated().map { table($1.0, $1.1, index: $0, of: runs.count) }
    return HTMLPage.document(
      title: title,
      ["<h1>\(Drawing.escaped(title))</h1>", "<div class=\"legend\">\n\(legend(runs, names))\n</div>"] + plots + tables
        + [note])
  }

  /// Writes the report of one run into its directory.
  /// - Returns: the path of the file.
  package static func write(run: String) throws -> String {
    let path = run + "/report.html"
    try write([try RunCurves(run: run)], to: path)
    return path
  }

  /// - Throws: `RunError` for a file that cannot be written; what was there stays.
  package static func write(_ runs: [RunCurves], to path: String) throws {
    try WrittenFile.write(html(runs), to: path, what: "the report", option: "--output")
  }

  private static func legend(_ runs: [RunCurves], _ names: [String]) -> String {
    let entry = HTMLPage.legendEntry
    func curve(_ run: Int) -> String { "<path class=\"curve run\(run % 6)\" d=\"M1 6H33\"/>" }
    var entries =
      runs.count == 1
      ? [entry(curve(0), "training, smoothed")] : names.enumerated().map { entry(curve($0), $1) }
    if runs.contains(where: { !$0.validation.isEmpty }) {
      entries.append(entry("<circle class=\"point run0\" cx=\"17\" cy=\"6\" r=\"3.4\"/>", "validation"))
    }
    if runs.contains(where: { !$0.growths.isEmpty }) {
      entries.append(entry("<path class=\"growth run0\" d=\"M17 0V12\"/>", "growth"))
    }
    if runs.count == 1, Set(runs[0].training.map(\.phase)).count > runs[0].growths.count + 1 {
      entries.append(entry("<path class=\"border\" d=\"M17 0V12\"/>", "border of phases"))
    }
    return entries.joined(separator: "\n")
  }

  private static func table(_ run: RunCurves, _ name: String, index: Int, of count: Int) -> String {
    let rows = run.phases
    let operations = rows.reduce(0) { $0 + $1.operations }, seconds = rows.reduce(0) { $0 + $1.seconds }
    func share(_ part: Double, of whole: Double) -> String {
      whole > 0 ? String(format: "%.1f %%", locale: nil, 100 * part / whole) : "–"
    }
    let names: Set = [1]
    let body = rows.map { row in
      HTMLPage.row(
        [
          "\(row.index)", row.name, row.steps > 0 ? PlotText.grouped(row.steps) : "–",
          row.operations > 0 ? PlotText.operations(row.operations) : "–", share(row.operations, of: operations),
          String(format: "%.1f", locale: nil, row.seconds), row.loss.map(PlotText.loss) ?? "–",
          row.validationLoss.map(PlotText.loss) ?? "–",
        ], names: names)
    }
    let sum = HTMLPage.row(
      [
        "", "all", PlotText.grouped(rows.reduce(0) { $0 + $1.steps }),
        operations > 0 ? PlotText.operations(operations) : "–", share(operations, of: operations),
        String(format: "%.1f", locale: nil, seconds), rows.last { $0.loss != nil }?.loss.map(PlotText.loss) ?? "–",
        run.validation.last.map { PlotText.loss($0.loss) } ?? "–",
      ], names: names, kind: "sum")
    let heading = count == 1 ? "Phases" : "Phases of \(name)"
    let columns = ["", "phase", "steps", "work", "share", "seconds", "training loss at its end", "validation loss"]
    let phases = HTMLPage.table(columns, body + [sum], names: names)
    return ["<h2>\(Drawing.escaped(heading))</h2>", phases, growths(run)].joined(separator: "\n")
  }

  private static func growths(_ run: RunCurves) -> String {
    guard !run.growths.isEmpty else { return "" }
    let rows = run.growths.map { growth in
      let jump =
        if let before = growth.lossBefore, let after = growth.lossAfter {
          [PlotText.loss(before), PlotText.loss(after), String(format: "%+.4f", locale: nil, after - before)]
        } else { ["–", "–", "–"] }
      let texts =
        [
          PlotText.grouped(growth.step), "\(growth.name) to \(growth.change)",
          "\(PlotText.grouped(growth.parametersBefore)) → \(PlotText.grouped(growth.parametersAfter))",
        ] + jump + [String(format: "%.2f", locale: nil, growth.seconds)]
      return HTMLPage.row(texts, names: [1])
    }
    return HTMLPage.table(
      ["step", "growth", "parameters", "loss before", "after", "jump", "seconds"], rows, names: [1])
  }
}
