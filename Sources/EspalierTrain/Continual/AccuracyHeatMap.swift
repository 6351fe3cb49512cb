/// An accuracy matrix as coloured cells with their figures: a row for each moment, a column for each task, and the mean
/// over the tasks learned beside them. The diagonal, where a task has just been learned, is framed; what was measured
/// before that is pale.
struct AccuracyHeatMap {
  private let group: TaskGroup
  private let view: TaskView
  private let tasks: [TaskResults.Task]
  private let moments: [Int]

  private let cell: (width: Double, height: Double)
  private let left: Double
  private let names: Int
  private static let top = 44.0, gap = 10.0, characterWidth = 6.6

  /// - Returns: nil where nothing was measured between tasks.
  init?(_ group: TaskGroup, _ view: TaskView) {
    self.group = group
    self.view = view
    tasks = group.tasks
    moments = Set(group.matrices(view).flatMap(\.moments)).sorted()
    guard !moments.isEmpty else { return nil }
    let isRepeated = group.furthest.count > 1
    switch tasks.count {
    case ...6: cell = (66, isRepeated ? 44 : 38)
    case ...10: cell = (54, isRepeated ? 40 : 32)
    default: cell = (42, 26)
    }
    let most = tasks.count > 10 ? 14 : 22
    let longest = tasks.map { min($0.name.count, most) }.max() ?? 0
    names = most
    left = 40 + max(Double(longest + 4) * Self.characterWidth, 66)
  }

  private var means: Double { left + cell.width * Double(tasks.count) + Self.gap }

  /// Of the picture at its natural size, in pixels.
  var width: Double { means + cell.width + 2 }

  /// The element.
  var svg: String {
    var parts: [String] = []
    let middle = left + cell.width * Double(tasks.count) / 2
    parts.append(Drawing.text("title", middle, 14, "accuracy on task, %", anchor: "middle"))
    parts.append(Drawing.text("title", means + cell.width / 2, 14, "mean", anchor: "middle"))
    for task in tasks.indices {
      let x = left + cell.width * (Double(task) + 0.5)
      parts.append(
        "<g><title>\(Drawing.escaped("task \(task + 1): \(tasks[task].name)"))</title>"
          + Drawing.text("tick", x, Self.top - 8, "\(task + 1)", anchor: "middle") + "</g>")
    }
    parts.append(Drawing.text("tick", means + cell.width / 2, Self.top - 8, "learned", anchor: "middle"))
    var y = Self.top
    for moment in moments {
      parts += row(moment, y)
      y += cell.height + (moment == 0 ? Self.gap : 0)
    }
    parts.append(Drawing.upright("title", 12, (Self.top + y) / 2, "after learning"))
    let label = "accuracy \(view.title): a row after each task, a column for each task"
    // Never larger than it is meant to be, however few its cells are.
    let attributes = " style=\"max-width: \(Drawing.number(width))px\""
    return Drawing.picture(width, y + 4, label: label, attributes: attributes, parts)
  }

  private func row(_ moment: Int, _ y: Double) -> [String] {
    let name = moment == 0 ? "untrained" : "\(moment): \(TaskText.short(tasks[moment - 1].name, names))"
    let whole = moment == 0 ? "the network before any training" : "task \(moment): \(tasks[moment - 1].name)"
    var parts = [
      "<g><title>\(Drawing.escaped(whole))</title>"
        + Drawing.text("tick", left - 8, y + cell.height / 2 + 4, name, anchor: "end") + "</g>"
    ]
    for task in tasks.indices {
      parts.append(entry(moment, task, left + cell.width * Double(task), y))
    }
    if moment > 0, let mean = group.estimate(view, { $0.mean(learned: moment, ofFirst: moment) }) {
      let title = "mean over the \(TaskText.count(moment, "task")) learned: \(TaskText.percent(mean)) %"
      parts.append(element("cell sum", mean, means, y, title))
    }
    return parts
  }

