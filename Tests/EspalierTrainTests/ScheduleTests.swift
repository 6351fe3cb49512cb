import EspalierTrain
import Foundation
import Testing

@Suite struct LearningRateTests {
  private func rates(
    _ shape: RateSettings.Shape, warmup: Int, floor: Double, decay: Double = 0.2,
    falling: RateSettings.DecayShape = .linear, steps: Int
  ) -> [Double] {
    let rate = LearningRate(
      RateSettings(shape: shape, warmup: warmup, floor: floor, decayFraction: decay, decayShape: falling), steps: steps)
    return (0..<steps).map(rate.factor(at:))
  }

  private func close(_ got: [Double], _ expected: [Double]) -> Bool {
    got.count == expected.count && zip(got, expected).allSatisfy { abs($0 - $1) < 1e-12 }
  }

  @Test("numbers that can be checked by hand")
  func byHand() {
    #expect(close(rates(.constant, warmup: 4, floor: 0.1, steps: 6), [0.25, 0.5, 0.75, 1, 1, 1]))
    #expect(close(rates(.linear, warmup: 2, floor: 0.2, steps: 6), [0.5, 1, 0.8, 0.6, 0.4, 0.2]))
    // cos π/4 = √½: f + (1 − f)(1 + cos)/2 with f = 0 at quarters of the way.
    let root = 0.5.squareRoot()
    #expect(close(rates(.cosine, warmup: 0, floor: 0, steps: 4), [(1 + root) / 2, 0.5, (1 - root) / 2, 0]))
    #expect(close(rates(.cosine, warmup: 1, floor: 0.1, steps: 3), [1, 0.55, 0.1]))
    #expect(close(rates(.wsd, warmup: 2, floor: 0, decay: 0.4, steps: 10), [0.5, 1, 1, 1, 1, 1, 0.75, 0.5, 0.25, 0]))
    #expect(
      close(
        rates(.wsd, warmup: 0, floor: 0, decay: 0.8, falling: .squareRoot, steps: 5),
        [1, 0.5, 1 - root, 1 - 0.75.squareRoot(), 0]))
    #expect(
      close(
        rates(.wsd, warmup: 0, floor: 0.0625, decay: 0.8, falling: .exponential, steps: 5),
        [1, 0.5, 0.25, 0.125, 0.0625]))
  }

  @Test("a phase shorter than its warm-up ends while it rises; as long, at the peak")
  func short() {
    #expect(close(rates(.cosine, warmup: 4, floor: 0.1, steps: 2), [0.25, 0.5]))
    #expect(close(rates(.cosine, warmup: 2, floor: 0.1, steps: 2), [0.5, 1]))
    #expect(close(rates(.wsd, warmup: 2, floor: 0, decay: 1, steps: 4), [0.5, 1, 0.5, 0]))
    #expect(close(rates(.wsd, warmup: 0, floor: 0.5, decay: 0, steps: 2), [1, 1]))
  }

  @Test(
    "every shape stays between floor and peak after the warm-up and never rises", arguments: RateSettings.Shape.allCases
  )
  func monotone(shape: RateSettings.Shape) {
    for falling in RateSettings.DecayShape.allCases {
      let rates = rates(shape, warmup: 7, floor: 0.3, decay: 0.35, falling: falling, steps: 101)
      for (earlier, later) in zip(rates[6...], rates[7...]) { #expect(later <= earlier) }
      #expect(rates[6] == 1)
      #expect(abs(rates[100] - (shape == .constant ? 1 : 0.3)) < 1e-12)
    }
  }

  @Test("an exponential decay to nothing is refused, with the key")
  func exponentialToNothing() throws {
    let problems = RateSettings(shape: .wsd, floor: 0, decayShape: .exponential).problems()
    #expect(problems.count == 1 && "\(problems[0])".contains("floor"))
    #expect(RateSettings(shape: .wsd, floor: 0, decayShape: .squareRoot).problems().isEmpty)
  }
}

@Suite struct ScheduleTests {
  private func settings(_ yaml: String) throws -> RunSettings { try load(yaml) }

  private func actions(_ schedule: Schedule, from cursor: inout ScheduleCursor, limit: Int = 1000) -> [String] {
    var result: [String] = []
    while result.count < limit {
      switch cursor.advance(schedule) {
      case .step(let step): result.append("\(step.number)")
      case .beginTasks(let phase): result.append("begin \(phase)")
      case .endTasks(let phase): result.append("end \(phase)")
      case .evaluate: result.append("evaluate")
      case .save: result.append("save")
      case .border(let border): result.append("border \(border.to)")
      case .grow(let growth): result.append("grow \(growth.phase)")
      case .finish: return result + ["finish"]
      }
    }
    return result
  }

