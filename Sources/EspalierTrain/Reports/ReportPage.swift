import Foundation

/// report.html: loss against work, tokens and wall time, and what every phase took; one file that needs no network.
package enum ReportPage {
  /// The page of one run, or of several that lie over each other.
  package static func html(_ runs: [RunCurves]) -> String {
    let names = Self.names(runs.map(\.path))
    let plots = PlotAxis.allCases.compactMap { axis in
      LossPlot(runs, against: axis).map { "<h2>\(axis.heading)</h2>\n\($0.svg)" }
    }
    let title = runs.count == 1 ? names[0] : "\(runs.count) runs"
    return """
      <!DOCTYPE html>
      <html lang="en">
      <head>
      <meta charset="utf-8">
      <meta name="viewport" content="width=device-width, initial-scale=1">
      <title>\(LossPlot.escaped(title)) · Espalier</title>
      <style>
      \(style)
      </style>
      </head>
      <body>
      <h1>\(LossPlot.escaped(title))</h1>
      <div class="legend">
      \(legend(runs, names))
      </div>
      \(plots.joined(separator: "\n"))
      \(zip(runs, names).enumerated().map { table($1.0, $1.1, index: $0, of: runs.count) }.joined(separator: "\n"))
      <p class="note">Work is counted from the shapes of all matrix products of training steps, forward, backward and computed
      again; evaluation is not in it, nor in the wall time. Training losses are running means, begun anew at every growth. The
      plots begin at a hundredth of the longest run.</p>
      </body>
      </html>

      """
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
    do { try Data(html(runs).utf8).write(to: URL(filePath: path), options: .atomic) } catch {
      throw RunError(
        .saveFailed, subject: path, reason: "the report cannot be written (\(error.localizedDescription))",
        remedy: "free space or choose another file with --output")
    }
  }

  /// What tells paths apart: the last parts, as many as it takes.
  static func names(_ paths: [String]) -> [String] {
    let parts = paths.map { $0.split(separator: "/").map(String.init) }
    let most = parts.map(\.count).max() ?? 1
    for count in 1...max(most, 1) {
      let names = parts.map { $0.suffix(count).joined(separator: "/") }
      if Set(names).count == names.count { return names }
    }
    return paths
  }

  private static func legend(_ runs: [RunCurves], _ names: [String]) -> String {
    func entry(_ sample: String, _ text: String) -> String {
      "<span><svg viewBox=\"0 0 34 12\" width=\"34\" height=\"12\" aria-hidden=\"true\">\(sample)</svg>\(LossPlot.escaped(text))</span>"
    }
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
    func cells(_ texts: [String]) -> String {
      texts.enumerated().map { "<td\($0 == 1 ? " class=\"name\"" : "")>\(LossPlot.escaped($1))</td>" }.joined()
    }
    let body = rows.map { row in
      "<tr>"
        + cells([
          "\(row.index)", row.name, row.steps > 0 ? PlotText.grouped(row.steps) : "–",
          row.operations > 0 ? PlotText.operations(row.operations) : "–", share(row.operations, of: operations),
          String(format: "%.1f", locale: nil, row.seconds), row.loss.map(PlotText.loss) ?? "–",
          row.validationLoss.map(PlotText.loss) ?? "–",
        ]) + "</tr>"
    }
    let sum =
      "<tr class=\"sum\">"
      + cells([
        "", "all", PlotText.grouped(rows.reduce(0) { $0 + $1.steps }),
        operations > 0 ? PlotText.operations(operations) : "–", share(operations, of: operations),
        String(format: "%.1f", locale: nil, seconds), rows.last { $0.loss != nil }?.loss.map(PlotText.loss) ?? "–",
        run.validation.last.map { PlotText.loss($0.loss) } ?? "–",
      ]) + "</tr>"
    let heading = count == 1 ? "Phases" : "Phases of \(name)"
    return """
      <h2>\(LossPlot.escaped(heading))</h2>
      <div class="wide"><table>
      <thead><tr><th></th><th class="name">phase</th><th>steps</th><th>work</th><th>share</th><th>seconds</th><th>training loss at its end</th><th>validation loss</th></tr></thead>
      <tbody>
      \((body + [sum]).joined(separator: "\n"))
      </tbody>
      </table></div>
      \(growths(run))
      """
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
      return "<tr>"
        + texts.enumerated().map { "<td\($0 == 1 ? " class=\"name\"" : "")>\(LossPlot.escaped($1))</td>" }.joined()
        + "</tr>"
    }
    return """
      <div class="wide"><table>
      <thead><tr><th>step</th><th class="name">growth</th><th>parameters</th><th>loss before</th><th>after</th><th>jump</th><th>seconds</th></tr></thead>
      <tbody>
      \(rows.joined(separator: "\n"))
      </tbody>
      </table></div>
      """
  }

  private static let style = """
    :root { color-scheme: light dark; --paper: #ffffff; --ink: #1c1f24; --soft: #5c6470; --grid: #e4e7eb; --frame: #8b93a0;
      --run0: #1f6fb4; --run1: #c2500a; --run2: #2a8a4f; --run3: #9a3fa0; --run4: #b0243a; --run5: #6b6b00; }
    @media (prefers-color-scheme: dark) {
      :root { --paper: #14171b; --ink: #e6e9ed; --soft: #a0a8b4; --grid: #2a2f36; --frame: #6d7684;
        --run0: #6cb4ee; --run1: #f0955a; --run2: #69cf92; --run3: #d58fdb; --run4: #f3808f; --run5: #cfcf5a; } }
    body { background: var(--paper); color: var(--ink); font: 15px/1.5 system-ui, "Segoe UI", Helvetica, Arial, sans-serif;
      max-width: 920px; margin: 2rem auto; padding: 0 1rem; }
    h1 { font-size: 1.5rem; margin: 0 0 .6rem; } h2 { font-size: 1.05rem; margin: 2rem 0 .5rem; }
    svg { width: 100%; height: auto; display: block; } .legend svg { width: 34px; display: inline-block; margin-right: .4rem; }
    .legend { display: flex; flex-wrap: wrap; gap: .3rem 1.4rem; color: var(--soft); font-size: .9rem; }
    .legend span { display: inline-flex; align-items: center; }
    text { fill: var(--soft); font: 12px system-ui, "Segoe UI", Helvetica, Arial, sans-serif; } text.title { fill: var(--ink); }
    path { fill: none; } .grid { stroke: var(--grid); } .frame { stroke: var(--frame); }
    .border { stroke: var(--frame); stroke-dasharray: 1 4; }
    .run0 { --run: var(--run0); } .run1 { --run: var(--run1); } .run2 { --run: var(--run2); }
    .run3 { --run: var(--run3); } .run4 { --run: var(--run4); } .run5 { --run: var(--run5); }
    .curve { stroke: var(--run); stroke-width: 1.6; stroke-linejoin: round; }
    .point { fill: var(--paper); stroke: var(--run); stroke-width: 1.6; }
    .growth { stroke: var(--run); stroke-dasharray: 5 4; opacity: .75; } text.event { fill: var(--run); }
    .jump { stroke: var(--run); stroke-width: 4; opacity: .45; }
    .wide { overflow-x: auto; } table { border-collapse: collapse; width: 100%; font-size: .88rem; margin-bottom: 1rem; }
    th, td { text-align: right; padding: .3rem .6rem; border-bottom: 1px solid var(--grid); font-variant-numeric: tabular-nums; }
    th { color: var(--soft); font-weight: 600; } .name { text-align: left; } tr.sum td { font-weight: 600; }
    .note { color: var(--soft); font-size: .85rem; }
    """
}
