import Foundation

/// Figures of tasks as text: percent with one digit after the point.
package enum TaskText {
  /// "83.4", "-9.2"; "–" where there is none.
  package static func percent(_ fraction: Double?) -> String {
    guard let fraction else { return "–" }
    let text = String(format: "%.1f", locale: nil, 100 * fraction)
    return text == "-0.0" ? "0.0" : text
  }

  /// "83.4 ± 0.5"; "83.4" for a single run.
  package static func percent(_ estimate: Estimate?) -> String {
    guard let estimate else { return "–" }
    return percent(estimate.mean) + (estimate.deviation.map { " ± " + percent($0) } ?? "")
  }

  /// "2 tasks"
  package static func count(_ number: Int, _ noun: String) -> String { "\(number) \(noun)\(number == 1 ? "" : "s")" }

  /// No longer than so many characters, with "…" for what is left out.
  package static func short(_ text: String, _ most: Int) -> String {
    text.count <= most ? text : text.prefix(most - 1).trimmingCharacters(in: .whitespaces) + "…"
  }

  /// "0 1 2", "3 4 5 6 … (10 classes)".
  package static func classes(_ classes: [Int]) -> String {
    if classes.count <= 10 { return classes.map(String.init).joined(separator: " ") }
    return classes.prefix(6).map(String.init).joined(separator: " ") + " … (\(classes.count) classes)"
  }

  /// "after 3 of 5 tasks"; empty for a run that has learned all.
  package static func progress(_ learned: Int, of count: Int) -> String {
    learned < count ? "after \(learned) of \(count) tasks" : ""
  }
}
