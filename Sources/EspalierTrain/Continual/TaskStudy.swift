import Foundation

/// A mean over runs, and how far the runs lie around it.
package struct Estimate: Hashable, Codable, Sendable {
  package let mean: Double
  /// Sample standard deviation, over n − 1; absent for a single value.
  package let deviation: Double?
  package let count: Int

  /// - Returns: nil for no values.
  package init?(_ values: [Double]) {
    guard !values.isEmpty else { return nil }
    count = values.count
    let mean = values.reduce(0, +) / Double(values.count)
    self.mean = mean
    deviation =
      values.count < 2
      ? nil : (values.map { ($0 - mean) * ($0 - mean) }.reduce(0, +) / Double(values.count - 1)).squareRoot()
  }
}

/// A run and what it is called beside others.
package struct TaskRun: Sendable {
  package let path: String
  /// The last parts of the path, as many as tell it apart.
  package let name: String
  package let results: TaskResults
}

/// Runs of one recipe that differ in the seed alone.
package struct TaskGroup: Sendable {
  /// Tells it apart from the other groups of a study.
  package let label: String
  /// By seed.
  package let runs: [TaskRun]

  /// The runs that have come furthest: means are theirs, for a mean over runs of three and of five tasks would be
  /// neither.
  package var furthest: [TaskRun] { runs.filter { $0.results.learned == learned } }

  package var learned: Int { runs.map(\.results.learned).max() ?? 0 }
  package var tasks: [TaskResults.Task] { runs[0].results.tasks }
  package var views: [TaskView] { Set(runs.flatMap { $0.results.views.keys }).sorted() }

  /// The matrices of the furthest runs in a view.
  package func matrices(_ view: TaskView) -> [AccuracyMatrix] {
    furthest.compactMap { $0.results.views[view]?.accuracy }
  }

  package func metrics(_ view: TaskView) -> [ContinualMetrics] { matrices(view).map { ContinualMetrics($0) } }

  /// Nil unless every run of the mean has the value.
  package func estimate(_ view: TaskView, _ value: (AccuracyMatrix) -> Double?) -> Estimate? {
    let values = matrices(view).map(value)
    return values.contains(nil) ? nil : Estimate(values.compactMap { $0 })
  }

  package func estimate(_ metric: ContinualMetric, _ view: TaskView) -> Estimate? {
    estimate(view) { ContinualMetrics($0)[metric] }
  }
}

/// Runs side by side: those that differ in the seed alone are one group.
package struct TaskStudy: Sendable {
  package let groups: [TaskGroup]

  /// Settings that no result depends on, and the seed.
  private static let indifferent: Set<String> = [
    "seed", "stage", "recompute", "save", "log", "checks", "timeLimit",
  ]

  /// Reads runs.
  /// - Throws: `RunError` for a run without results that can be read.
  package init(_ paths: [String]) throws {
    self.init(try paths.map { (path: $0, results: try TaskFile.read($0)) })
  }

  package init(_ runs: [(path: String, results: TaskResults)]) {
    // A file in a run directory is called as the directory is.
    let names = RunNames.short(
      runs.map { $0.path.hasSuffix("/" + TaskFile.name) ? String($0.path.dropLast(TaskFile.name.count + 1)) : $0.path })
    var drafts: [(key: String, runs: [TaskRun])] = []
    for (index, run) in runs.enumerated() {
      let key = Self.key(run.results)
      let added = TaskRun(path: run.path, name: names[index], results: run.results)
      // A seed that a group has already is another run of something, not another draw.
      let place = drafts.firstIndex { draft in
        draft.key == key && !draft.runs.contains { $0.results.seed == run.results.seed }
      }
      if let place { drafts[place].runs.append(added) } else { drafts.append((key, [added])) }
    }
    let sorted = drafts.map { $0.runs.sorted { $0.results.seed < $1.results.seed } }
    groups = zip(Self.labels(sorted), sorted).map { TaskGroup(label: $0, runs: $1) }
  }

  /// Where the page of the study goes unless it is told: into the directory of a single run.
  package var page: String {
    guard runs.count == 1 else { return TaskPage.name }
    var isDirectory: ObjCBool = false
    let isFound = FileManager.default.fileExists(atPath: runs[0].path, isDirectory: &isDirectory)
    return isFound && isDirectory.boolValue ? runs[0].path + "/" + TaskPage.name : TaskPage.name
  }

  package var runs: [TaskRun] { groups.flatMap(\.runs) }
  package var views: [TaskView] { Set(groups.flatMap(\.views)).sorted() }

  /// What runs of one group have in common.
  private static func key(_ results: TaskResults) -> String {
    var settings = results.settings
    if case .mapping(let entries) = settings { settings = .mapping(entries.filter { !indifferent.contains($0.key) }) }
    let tasks = results.tasks.map { "\($0.name) \($0.classes)" }
    return ([results.setting, settings.canonicalJSON] + results.methods + tasks).joined(separator: "\n")
  }

  /// Names of single runs; otherwise methods, with the settings in which groups of the same methods differ.
  private static func labels(_ groups: [[TaskRun]]) -> [String] {
    if groups.allSatisfy({ $0.count == 1 }) { return groups.map { $0[0].name } }
    let methods = groups.map { $0[0].results.methods.joined(separator: " + ") }
    let labels = groups.indices.map { index in
      let alike = groups.indices.filter { methods[$0] == methods[index] }
      guard alike.count > 1 || methods[index].isEmpty else { return methods[index] }
      let settings = alike.map { SettingsChange.flat(groups[$0][0].results.settings) }
      let own = SettingsChange.flat(groups[index][0].results.settings)
      let keys = Set(settings.flatMap(\.keys)).filter { key in
        !indifferent.contains(String(key.prefix { $0 != "." })) && Set(settings.map { $0[key] }).count > 1
      }
      guard !keys.isEmpty, keys.count <= 3 else { return groups[index][0].name }
      let parts = keys.sorted().map { "\($0.split(separator: ".").last ?? "") \(own[$0] ?? "none")" }
      return ([methods[index]] + parts).filter { !$0.isEmpty }.joined(separator: ", ")
    }
    // What is still the same is told by where it lies.
    return labels.indices.map { index in
      labels.filter { $0 == labels[index] }.count > 1 ? "\(labels[index]) (\(groups[index][0].name))" : labels[index]
    }
  }
}