  private let recipe = "schedule: [train: { steps: 5 }]\nevaluate: { every: 2 }\nsave: { every: 4 }"

  @Test("after a step comes its evaluation, then its save, and both at the end")
  func actions() throws {
    var cursor = ScheduleCursor()
    let expected = ["1", "2", "evaluate", "3", "4", "evaluate", "save", "5", "evaluate", "save", "finish"]
    #expect(actions(try Schedule(try settings(recipe), stepsPerEpoch: 1), from: &cursor) == expected)
  }

  @Test("a cursor saved anywhere continues the same story", arguments: 0..<11)
  func resume(after count: Int) throws {
    let schedule = try Schedule(try settings(recipe), stepsPerEpoch: 1)
    var whole = ScheduleCursor()
    let expected = actions(schedule, from: &whole)
    var first = ScheduleCursor()
    let before = actions(schedule, from: &first, limit: count)
    var second = try JSONDecoder().decode(ScheduleCursor.self, from: JSONEncoder().encode(first))
    #expect(second == first)
    #expect(before + actions(schedule, from: &second) == expected)
  }

  @Test("a save out of turn is not repeated")
  func signal() throws {
    let schedule = try Schedule(try settings(recipe), stepsPerEpoch: 1)
    var cursor = ScheduleCursor()
    _ = actions(schedule, from: &cursor, limit: 5)  // 1, 2, evaluate, 3, 4
    cursor.noteSaved()
    #expect(actions(schedule, from: &cursor) == ["evaluate", "5", "evaluate", "save", "finish"])
  }

  @Test("0 means at the end only")
  func atTheEnd() throws {
    var cursor = ScheduleCursor()
    let schedule = try Schedule(
      try settings("schedule: [train: { steps: 2 }]\nevaluate: { every: 0 }\nsave: { every: 0 }"), stepsPerEpoch: 1)
    #expect(actions(schedule, from: &cursor) == ["1", "2", "evaluate", "save", "finish"])
  }

  @Test("where a phase ends a checkpoint is written, unless borders or all but the end are left out")
  func borders() throws {
    let phases = "schedule: [train: { steps: 3 }, train: { steps: 2 }, train: { steps: 3 }]\nevaluate: { every: 0 }\n"
    func saves(_ save: String) throws -> [Int] {
      let schedule = try Schedule(try settings(phases + save), stepsPerEpoch: 1)
      return (0...9).filter(schedule.saves(after:))
    }
    #expect(try saves("save: { every: 4 }") == [3, 4, 5, 8])
    #expect(try saves("save: { every: 4, keepBorders: false }") == [4, 8])
    #expect(try saves("save: { every: 0 }") == [8])
    let schedule = try Schedule(try settings(phases), stepsPerEpoch: 1)
    let borders = (0...9).compactMap { schedule.border(after: $0) }
    #expect(borders == ["end of phase 0 (train)", "end of phase 1 (train)", "end of phase 2 (train)"])
    #expect((0...9).filter { schedule.border(after: $0) != nil } == [3, 5, 8])
  }

  @Test("a multiple at which no checkpoint is written is refused")
  func multiples() {
    #expect(refusal("save: { every: 100, keepEvery: 250 }").contains("make it a multiple of 100"))
    #expect(refusal("save: { every: 0, keepEvery: 250 }").contains("set save.every as well"))
    #expect(refusal("save: { every: 50, keepEvery: 250, keepBest: 2, maximumBytes: 1000 }") == "accepted")
  }

