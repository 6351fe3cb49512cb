/// Elements of SVG as text. Colours and fonts are classes that a page's style sheet resolves, so one picture serves
/// light and dark.
enum Drawing {
  /// Pixels with one digit after the point.
  static func number(_ value: Double) -> String { PlotScale.text((value * 10).rounded() / 10) }

  static func escaped(_ text: String) -> String {
    text.replacing("&", with: "&amp;").replacing("<", with: "&lt;").replacing(">", with: "&gt;").replacing(
      "\"", with: "&quot;")
  }

  static func line(_ name: String, _ x1: Double, _ y1: Double, _ x2: Double, _ y2: Double) -> String {
    "<path class=\"\(name)\" d=\"M\(number(x1)) \(number(y1))L\(number(x2)) \(number(y2))\"/>"
  }

  static func text(_ name: String, _ x: Double, _ y: Double, _ text: String, anchor: String) -> String {
    "<text class=\"\(name)\" x=\"\(number(x))\" y=\"\(number(y))\" text-anchor=\"\(anchor)\">\(escaped(text))</text>"
  }

  /// A text that reads upwards.
  static func upright(_ name: String, _ x: Double, _ y: Double, _ text: String) -> String {
    "<text class=\"\(name)\" text-anchor=\"middle\" transform=\"translate(\(number(x)) \(number(y))) rotate(-90)\">\(escaped(text))</text>"
  }

  /// A picture of its own.
  /// - Parameters:
  ///   - label: for those who do not see it.
  ///   - attributes: more of them, each with a space before it.
  static func picture(
    _ width: Double, _ height: Double, label: String, attributes: String = "", _ parts: [String]
  ) -> String {
    let opening =
      "<svg viewBox=\"0 0 \(number(width)) \(number(height))\" role=\"img\" aria-label=\"\(escaped(label))\"\(attributes)>"
    return ([opening] + parts + ["</svg>"]).joined(separator: "\n")
  }
}
