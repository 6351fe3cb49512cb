import EspalierTensor
import EspalierTrain

/// Results of runs over tasks, drawn by a key.
enum SampledTasks {
  static func matrix(_ tasks: Int, key: RandomKey, counts: [Int]? = nil) -> AccuracyMatrix {
    var matrix = AccuracyMatrix(taskCount: tasks)
    for learned in 0...tasks {
      for task in 0..<tasks {
        let count = counts?[task] ?? 100 + 37 * task
        let correct = Int(key.uniform(at: UInt64(1000 * learned + task)) * Double(count + 1))
        matrix[learned: learned, task: task] = Accuracy(correct: min(correct, count), count: count)
      }
    }
    return matrix
  }

  /// A run that forgets: a task's accuracy falls by `loss` with every task after it.
  static func run(
    tasks: Int, methods: [String] = ["er"], seed: UInt64 = 1, learned: Int? = nil, forgets loss: Double = 0.1,
    views: [TaskView] = [.class, .task], name: (Int) -> String = { "\(2 * $0) \(2 * $0 + 1)" }, hasCurve: Bool = true,
    settings: SettingValue = .null
  ) -> TaskResults {
    var results = TaskResults(
      setting: "class", tasks: (0..<tasks).map { .init(name: name($0), classes: [2 * $0, 2 * $0 + 1]) },
      methods: methods, seed: seed, settings: settings)
    let key = RandomKey(seed: seed)
    for view in views {
      let floor = view == .class ? 0.0 : 0.5
      for moment in 0...(learned ?? tasks) {
        for task in 0..<tasks {
          // Rows of classes to come are not there.
          if view == .class, task >= moment { continue }
          let age = Double(moment - task - 1)
          let jitter = 0.05 * key.uniform(at: UInt64(1000 * moment + task))
          let value = age < 0 ? floor + jitter : max(0.97 - loss * age * (view == .class ? 1 : 0.2) - jitter, floor)
          results.record(
            view, learned: moment, task: task, Accuracy(correct: Int(value * 1000), count: 1000), loss: 1 - value)
        }
        guard hasCurve, moment > 0 else { continue }
        for part in 1...4 {
          for task in 0..<moment {
            let base = max(0.97 - loss * (Double(moment - task - 1) - 1 + Double(part) / 4), floor)
            let value = task == moment - 1 ? 0.97 - 0.4 / Double(part * part) : min(base, 0.97)
            results.record(
              view,
              .init(
                step: 100 * (moment - 1) + 25 * part, learning: moment - 1, task: task,
                accuracy: Accuracy(correct: Int(value * 1000), count: 1000)))
          }
        }
      }
    }
    for task in 0..<(learned ?? tasks) { results.finish(task: task, steps: 100, seconds: 1.5) }
    return results
  }
}
