import EspalierTesting
import EspalierTrain
import Foundation
import Testing

/// `espalier tasks` on results that stand in run directories.
@Suite struct CommandLineTasksTests {
  /// Two tasks: 90 % then 60 % on the first, 80 % on the second; a chance of 10 % before. A seed adds as many samples to each.
  private func write(_ run: String, in folder: String, method: String = "er", seed: UInt64, learned: Int = 2) throws {
    var results = TaskResults(
      setting: "class", tasks: [.init(name: "0 1", classes: [0, 1]), .init(name: "2 3", classes: [2, 3])],
      methods: [method], seed: seed)
    let rows = [[10, 10], [90, 12], [60, 80]]
    for (moment, row) in rows.enumerated() where moment <= learned {
      for (task, correct) in row.enumerated() {
        results.record(.task, learned: moment, task: task, Accuracy(correct: correct + Int(seed), count: 100))
      }
    }
    try FileManager.default.createDirectory(atPath: folder + "/" + run, withIntermediateDirectories: true)
    try TaskFile.write(results, run: folder + "/" + run)
  }

  @Test("one run prints its matrix and measures, and its page lies in its directory")
  func single() throws {
    try Runs.inTemporaryDirectory { folder in
      try write("runs/a", in: folder, seed: 0)
      let outcome = try Command.run(["tasks", "runs/a"], in: folder)
      #expect(
        outcome.output == """
          runs/a: class-incremental, 2 tasks, er, seed 0

          accuracy among the classes of the task, %
          after task     1     2  mean
          untrained   10.0  10.0
          1: 0 1      90.0  12.0  90.0
          2: 2 3      60.0  80.0  70.0

          measures among the classes of the task
          measure, %                         value
          final average accuracy              70.0  mean of a(T, j)
          final accuracy, pooled              70.0  right answers over samples of all tasks, after task T
          averaged accuracy                   80.0  mean over i of the mean of a(i, j), j ≤ i
          averaged accuracy, pooled           80.0  mean over i of right answers over samples of tasks 1 to i
          learning accuracy                   85.0  mean of a(j, j)
          backward transfer                  -30.0  sum over j < T of a(T, j) − a(j, j), divided by T − 1
          backward transfer, over all tasks  -15.0  the same sum, divided by T
          forgetting                          30.0  mean over j < T of max a(i, j) − a(T, j), j ≤ i ≤ T; never negative
          forgetting, peak before the end     30.0  the same with the maximum over j ≤ i < T; negative where the last task helped
          forgetting, since learned           30.0  mean over j < T of a(j, j) − a(T, j)
          forward transfer                     2.0  mean over j > 1 of a(j − 1, j) − a(0, j)

          runs/a/tasks.html

          """)
      let page = try String(contentsOfFile: folder + "/runs/a/tasks.html", encoding: .utf8)
      #expect(page.hasPrefix("<!DOCTYPE html>") && page.contains(">60.0</text>"))
    }
  }

  @Test("seeds of one recipe are summed up, recipes are compared, and a run that goes on says how far it is")
  func several() throws {
    try Runs.inTemporaryDirectory { folder in
      for seed in [1, 2, 3] as [UInt64] { try write("er-\(seed)", in: folder, seed: seed) }
      try write("er-4", in: folder, seed: 4, learned: 1)
      try write("finetune-1", in: folder, method: "finetune", seed: 1)
      let runs = ["er-1", "er-2", "er-3", "er-4", "finetune-1"]
      let outcome = try Command.run(["tasks"] + runs + ["--output", "all.html", "--csv", "all.csv"], in: folder)
      #expect(outcome.status == 0, "\(outcome)")
      #expect(outcome.output.contains(/er-4: .*, seed 4, after 1 of 2 tasks\n/))
      #expect(
        outcome.output.contains("measure, %                         seed 1  seed 2  seed 3  seed 4    mean ± sd\n"))
      #expect(
        outcome.output.contains("final average accuracy               71.0    72.0    73.0    94.0   72.0 ± 1.0\n"))
      #expect(outcome.output.contains("means are those of the 3 runs after 2 tasks\n"))
      #expect(outcome.output.contains(#/er +3 +72\.0 ± 1\.0 .*\nfinetune +1 +71\.0 /#))
      #expect(outcome.output.hasSuffix("\nall.csv\nall.html\n"))
      let table = try String(contentsOfFile: folder + "/all.csv", encoding: .utf8).split(separator: "\n")
      // Two tasks at three moments of four runs, at two of the fifth.
      #expect(table.count == 1 + 4 * 6 + 4)
      #expect(table[1] == "er-1,class,er,1,task,0,1,0 1,11,100,0.11,")
      #expect(FileManager.default.fileExists(atPath: folder + "/all.html"))
      #expect(!FileManager.default.fileExists(atPath: folder + "/tasks.html"))
    }
  }

  @Test("JSON has matrices, measures and means by key, and no page is written unless it is named")
  func json() throws {
    try Runs.inTemporaryDirectory { folder in
      for seed in [1, 2] as [UInt64] { try write("er-\(seed)", in: folder, seed: seed) }
      let outcome = try Command.run(["tasks", "er-1", "er-2/tasks.json", "--json"], in: folder)
      let report = try #require(try JSONSerialization.jsonObject(with: Data(outcome.output.utf8)) as? [String: Any])
      let group = try #require((report["groups"] as? [[String: Any]])?.first)
      let means = try #require((group["means"] as? [String: [String: [String: Any]]])?["task"])
      #expect(Set(means.keys) == Set(ContinualMetric.allCases.map(\.rawValue)))
      #expect(means["finalAccuracy"]?["count"] as? Int == 2)
      #expect(abs((means["finalAccuracy"]?["mean"] as? Double ?? 0) - 0.715) < 1e-12)
      let runs = try #require(group["runs"] as? [[String: Any]])
      #expect(runs.map { $0["seed"] as? Int } == [1, 2])
      let metrics = (runs[0]["metrics"] as? [String: [String: Any]])?["task"]
      #expect((metrics?["values"] as? [String: Double])?["forwardTransfer"].map { abs($0 - 0.02) < 1e-12 } == true)
      #expect(!FileManager.default.fileExists(atPath: folder + "/tasks.html"))
    }
  }

  @Test("what is no run over tasks is refused in one sentence, and nothing is written")
  func refused() throws {
    try Runs.inTemporaryDirectory { folder in
      try write("a", in: folder, seed: 1)
      try FileManager.default.createDirectory(atPath: folder + "/b", withIntermediateDirectories: true)
      let outcome = try Command.run(["tasks", "a", "b", "--csv", "x.csv"], in: folder)
      #expect(outcome.status == 1 && outcome.output.isEmpty)
      #expect(
        outcome.errorLines == [
          "error: b: the run has no results of tasks (tasks.json); name the run directory of a recipe with tasks that has measured one"
        ])
      #expect(try FileManager.default.contentsOfDirectory(atPath: folder).sorted() == ["a", "b"])
      let unwritable = try Command.run(["tasks", "a", "--output", "nowhere/x.html"], in: folder)
      #expect(unwritable.status == 1 && unwritable.errorLines.count == 1)
      #expect(unwritable.errorLines[0].hasSuffix("choose another file with --output"))
    }
  }
}
