import Foundation

/// Results of runs as CSV (RFC 4180, with line feeds): one line for each moment, task and view that was measured.
package enum TaskTable {
  package static let heading = [
    "run", "setting", "methods", "seed", "view", "learned", "task", "name", "correct", "count", "accuracy", "loss",
  ]

  /// `learned` counts tasks (0 is the untrained network), `task` counts from 1, `accuracy` is a fraction.
  package static func csv(_ runs: [(name: String, results: TaskResults)]) -> String {
    var lines = [heading]
    for (name, results) in runs {
      for (view, measured) in results.views.sorted(by: { $0.key < $1.key }) {
        for learned in measured.accuracy.moments {
          for (task, description) in results.tasks.enumerated() {
            guard let entry = measured.accuracy[learned: learned, task: task] else { continue }
            lines.append([
              name, results.setting, results.methods.joined(separator: "+"), String(results.seed), view.rawValue,
              String(learned), String(task + 1), description.name, String(entry.correct), String(entry.count),
              "\(entry.fraction)", measured.losses[learned: learned, task: task].map { "\($0)" } ?? "",
            ])
          }
        }
      }
    }
    return lines.map { $0.map(field).joined(separator: ",") + "\n" }.joined()
  }

  /// - Throws: `RunError` for a file that cannot be written; what was there stays.
  package static func write(_ runs: [(name: String, results: TaskResults)], to path: String) throws {
    try WrittenFile.write(csv(runs), to: path, what: "the table", option: "--csv")
  }

  private static func field(_ text: String) -> String {
    guard text.contains(where: { ",\"\n\r".contains($0) || $0 == "\r\n" }) else { return text }
    return "\"" + text.replacing("\"", with: "\"\"") + "\""
  }
}
