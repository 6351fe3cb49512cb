import Foundation

/// The losses of one or more runs against one kind of cost, as an SVG element: training smoothed as a line, validation as points,
/// growths and borders of phases as vertical lines with their names above.
///
/// Colours are classes that the page's style sheet resolves, so one picture serves light and dark.
struct LossPlot {
  private let runs: [RunCurves]
  private let axis: PlotAxis
  private let unit: (size: Double, title: String)
  private let x: PlotScale
  private let y: PlotScale
  private let top: Double
  private let labels: [Label]

  private static let width = 860.0, plotHeight = 330.0, left = 62.0, right = 18.0, bottom = 52.0
  private static let rowHeight = 16.0

  /// A growth's name above the frame.
  private struct Label {
    let run: Int
    /// Of the line, and of the middle of the text.
    let place, center: Double
    let text: String
    let row: Int
  }

  /// - Returns: nil where no run has told this cost.
  init?(_ runs: [RunCurves], against axis: PlotAxis) {
    self.runs = runs
    self.axis = axis
    let points = runs.flatMap { $0.smoothed + $0.validation }
    guard let most = points.map(axis.value).max(), most > 0 else { return nil }
    unit = axis.unit(upTo: most)
    let size = unit.size
    // The first hundredth of the longest run is a fall from chance that would hide all that follows.
    let shown = points.filter { axis.value($0) >= most / 100 }
    let first = axis.isLogarithmic ? most / 100 / size : 0
    x = PlotScale(
      first...most / size, pixels: (Self.left, Self.width - Self.right), isLogarithmic: axis.isLogarithmic)
    let losses =
      shown.map(\.loss) + runs.flatMap { $0.growths.flatMap { [$0.lossBefore, $0.lossAfter] } }.compactMap { $0 }
    let (low, high) = (losses.min() ?? 0, losses.max() ?? 1)
    let margin = max(0.04 * (high - low), 1e-4)
    labels = Self.labels(runs, axis, x, size)
    top = 12 + Self.rowHeight * Double((labels.map(\.row).max() ?? -1) + 1)
    y = PlotScale(low - margin...high + margin, pixels: (top + Self.plotHeight, top))
  }

  private var base: Double { top + Self.plotHeight }

  /// The element.
  var svg: String {
    let height = base + Self.bottom
    let clip = "clip-\(axis.rawValue)"
    let frame = PlotFrame(x: x, y: y, xTitle: unit.title, yTitle: "loss, nats a target")
    var parts = [frame.clip(clip)] + frame.elements + events
    parts.append("<g clip-path=\"url(#\(clip))\">")
    for (index, run) in runs.enumerated() { parts.append(line(run, index)) }
    for (index, run) in runs.enumerated() { parts += jumps(run, index) + validation(run, index) }
    parts.append("</g>")
    return Drawing.picture(Self.width, height, label: axis.heading, parts)
  }

  // MARK: Borders and growths

  private var events: [String] {
    var parts: [String] = []
    // Borders without a growth only where they can belong to one run.
    if runs.count == 1, let run = runs.first {
      let grown = Set(run.growths.map(\.step))
      for (before, after) in zip(run.training, run.training.dropFirst())
      where after.phase != before.phase && !grown.contains(before.step) {
        let place = x.place(max(axis.value(before) / unit.size, x.domain.lowerBound))
        parts.append(Drawing.line("border", place, top, place, base))
      }
    }
    for label in labels {
      let place = Drawing.number(label.place)
      parts.append(
        "<path class=\"growth run\(label.run % 6)\" d=\"M\(place) \(Drawing.number(base))V\(Drawing.number(top - 3))\"/>"
      )
      parts.append(
        Drawing.text(
          "event run\(label.run % 6)", label.center, top - 6 - Self.rowHeight * Double(label.row), label.text,
          anchor: "middle"))
    }
    return parts
  }