  private func entry(_ moment: Int, _ task: Int, _ x: Double, _ y: Double) -> String {
    let place = (moment == 0 ? "untrained" : "after task \(moment)") + ", on task \(task + 1) (\(tasks[task].name))"
    guard let estimate = group.estimate(view, { $0[learned: moment, task: task]?.fraction }) else {
      return "<g class=\"absent\"><title>\(Drawing.escaped(place)): not measured</title>"
        + rectangle("", x, y)
        + Drawing.text("absent", x + cell.width / 2, y + cell.height / 2 + 4, "·", anchor: "middle") + "</g>"
    }
    var title = "\(place): \(TaskText.percent(estimate)) %"
    if estimate.count == 1, let only = group.matrices(view).first?[learned: moment, task: task] {
      title += " (\(only.correct) of \(only.count))"
    } else {
      title += " over \(TaskText.count(estimate.count, "run"))"
    }
    return element(moment == task + 1 ? "cell own" : moment <= task ? "cell later" : "cell", estimate, x, y, title)
  }

  private func element(_ name: String, _ estimate: Estimate, _ x: Double, _ y: Double, _ title: String) -> String {
    let middle = x + cell.width / 2
    let deviation = cell.height >= 40 ? estimate.deviation : nil
    let base = y + cell.height / 2 + (deviation == nil ? 4.5 : -1)
    var parts =
      "<g class=\"\(name) \(TaskColors.shade(min(max(estimate.mean, 0), 1)))\"><title>\(Drawing.escaped(title))</title>"
      + rectangle("", x, y) + Drawing.text("figure", middle, base, TaskText.percent(estimate.mean), anchor: "middle")
    if let deviation {
      parts += Drawing.text("deviation", middle, base + 14, "± " + TaskText.percent(deviation), anchor: "middle")
    }
    return parts + "</g>"
  }

  private func rectangle(_ name: String, _ x: Double, _ y: Double) -> String {
    "<rect\(name.isEmpty ? "" : " class=\"\(name)\"") x=\"\(Drawing.number(x + 1))\" y=\"\(Drawing.number(y + 1))\" width=\"\(Drawing.number(cell.width - 2))\" height=\"\(Drawing.number(cell.height - 2))\" rx=\"3\"/>"
  }

  /// What the shades stand for.
  static var legend: String {
    let width = 150.0, step = width / Double(TaskColors.shades + 1)
    var parts = (0...TaskColors.shades).map { shade in
      "<g class=\"cell h\(shade)\"><rect x=\"\(Drawing.number(14 + step * Double(shade)))\" y=\"2\" width=\"\(Drawing.number(step + 0.4))\" height=\"10\" shape-rendering=\"crispEdges\"/></g>"
    }
    parts.append(Drawing.text("tick", 8, 11, "0", anchor: "end"))
    parts.append(Drawing.text("tick", 20 + width, 11, "100 %", anchor: "start"))
    parts.append("<g class=\"cell own h25\"><rect x=\"222\" y=\"1\" width=\"18\" height=\"12\" rx=\"3\"/></g>")
    parts.append(Drawing.text("tick", 246, 11, "just learned", anchor: "start"))
    parts.append("<g class=\"cell later h25\"><rect x=\"330\" y=\"1\" width=\"18\" height=\"12\" rx=\"3\"/></g>")
    parts.append(Drawing.text("tick", 354, 11, "not yet learned", anchor: "start"))
    return Drawing.picture(450, 14, label: "shades from 0 to 100 %", attributes: " style=\"max-width: 450px\"", parts)
  }

  static let style = """
    .cell rect { fill: var(--cell); } .cell text { fill: var(--on); } .cell text.figure { font-size: 13px; font-variant-numeric: tabular-nums; }
    text.deviation { font-size: 10px; opacity: .85; } .own rect { stroke: var(--ink); stroke-width: 2; } .own text.figure { font-weight: 600; }
    .later rect { opacity: .4; } .later text { fill: var(--ink); } .sum text.figure { font-weight: 600; }
    .absent rect { fill: none; stroke: var(--grid); stroke-dasharray: 2 3; } text.absent { fill: var(--soft); }
    """
}
