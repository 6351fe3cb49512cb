/// What `espalier tasks --json` prints: every run with its matrices and measures, and the means over runs that differ
/// in the seed alone.
///
/// Accuracies and measures are fractions.
package struct TaskReport: Encodable {
  package struct Run: Encodable {
    let path: String
    let seed: UInt64
    let learned: Int
    let results: TaskResults
    let metrics: [TaskView: ContinualMetrics]
  }

  package struct Group: Encodable {
    let label: String
    let setting: String
    let methods: [String]
    let runs: [Run]
    /// Over the runs that have come furthest.
    let means: [TaskView: [ContinualMetric: Estimate]]
  }

  package let groups: [Group]

  package init(_ study: TaskStudy) {
    groups = study.groups.map { group in
      let means = group.views.map { view in
        (view, ContinualMetric.allCases.compactMap { metric in group.estimate(metric, view).map { (metric, $0) } })
      }
      return Group(
        label: group.label, setting: group.runs[0].results.setting, methods: group.runs[0].results.methods,
        runs: group.runs.map { run in
          Run(
            path: run.path, seed: run.results.seed, learned: run.results.learned, results: run.results,
            metrics: run.results.views.mapValues { ContinualMetrics($0.accuracy) })
        },
        means: Dictionary(uniqueKeysWithValues: means.map { ($0, Dictionary(uniqueKeysWithValues: $1)) }))
    }
  }
}