  /// The growths of all runs, each in the lowest row in which its name touches no other. Those of one step share a line.
  private static func labels(_ runs: [RunCurves], _ axis: PlotAxis, _ x: PlotScale, _ size: Double) -> [Label] {
    var ends: [Double] = []
    let all = runs.enumerated().flatMap { index, run in
      Dictionary(grouping: run.growths, by: \.step).values.compactMap { same -> (Int, Double, String)? in
        let same = same.sorted { $0.phase < $1.phase }
        guard let first = same.first, axis.value(first.place) > 0 || !axis.isLogarithmic else { return nil }
        let value = min(max(axis.value(first.place) / size, x.domain.lowerBound), x.domain.upperBound)
        return (index, x.place(value), same.map { "\($0.name) to \($0.change)" }.joined(separator: " + "))
      }
    }.sorted { ($0.1, $0.0) < ($1.1, $1.0) }
    return all.map { run, place, text in
      let half = Double(text.count) * PlotFrame.characterWidth / 2
      let center = min(max(place, left + half), width - right - half)
      let row = ends.firstIndex { $0 + 10 < center - half } ?? ends.count
      if row == ends.count { ends.append(0) }
      ends[row] = center + half
      return Label(run: run, place: place, center: center, text: text, row: row)
    }
  }

  // MARK: Curves

  private func at(_ point: RunCurves.Point) -> (Double, Double) {
    (x.place(max(axis.value(point) / unit.size, x.isLogarithmic ? .leastNormalMagnitude : 0)), y.place(point.loss))
  }

  private func line(_ run: RunCurves, _ index: Int) -> String {
    var commands = ""
    var column = -Double.infinity
    var growths = -1
    for point in run.smoothed where axis.value(point) > 0 {
      let (px, py) = at(point)
      guard px >= Self.left - 40 else { continue }
      // One point a third of a pixel is all that can be seen; both sides of a growth are kept.
      guard px - column >= 0.34 || point.growths != growths else { continue }
      commands += "\(commands.isEmpty ? "M" : "L")\(Drawing.number(px)) \(Drawing.number(py))"
      (column, growths) = (px, point.growths)
    }
    if let last = run.smoothed.last {
      let (px, py) = at(last)
      commands += "\(commands.isEmpty ? "M" : "L")\(Drawing.number(px)) \(Drawing.number(py))"
    }
    return "<path class=\"curve run\(index % 6)\" d=\"\(commands)\"/>"
  }

  private func validation(_ run: RunCurves, _ index: Int) -> [String] {
    run.validation.filter { axis.value($0) > 0 || !axis.isLogarithmic }.compactMap { point in
      let (px, py) = at(point)
      guard px >= Self.left - 4 else { return nil }
      let title = "step \(point.step): validation loss \(PlotText.loss(point.loss))"
      return
        "<circle class=\"point run\(index % 6)\" cx=\"\(Drawing.number(px))\" cy=\"\(Drawing.number(py))\" r=\"3.4\"><title>\(title)</title></circle>"
    }
  }

  /// A bar from the loss before a growth to that after it.
  private func jumps(_ run: RunCurves, _ index: Int) -> [String] {
    run.growths.compactMap { growth in
      guard let before = growth.lossBefore, let after = growth.lossAfter, before.isFinite, after.isFinite else {
        return nil
      }
      let (px, _) = at(growth.place)
      let title = "step \(growth.step): \(PlotText.loss(before)) before, \(PlotText.loss(after)) after"
      return
        "<path class=\"jump run\(index % 6)\" d=\"M\(Drawing.number(px)) \(Drawing.number(y.place(before)))V\(Drawing.number(y.place(after)))\"><title>\(title)</title></path>"
    }
  }
}

/// Numbers of a report as text.
enum PlotText {
  static func loss(_ value: Double) -> String { String(format: "%.4f", locale: nil, value) }

  /// Three digits and a unit: "12.3 TFLOP".
  static func operations(_ value: Double) -> String {
    let (size, title) = PlotAxis.operations.unit(upTo: value)
    let unit = title.split(separator: ",").dropFirst().first.map { $0.trimmingCharacters(in: .whitespaces) } ?? "FLOP"
    return String(format: "%.3g", locale: nil, value / size) + " " + unit
  }

  static func grouped(_ value: Int) -> String {
    var text = String(value), result = ""
    while text.count > 3 {
      result = "," + text.suffix(3) + result
      text.removeLast(3)
    }
    return text + result
  }
}
