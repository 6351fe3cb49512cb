/// A few named curves over a common axis, in percent, each with its name at its end; a band shows how far runs lie
/// around a mean.
struct SeriesPlot {
  struct Point {
    let x: Double
    /// Percent, as everything vertical.
    let y: Double
    var deviation: Double?
    /// For those who point at it.
    let note: String
  }

  struct Series {
    let name: String
    /// Classes that give it a colour, as "run0".
    let style: String
    let points: [Point]
    /// Whether every point is marked.
    var hasMarks = true
  }

  let label: String
  let xTitle: String
  let yTitle: String
  let series: [Series]
  /// The ends of the horizontal axis.
  let domain: ClosedRange<Double>
  var xTicks: [PlotScale.Tick]?
  let range: ClosedRange<Double>
  /// Where something changes.
  var borders: [Double] = []
  var size = (width: 860.0, height: 380.0)

  private static let left = 62.0, top = 12.0, bottom = 52.0, nameHeight = 13.0

  /// Round ends around values in percent, no narrower than 20.
  static func range(_ values: [Double]) -> ClosedRange<Double> {
    let low = max(((((values.min() ?? 0) - 4) / 10).rounded(.down)) * 10, 0)
    let high = min((((values.max() ?? 100) + 2) / 10).rounded(.up) * 10, 100)
    return high - low >= 20 ? low...high : min(low, 80)...max(high, min(low, 80) + 20)
  }

  /// The element.
  var svg: String {
    let named = series.filter { !$0.points.isEmpty }
    let longest = named.map(\.name.count).max() ?? 0
    let right = longest == 0 ? 18 : 28 + Double(longest) * PlotFrame.characterWidth
    let x = PlotScale(domain, pixels: (Self.left, size.width - right))
    let y = PlotScale(range, pixels: (size.height - Self.bottom, Self.top))
    var parts = PlotFrame(x: x, y: y, xTitle: xTitle, yTitle: yTitle, xTicks: xTicks).elements
    parts += borders.map { Drawing.line("border", x.place($0), Self.top, x.place($0), y.pixels.0) }
    parts += named.compactMap { band($0, x, y) }
    for one in named {
      let path = one.points.enumerated().map { index, point in
        "\(index == 0 ? "M" : "L")\(Drawing.number(x.place(point.x))) \(Drawing.number(y.place(point.y)))"
      }
      if path.count > 1 { parts.append("<path class=\"curve \(one.style)\" d=\"\(path.joined())\"/>") }
    }
    for one in named {
      for point in one.points where one.hasMarks || one.points.count == 1 {
        parts.append(
          "<circle class=\"point \(one.style)\" cx=\"\(Drawing.number(x.place(point.x)))\" cy=\"\(Drawing.number(y.place(point.y)))\" r=\"3.2\"><title>\(Drawing.escaped(point.note))</title></circle>"
        )
      }
    }
    return Drawing.picture(size.width, size.height, label: label, parts + names(named, x, y))
  }

  private func band(_ series: Series, _ x: PlotScale, _ y: PlotScale) -> String? {
    let points = series.points.compactMap { point in
      point.deviation.map { deviation in (x: point.x, low: point.y - deviation, high: point.y + deviation) }
    }
    guard points.count == series.points.count, points.count > 1 else { return nil }
    func place(_ value: Double) -> String {
      Drawing.number(y.place(min(max(value, range.lowerBound), range.upperBound)))
    }
    let upper = points.map { "\(Drawing.number(x.place($0.x))) \(place($0.high))" }
    let lower = points.reversed().map { "\(Drawing.number(x.place($0.x))) \(place($0.low))" }
    return "<path class=\"band \(series.style)\" d=\"M\((upper + lower).joined(separator: "L"))Z\"/>"
  }

  /// Names beside the ends of their curves, moved apart where they would touch, with a line to where they belong.
  private func names(_ named: [Series], _ x: PlotScale, _ y: PlotScale) -> [String] {
    // Every so many of more curves than there is room to name.
    let every = (Double(named.count) * Self.nameHeight / (y.pixels.0 - Self.top)).rounded(.up)
    let ends = named.enumerated().filter { $0.offset % max(Int(every), 1) == 0 && !$0.element.name.isEmpty }
      .compactMap { _, one in one.points.last.map { (one: one, x: x.place($0.x), y: y.place($0.y)) } }
      .sorted { $0.y < $1.y }
    var places: [Double] = []
    for end in ends { places.append(max(end.y, (places.last ?? -.infinity) + Self.nameHeight)) }
    // Back up from the lower edge where they have run over it.
    var lowest = y.pixels.0
    for index in places.indices.reversed() {
      places[index] = min(places[index], lowest)
      lowest = places[index] - Self.nameHeight
    }
    let edge = x.pixels.1
    return zip(ends, places).flatMap { end, place in
      let style = end.one.style
      var parts = [Drawing.text("event \(style)", edge + 16, place + 4, end.one.name, anchor: "start")]
      if abs(place - end.y) > 3 || edge - end.x > 1 {
        parts.append(
          "<path class=\"leader \(style)\" d=\"M\(Drawing.number(end.x + 5)) \(Drawing.number(end.y))L\(Drawing.number(max(edge + 4, end.x + 5))) \(Drawing.number(end.y))L\(Drawing.number(edge + 13)) \(Drawing.number(place))\"/>"
        )
      }
      return parts
    }
  }

  static let style = """
    .band { fill: var(--run); opacity: .16; } .leader { stroke: var(--run); stroke-width: .8; opacity: .6; }
    .dash1 { stroke-dasharray: 7 4; } .dash2 { stroke-dasharray: 2 3; } circle.dash1, circle.dash2, text.dash1, text.dash2 { stroke-dasharray: none; }
    """
}