  @Test("phases are laid end to end, by steps or by epochs, each with its own rate")
  func phases() throws {
    let schedule = try Schedule(
      try settings(
        "schedule:\n- train: { steps: 3, rate: { shape: linear, warmup: 0, floor: 0 } }\n- train: { epochs: 2, rate: { shape: constant, warmup: 4 } }\n- train: {}"
      ),
      stepsPerEpoch: 10)
    #expect(schedule.phases.map(\.steps) == [3, 20, 10])
    #expect(schedule.stepCount == 33)
    #expect([0, 2, 3, 22, 23, 32].map { schedule.phase(at: $0)?.firstStep } == [0, 0, 3, 3, 23, 23])
    #expect(schedule.phase(at: 33) == nil)
    var cursor = ScheduleCursor(completed: 4)
    guard case .step(let step) = cursor.advance(schedule) else { return #expect(Bool(false), "a step") }
    #expect(step.number == 5)
    #expect(step.phase == 1)
    #expect(step.indexInPhase == 1)
    #expect(step.rateFactor == 0.5)
  }

  @Test("a run resumed with a longer schedule goes on, with a shorter one it ends")
  func changed() throws {
    let schedule = try Schedule(try settings(recipe), stepsPerEpoch: 1)
    var cursor = ScheduleCursor()
    _ = actions(schedule, from: &cursor)
    let longer = try Schedule(try settings("schedule: [train: { steps: 6 }]"), stepsPerEpoch: 1)
    #expect(actions(longer, from: &cursor) == ["6", "evaluate", "save", "finish"])
    #expect(actions(schedule, from: &cursor) == ["finish"])
  }

  @Test("data that fill no batch and schedules beyond counting are refused")
  func impossible() throws {
    let small = #expect(throws: SettingsError.self) {
      try Schedule(settings("schedule: [train: { steps: 1 }]"), stepsPerEpoch: 0)
    }
    #expect(small?.subject == "batch.samples")
    let endless = try settings("schedule: [train: { epochs: 9223372036854775807 }]")
    #expect(throws: SettingsError.self) { try Schedule(endless, stepsPerEpoch: 2) }
    let two = try settings("schedule: [train: { steps: 9223372036854775807 }, train: { steps: 1 }]")
    #expect(throws: SettingsError.self) { try Schedule(two, stepsPerEpoch: 2) }
  }
}

/// Tasks in a schedule.
@Suite struct TaskScheduleTests {
  private func settings(_ yaml: String) throws -> RunSettings { try load(yaml) }

  @Test("every task begins and ends once, before and after its own steps, also through a resume at any point")
  func story() throws {
    let settings = try settings(
      "tasks: { setting: class, perTask: 2 }\nschedule: [task: { tasks: [1], steps: 2 }, train: { steps: 1 }, task: { epochs: 1 }]\n"
        + "evaluate: { every: 0 }\nsave: { every: 2 }")
    let schedule = try Schedule(settings, rows: [[0, 1], [2, 3], [4, 5]]) { $0.isEmpty ? 9 : 2 }
    #expect(schedule.phases.map(\.name) == ["task 1", "train", "task 0", "task 2"])
    #expect(schedule.phases.map(\.tasks) == [[1], [], [0], [2]])
    let expected = [
      "begin 0", "1", "2", "end 0", "save", "border 1", "3", "save", "border 2", "begin 2", "4", "save", "5", "end 2",
      "save",
      "border 3", "begin 3", "6", "save", "7", "end 3", "evaluate", "save", "finish",
    ]
    // A resume at every action: what it does is the rest of the story.
    for cut in expected.indices {
      var cursor = ScheduleCursor()
      var told: [String] = []
      while told.last != "finish" {
        if told.count == cut {
          cursor = try JSONDecoder().decode(ScheduleCursor.self, from: JSONEncoder().encode(cursor))
        }
        switch cursor.advance(schedule) {
        case .step(let step): told.append("\(step.number)")
        case .beginTasks(let phase): told.append("begin \(phase)")
        case .endTasks(let phase): told.append("end \(phase)")
        case .evaluate: told.append("evaluate")
        case .save: told.append("save")
        case .border(let border): told.append("border \(border.to)")
        case .grow(let growth): told.append("grow \(growth.phase)")
        case .finish: told.append("finish")
        }
      }
      #expect(told == expected)
    }
  }

  @Test("a head that grows is given a task's rows before the task begins")
  func heads() throws {
    let settings = try settings(
      "tasks: { setting: class, perTask: 2, heads: grow }\nschedule: [task: { steps: 2 }]\nevaluate: { every: 0 }")
    let phases = try settings.phases(rows: [[0, 1], [2, 3], [4, 5]])
    #expect(phases.map(\.tasks) == [[0], [], [1], [], [2]])
    let rows = phases.compactMap { phase -> SettingValue? in
      if case .grow(let grow) = phase.phase { grow.to.options["classes"] } else { nil }
    }
    #expect(rows == [.integer(4), .integer(6)])
  }
}
