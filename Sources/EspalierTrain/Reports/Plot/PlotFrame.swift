/// The two axes of a plot with their names, ticks and grid. The pixels of the scales are the edges of the paper.
struct PlotFrame {
  let x: PlotScale
  let y: PlotScale
  let xTitle: String
  let yTitle: String
  /// Named ticks of the horizontal axis; nil for those of the scale.
  var xTicks: [PlotScale.Tick]?

  static let characterWidth = 6.3

  private var left: Double { x.pixels.0 }
  private var end: Double { x.pixels.1 }
  private var base: Double { y.pixels.0 }
  private var top: Double { y.pixels.1 }

  var elements: [String] {
    var parts: [String] = []
    for tick in y.ticks(room: { _ in 22 }) {
      let place = y.place(tick.value)
      parts.append(Drawing.line("grid", left, place, end, place))
      if !tick.label.isEmpty { parts.append(Drawing.text("tick", left - 8, place + 4, tick.label, anchor: "end")) }
    }
    for tick in xTicks ?? x.ticks(room: { Double($0) * Self.characterWidth + 14 }) {
      let place = x.place(tick.value)
      if !tick.label.isEmpty {
        parts.append(Drawing.line("grid", place, top, place, base))
        parts.append(Drawing.text("tick", place, base + 20, tick.label, anchor: "middle"))
      }
      parts.append(Drawing.line("frame", place, base, place, base + (tick.label.isEmpty ? 3 : 6)))
    }
    parts.append(Drawing.line("frame", left, base, end, base))
    parts.append(Drawing.line("frame", left, top, left, base))
    parts.append(Drawing.text("title", (left + end) / 2, base + 42, xTitle, anchor: "middle"))
    parts.append(Drawing.upright("title", 15, (top + base) / 2, yTitle))
    return parts
  }

  /// Lets nothing out of the paper, nor of its left and right neighbourhood.
  func clip(_ name: String) -> String {
    "<clipPath id=\"\(name)\"><rect x=\"\(Drawing.number(left))\" y=\"\(Drawing.number(top))\" width=\"\(Drawing.number(end - left))\" height=\"\(Drawing.number(base - top))\"/></clipPath>"
  }
}
