/// The colours of pictures of tasks, as rules of a style sheet for light and dark.
enum TaskColors {
  /// Shades between 0 and 100 %.
  static let shades = 50

  /// The class of a cell: `h0` to `h50`.
  static func shade(_ fraction: Double) -> String { "h\(Int((fraction * Double(shades)).rounded()))" }

  /// `--cell` and `--on` (what can be read on it) for every shade, `--run` for the curve of every task.
  static func rules(taskCount: Int) -> String {
    let light = (0...shades).map { heat(Double($0) / Double(shades), isDark: false) }
    let dark = (0...shades).map { heat(Double($0) / Double(shades), isDark: true) }
    let tasks = (0..<taskCount).map { task($0, of: taskCount, isDark: false) }
    let darkTasks = (0..<taskCount).map { task($0, of: taskCount, isDark: true) }
    return
      (cells(light) + curves(tasks) + ["@media (prefers-color-scheme: dark) {"] + cells(dark) + curves(darkTasks) + [
        "}"
      ])
      .joined(separator: "\n")
  }

  /// From the paper's own shade to a strong blue: what is forgotten fades into the page.
  static func heat(_ fraction: Double, isDark: Bool) -> PlotColor {
    isDark
      ? PlotColor(
        lightness: 0.255 + 0.61 * fraction, chroma: 0.018 + 0.34 * fraction * (1.17 - fraction),
        hue: 264 - 44 * fraction)
      : PlotColor(
        lightness: 0.965 - 0.56 * fraction, chroma: 0.010 + 0.16 * fraction * (1.25 - 0.5 * fraction),
        hue: 238 + 20 * fraction)
  }

  /// The order of learning as an order of hues, blue to red.
  static func task(_ task: Int, of count: Int, isDark: Bool) -> PlotColor {
    let place = count > 1 ? Double(task) / Double(count - 1) : 0
    // Neighbours of many tasks are told apart by lightness too.
    let step = count > 8 && task % 2 == 1 ? 0.09 : 0
    return PlotColor(
      lightness: isDark ? 0.80 - step : 0.52 + step, chroma: isDark ? 0.13 : 0.16, hue: 258 - 232 * place)
  }

  /// Black and white: one of them has a contrast of 4.5 to any colour.
  private static let inks = [PlotColor(lightness: 0, chroma: 0, hue: 0), PlotColor(lightness: 1, chroma: 0, hue: 0)]

  private static func cells(_ colors: [PlotColor]) -> [String] {
    colors.enumerated().map { shade, color in
      let on = inks[0].contrast(to: color) > inks[1].contrast(to: color) ? inks[0] : inks[1]
      return ".h\(shade) { --cell: \(color.hexadecimal); --on: \(on.hexadecimal); }"
    }
  }

  private static func curves(_ colors: [PlotColor]) -> [String] {
    colors.enumerated().map { ".task\($0) { --run: \($1.hexadecimal); }" }
  }
}
