import EspalierTensor
import EspalierTrain
import Foundation
import Testing

@Suite struct TaskResultsTests {
  @Test("results are read as they were written, losses that are not finite too")
  func roundTrip() throws {
    let folder = try TemporaryFolder()
    var results = SampledTasks.run(
      tasks: 3, seed: .max, name: { "a \"b\", \($0)\nc – ü" },
      settings: .mapping(["seed": .unsigned(.max), "clip": .number(0.1)]))
    results.record(.class, learned: 3, task: 0, Accuracy(correct: 1, count: 3), loss: .infinity)
    try TaskFile.write(results, run: folder.path)
    let read = try TaskFile.read(folder.path)
    #expect(read == results)
    #expect(read.views[.class]?.losses[learned: 3, task: 0] == .infinity)
    #expect(try TaskFile.read(folder.path + "/tasks.json") == results)
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == ["tasks.json"])
    // A run that has measured nothing yet.
    let empty = TaskResults(setting: "task", tasks: [.init(name: "x", classes: [])], methods: [], seed: 0)
    try TaskFile.write(empty, run: folder.path)
    #expect(try TaskFile.read(folder.path) == empty)
  }

  @Test("the file is the same in whatever order entries came")
  func order() throws {
    let key = RandomKey(seed: 8)
    let places = (0...4).flatMap { learned in (0..<4).map { (learned, $0) } }
    var texts: Set<String> = []
    for trial in 0..<6 {
      let shuffled = places.enumerated().sorted {
        key.uniform(at: UInt64(100 * trial + $0.offset)) < key.uniform(at: UInt64(100 * trial + $1.offset))
      }
      var results = TaskResults(
        setting: "class", tasks: (0..<4).map { .init(name: "\($0)", classes: [$0]) }, methods: ["er"], seed: 1)
      for (learned, task) in shuffled.map(\.element) {
        for view in trial.isMultiple(of: 2) ? [TaskView.class, .task] : [.task, .class] {
          results.record(view, learned: learned, task: task, Accuracy(correct: 4 * learned + task, count: 40))
        }
      }
      texts.insert(try TaskFile.text(results))
    }
    #expect(texts.count == 1)
  }

  @Test("a file cut anywhere is refused by name, and what another program wrote as well")
  func damaged() throws {
    let folder = try TemporaryFolder()
    let text = try TaskFile.text(SampledTasks.run(tasks: 2, hasCurve: false))
    func kind(_ text: String) throws -> RunError.Kind? {
      try folder.write("tasks.json", text)
      let error = #expect(throws: RunError.self) { try TaskFile.read(folder.path) }
      #expect(error?.subject == folder.path + "/tasks.json" && error?.remedy.isEmpty == false)
      return error?.kind
    }
    for length in stride(from: 0, to: text.utf8.count - 1, by: 7) {
      #expect(try kind(String(decoding: text.utf8.prefix(length), as: UTF8.self)) == .damagedTasks, "\(length)")
    }
    #expect(try kind(text + "}") == .damagedTasks)
    #expect(try kind("{\"a\":1}") == .noTasks)
    #expect(try kind("[1, 2]") == .noTasks)
    #expect(try kind(text.replacing("\"version\":1", with: "\"version\":2")) == .newerTasks)
    #expect(try kind(text.replacing("\"version\":1", with: "\"version\":\"1\"")) == .damagedTasks)
    for (found, other) in [
      ("\"seed\":1", "\"seed\":-1"), ("\"seed\":1", "\"sead\":1"), ("\"count\":1000", "\"count\":0"),
      ("\"correct\":", "\"correct\":1"), ("\"learned\":2", "\"learned\":3"), ("\"learned\":2", "\"learned\":1"),
      ("\"tasks\":2", "\"tasks\":3"), ("\"learned\":1", "\"learned\":1,\"learned\":1"),
    ] {
      let changed = text.replacing(found, with: other)
      #expect(changed != text)
      #expect(try kind(changed) == .damagedTasks, "\(other)")
    }
    #expect(throws: RunError.self) { try TaskFile.read(folder.path + "/nowhere") }
  }

  @Test("a directory without results says what to name instead")
  func missing() throws {
    let folder = try TemporaryFolder()
    let error = #expect(throws: RunError.self) { try TaskFile.read(folder.path) }
    #expect(error?.kind == .noTasks)
    #expect(
      error?.description
        == "\(folder.path): the run has no results of tasks (tasks.json); name the run directory of a recipe with tasks that has measured one"
    )
  }

  @Test("a resumed run goes on from what it knew at that step")
  func upTo() throws {
    let whole = SampledTasks.run(tasks: 4)
    #expect(whole.upTo(learned: 4, step: .max) == whole)
    #expect(whole.upTo(learned: 2, step: 200) == SampledTasks.run(tasks: 4, learned: 2))
    #expect(whole.upTo(learned: 2, step: 250).views[.class]?.curve.map(\.step).max() == 250)
    #expect(whole.upTo(learned: 0, step: 0).views[.class] == nil)
    // The untrained network was measured in the other view.
    #expect(whole.upTo(learned: 0, step: 0).views[.task]?.accuracy.moments == [0])
  }

  @Test("a table in CSV has every entry, with names in it whatever they are made of")
  func csv() throws {
    let names = ["plain", "a, b", "say \"x\"", "two\nlines"]
    let results = SampledTasks.run(tasks: 4, methods: ["er", "lode"], seed: 7, name: { names[$0] })
    let rows = Self.parsed(TaskTable.csv([("runs/a,b", results)]))
    #expect(rows.first == TaskTable.heading)
    var read: [TaskView: AccuracyMatrix] = [:]
    for row in rows.dropFirst() {
      try #require(row.count == TaskTable.heading.count)
      #expect(Array(row[0...3]) == ["runs/a,b", "class", "er+lode", "7"])
      let view = TaskView(rawValue: row[4])
      let (learned, task) = (try #require(Int(row[5])), try #require(Int(row[6])) - 1)
      #expect(row[7] == names[task])
      let accuracy = Accuracy(correct: try #require(Int(row[8])), count: try #require(Int(row[9])))
      #expect(Double(row[10]) == accuracy.fraction)
      #expect(Double(row[11]) == results.views[view]?.losses[learned: learned, task: task])
      read[view, default: AccuracyMatrix(taskCount: 4)][learned: learned, task: task] = accuracy
    }
    #expect(read == results.views.mapValues(\.accuracy))
  }

  /// Fields of RFC 4180.
  private static func parsed(_ text: String) -> [[String]] {
    var rows: [[String]] = [], row: [String] = [], field = "", isQuoted = false
    var rest = Substring(text).unicodeScalars
    while let scalar = rest.popFirst() {
      switch scalar {
      case "\"" where isQuoted && rest.first == "\"":
        field.unicodeScalars.append(scalar)
        rest.removeFirst()
      case "\"": isQuoted.toggle()
      case "," where !isQuoted:
        row.append(field)
        field = ""
      case "\n" where !isQuoted:
        rows.append(row + [field])
        (row, field) = ([], "")
      default: field.unicodeScalars.append(scalar)
      }
    }
    return rows
  }
}

@Suite struct TaskStudyTests {
  private func settings(_ seed: UInt64, buffer: Int = 200, stage: Int = 1) -> SettingValue {
    .mapping([
      "seed": .unsigned(seed), "stage": .integer(stage),
      "methods": .list([.mapping(["er": .mapping(["buffer": .integer(buffer)])])]),
    ])
  }

  @Test("runs that differ in the seed alone are one group, whatever stage they ran at")
  func groups() {
    func run(_ seed: UInt64, _ buffer: Int, _ stage: Int = 1) -> (path: String, results: TaskResults) {
      (
        "runs/\(buffer)-\(seed)-\(stage)",
        SampledTasks.run(tasks: 3, seed: seed, settings: settings(seed, buffer: buffer, stage: stage))
      )
    }
    let study = TaskStudy([run(2, 200), run(1, 200, 3), run(1, 500), run(3, 200), run(2, 500)])
    #expect(study.groups.map { $0.runs.map(\.results.seed) } == [[1, 2, 3], [1, 2]])
    #expect(study.groups.map(\.label) == ["er, buffer 200", "er, buffer 500"])
    // A second run of one seed is not another draw.
    let twice = TaskStudy([run(1, 200), run(1, 200, 3)])
    #expect(twice.groups.map(\.label) == ["200-1-1", "200-1-3"])
  }

  @Test("mean and sample standard deviation are those of the runs that came furthest")
  func estimates() throws {
    let values = [0.5, 0.75, 1.0]
    #expect(Estimate(values) == Estimate([1.0, 0.5, 0.75]))
    #expect(Estimate(values)?.mean == 0.75 && Estimate(values)?.deviation == 0.25 && Estimate(values)?.count == 3)
    #expect(Estimate([0.3])?.deviation == nil && Estimate([]) == nil)
    let runs: [(path: String, results: TaskResults)] = [(1, 3), (2, 3), (3, 2)].map { seed, learned in
      ("r/\(seed)", SampledTasks.run(tasks: 3, seed: UInt64(seed), learned: learned))
    }
    let group = try #require(TaskStudy(runs).groups.first)
    #expect(group.runs.count == 3 && group.furthest.map(\.results.seed) == [1, 2])
    let finals = try runs[..<2].map { run in
      try #require(run.results.views[.class].map { ContinualMetrics($0.accuracy)[.finalAccuracy] } ?? nil)
    }
    #expect(group.estimate(.finalAccuracy, .class) == Estimate(finals))
    // Rows to come were not there: no forward transfer in that view.
    #expect(group.estimate(.forwardTransfer, .class) == nil && group.estimate(.forwardTransfer, .task) != nil)
  }
}
