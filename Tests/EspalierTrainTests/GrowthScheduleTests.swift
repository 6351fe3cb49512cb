import EspalierNN
import EspalierTrain
import Foundation
import Testing

/// Options that stand in for a model's.
private struct SampleDecoder: Settings {
  var width = 128
  var depth = 2
  var hidden = 512
  init() {}
  static let fields = [
    SettingField("width", "Width."), SettingField("depth", "Depth."), SettingField("hidden", "Hidden."),
  ]
}

private let choices: ChoiceTables = ["model": ["decoder": SampleDecoder.self]]

private func load(_ yaml: String) throws -> RunSettings {
  try RunSettings(recipe: SettingsFile(text: yaml, name: "recipe"), choices: choices)
}

@Suite struct GrowthScheduleTests {
  static let recipe = """
    schedule:
      - train: { steps: 10, rate: { shape: wsd, warmup: 2 }, until: { fraction: 0.4 } }
      - grow:  { operator: dup, to: { width: 256 } }
      - grow:  { operator: { stack: { times: 2 } }, to: { depth: 8 } }
      - train: { until: { step: 7 } }
      - grow:  { operator: dup, to: { hidden: 1024 }, rate: fresh }
      - train: { rate: { shape: linear, warmup: 0 } }
    evaluate: { every: 5 }
    save: { every: 4 }
    """

  /// What a cursor does, in words; `note` is told after each step.
  private func story(
    _ schedule: Schedule, from cursor: inout ScheduleCursor, limit: Int = 10_000,
    note: (Int) -> ScheduleCursor.StepOutcome? = { _ in nil }
  ) -> [String] {
    var result: [String] = []
    while result.count < limit {
      switch cursor.advance(schedule) {
      case .step(let step):
        result.append("\(step.number)")
        if let outcome = note(step.number) { cursor.note(outcome, schedule) }
      case .border(let border): result.append("border \(border.from)-\(border.to)")
      case .grow(let growth): result.append("grow \(growth.phase)")
      case .beginTasks(let phase): result.append("begin \(phase)")
      case .endTasks(let phase): result.append("end \(phase)")
      case .evaluate: result.append("evaluate")
      case .save: result.append("save")
      case .finish: return result + ["finish"]
      }
    }
    return result
  }

  static let expected = [
    "1", "2", "3", "4", "save", "border 0-1", "evaluate", "grow 1", "evaluate", "border 1-2", "grow 2", "evaluate",
    "border 2-3", "5", "evaluate", "6", "7", "save", "border 3-4", "evaluate", "grow 4", "evaluate", "border 4-5", "8",
    "save", "9", "10", "evaluate", "save", "finish",
  ]

  @Test("a growth has an evaluation and a checkpoint before it and an evaluation after it, each once")
  func transitions() throws {
    var cursor = ScheduleCursor()
    #expect(story(try Schedule(load(Self.recipe), stepsPerEpoch: 1), from: &cursor) == Self.expected)
    #expect(cursor.grown.map(\.phase) == [1, 2, 4])
    #expect(cursor.grown.map(\.step) == [4, 4, 7])
  }

  @Test("a cursor that was saved anywhere goes on as if it had not been", arguments: 0..<30)
  func resume(after count: Int) throws {
    let schedule = try Schedule(load(Self.recipe), stepsPerEpoch: 1)
    var first = ScheduleCursor()
    let before = story(schedule, from: &first, limit: count)
    var second = try JSONDecoder().decode(ScheduleCursor.self, from: JSONEncoder().encode(first))
    #expect(second == first)
    #expect(before + story(schedule, from: &second) == Self.expected)
  }

  @Test("a checkpoint from before a growth is kept while it happens: resumed from there, it happens again")
  func repeated() throws {
    let schedule = try Schedule(load(Self.recipe), stepsPerEpoch: 1)
    for count in Self.expected.indices where Self.expected[count] == "save" {
      var cursor = ScheduleCursor()
      _ = story(schedule, from: &cursor, limit: count + 1)
      var again = cursor
      let rest = story(schedule, from: &again)
      // Of the step of a growth there is one checkpoint, so nothing after the growth may be in it.
      #expect(rest == Array(Self.expected[(count + 1)...]))
      #expect(!cursor.grown.contains { $0.step == cursor.completed })
    }
  }

  @Test("stretches add up: the length of a run is known before it begins")
  func plan() throws {
    let schedule = try Schedule(load(Self.recipe), stepsPerEpoch: 1)
    #expect(schedule.stepCount == 10)
    #expect(schedule.phases.map(\.name) == ["train", "grow", "grow", "train", "grow", "train"])
    #expect(schedule.phases.map(\.firstStep) == [0, 4, 4, 4, 7, 7])
    #expect(schedule.phases.map(\.steps) == [4, 0, 0, 3, 0, 3])
  }

  @Test("a growth before the first step needs no checkpoint; a later stretch begins anew")
  func first() throws {
    let schedule = try Schedule(
      load(
        """
        schedule:
          - grow:  { operator: dup, to: { width: 64 } }
          - train: { steps: 1 }
          - train: { steps: 1 }
        """), stepsPerEpoch: 1)
    var cursor = ScheduleCursor()
    #expect(
      story(schedule, from: &cursor) == [
        "evaluate", "grow 0", "evaluate", "border 0-1", "1", "save", "border 1-2", "2", "evaluate", "save", "finish",
      ])
  }

  @Test("tokens end a phase with the step that reaches them, or its stretch does", arguments: [250, 1_000_000])
  func tokens(at count: Int) throws {
    let schedule = try Schedule(
      load(
        """
        schedule: [ { train: { steps: 6, until: { tokens: \(count) } } }, { train: {} } ]
        evaluate: { every: 0 }
        save: { every: 0 }
        """), stepsPerEpoch: 1)
    var cursor = ScheduleCursor()
    let story = story(schedule, from: &cursor) { step in
      ScheduleCursor.StepOutcome(loss: 1, operations: Double(step), targets: 100 * step)
    }
    #expect(
      story
        == (count == 250
          ? ["1", "2", "3", "border 0-1", "4", "5", "6", "evaluate", "save", "finish"]
          : ["1", "2", "3", "4", "5", "6", "evaluate", "save", "finish"]))
  }

  @Test(
    "a resume while a phase waits for its marginal return decides as the run that was not stopped",
    arguments: [5, 97, 140])
  func waiting(stop: Int) throws {
    let schedule = try Schedule(
      load(
        """
        schedule:
          - train: { steps: 400, until: { marginalReturn: { window: 0.05, minimum: 0.2, maximum: 0.8 } } }
          - grow:  { operator: dup, to: { width: 64 } }
          - train: {}
        """), stepsPerEpoch: 1)
    // Falls with the logarithm of the work up to step 120 and no more after it.
    func outcome(_ step: Int) -> ScheduleCursor.StepOutcome {
      ScheduleCursor.StepOutcome(
        loss: 5 - 0.5 * log(Double(min(step, 120))) + 0.001 * Double(step % 3), operations: 1e9 * Double(step),
        targets: step)
    }
    var whole = ScheduleCursor()
    let expected = story(schedule, from: &whole, note: outcome)
    let end = try #require(whole.grown.first?.step)
    #expect((121...150).contains(end))
    var cursor = ScheduleCursor()
    var before: [String] = []
    while cursor.completed < stop { before += story(schedule, from: &cursor, limit: 1, note: outcome) }
    cursor = try JSONDecoder().decode(ScheduleCursor.self, from: JSONEncoder().encode(cursor))
    #expect(before + story(schedule, from: &cursor, note: outcome) == expected)
  }

  @Test("a schedule without sense is refused with both phases in the sentence")
  func refusals() throws {
    func refusal(_ schedule: String) -> String {
      #expect(throws: SettingsError.self) { try Schedule(load("schedule: [ \(schedule) ]"), stepsPerEpoch: 1) }?.reason
        ?? ""
    }
    let grow = "{ grow: { operator: dup, to: { width: 64 } } }"
    #expect(refusal("{ train: { steps: 5 } }, \(grow)") == "phase 1 of the schedule is a growth that nothing follows")
    #expect(
      refusal("{ train: { steps: 5, until: { fraction: 0.5 } } }")
        == "phase 0 of the schedule has an 'until' and nothing goes on with its steps")
    #expect(
      refusal("{ train: { steps: 5, until: { fraction: 0.5 } } }, \(grow), { train: { steps: 5 } }").hasPrefix(
        "phase 2 of the schedule states steps or epochs, but"))
    #expect(
      refusal("{ train: { steps: 5, until: { step: 3 } } }, \(grow), { train: { rate: { shape: linear } } }").hasPrefix(
        "phase 2 of the schedule goes on with the rate"))
    #expect(
      refusal("{ train: { steps: 5, until: { step: 9 } } }, { train: {} }")
        == "schedule.0.train would end at step 9, but its steps are 0 to 5")
    #expect(
      refusal("{ train: { steps: 9, until: { step: 6 } } }, { train: { until: { fraction: 0.5 } } }, { train: {} }")
        == "schedule.1.train would end at step 5, but its steps are 6 to 9")
    #expect(refusal("{ grow: { operator: dup, to: {} } }, { train: {} }") == "a grow phase changes nothing")
  }

  @Test("growths are read with the recipe's model, and what they cannot mean is named with line and nearest word")
  func settings() throws {
    let whole = try load(Self.recipe)
    guard case .grow(let grow) = whole.schedule[2] else { return #expect(Bool(false), "phase 2 grows") }
    #expect(grow.operator.name == "stack")
    #expect(grow.to == ModelChange(["depth": .integer(8)]))
    #expect(grow.rate == .asymRewarm(AsymmetricRewarm(rise: 1.3, steps: 0)))
    #expect(try RunSettings(canonicalJSON: whole.canonicalJSON(), name: "again", choices: choices) == whole)
    func error(_ line: String) throws -> String {
      let text =
        "model: { decoder: {} }\nschedule:\n- train: { steps: 9, until: { fraction: 0.5 } }\n- \(line)\n- train: {}"
      return try #require(throws: SettingsError.self) {
        try SettingsFile(text: text, name: "recipe").load(RunSettings.self, choices: choices)
      }.description
    }
    #expect(
      try error("grow: { operator: dup, to: { widht: 64 } }").contains("line 4: unknown key 'schedule.1.grow.to.widht'")
    )
    #expect(try error("grow: { operator: dup, to: { widht: 64 } }").contains("width"))
    #expect(try error("grow: { operator: dup, to: { width: much } }").contains("schedule.1.grow.to.width must be"))
    #expect(try error("grow: { to: { width: 64 } }").contains("schedule.1.grow.operator is missing"))
    #expect(
      try error("grow: { operator: dup, to: { width: 64 }, rate: asymRewrm }").contains("did you mean 'asymRewarm'"))
    #expect(
      try error("grow: { operator: dup, to: { width: 64 }, state: drop }").contains("asymmetric, transport, dropAll"))
    #expect(try error("train: { until: { fractoin: 1 } }").contains("did you mean 'fraction'"))
    #expect(try error("train: { until: { fraction: 2 } }").contains("a number from 0 to 1"))
  }
}

@Suite struct RatePlanTests {
  /// WSD of 100 steps: up in 10, 1 to step 80, down to 0.1 at step 100. A growth after step 40.
  private func plan(_ policies: GrowthRate...) -> RatePlan {
    var plan = RatePlan(LearningRate(RateSettings(shape: .wsd, warmup: 10, floor: 0.1), steps: 100), from: 1000)
    plan.marks = policies.enumerated().map { RatePlan.Mark(growth: $0 + 1, step: 1040 + 20 * $0, policy: $1) }
    return plan
  }

  private func close(_ a: Double, _ b: Double) -> Bool { abs(a - b) < 1e-12 }

  /// By step of the schedule, from 1.
  private func rate(_ plan: RatePlan, _ step: Int, _ growth: Int? = nil) -> Double {
    plan.factor(at: 999 + step, bornIn: growth)
  }

  @Test("keep: new and old entries follow the schedule")
  func keep() {
    let plan = plan(.keep(NoOptions()))
    for step in 1...100 {
      let expected = step <= 10 ? Double(step) / 10 : step <= 80 ? 1 : 1 - 0.9 * Double(step - 80) / 20
      #expect(close(rate(plan, step), expected) && close(rate(plan, step, 1), expected), "step \(step)")
    }
  }

  @Test(
    "asymRewarm: new entries rise to ρ in τ steps, stay, and fall with the schedule to its floor; old ones notice nothing"
  )
  func asymRewarm() {
    let plan = plan(.asymRewarm(AsymmetricRewarm(rise: 1.3, steps: 4)))
    for step in 1...100 { #expect(rate(plan, step) == rate(self.plan(), step)) }
    for (step, expected) in [(41, 1.075), (42, 1.15), (44, 1.3), (45, 1.3), (80, 1.3), (90, 0.7), (100, 0.1)] {
      #expect(close(rate(plan, step, 1), expected), "step \(step)")
    }
  }

  @Test("asymRewarm on a falling schedule begins at the rate that the growth met")
  func falling() {
    var plan = RatePlan(LearningRate(RateSettings(shape: .linear, warmup: 0, floor: 0), steps: 10), from: 0)
    plan.marks = [RatePlan.Mark(growth: 0, step: 5, policy: .asymRewarm(AsymmetricRewarm(rise: 1.2, steps: 2)))]
    // The schedule is 1 − t / 10; at the growth ½, so the peak 0.6 at step 7, where the schedule is 0.3.
    for (step, expected) in [(6, 0.55), (7, 0.6), (8, 0.4), (9, 0.2), (10, 0.0)] {
      #expect(close(plan.factor(at: step - 1, bornIn: 0), expected), "step \(step)")
    }
  }

  @Test("rewarmAll: all entries rise from 0 and follow the schedule, or a multiple of it that meets its floor")
  func rewarmAll() {
    let same = plan(.rewarmAll(FullRewarm(peak: 1, steps: 4)))
    for (step, expected) in [(40, 1), (41, 0.25), (42, 0.5), (44, 1), (60, 1), (90, 0.55), (100, 0.1)] {
      #expect(close(rate(same, step), expected) && close(rate(same, step, 1), expected), "step \(step)")
    }
    let higher = plan(.rewarmAll(FullRewarm(peak: 1.5, steps: 4)))
    for (step, expected) in [(42, 0.75), (44, 1.5), (80, 1.5), (90, 0.8), (100, 0.1)] {
      #expect(close(rate(higher, step), expected), "step \(step)")
    }
  }

  @Test("two growths: the newer rises by itself, a warm-up of all is one for the older new entries as well")
  func two() {
    let asym = GrowthRate.asymRewarm(AsymmetricRewarm(rise: 1.3, steps: 4))
    let both = plan(asym, asym)
    #expect(close(rate(both, 70, 1), 1.3) && close(rate(both, 61, 2), 1.075) && close(rate(both, 61), 1))
    let all = plan(asym, .rewarmAll(FullRewarm(peak: 1, steps: 4)))
    #expect(close(rate(all, 62, 1), 0.65) && close(rate(all, 62, 2), 0.5) && close(rate(all, 62), 0.5))
    #expect(close(rate(all, 70, 1), 1.3) && close(rate(all, 70, 2), 1) && close(rate(all, 100, 1), 0.1))
  }

  @Test("a growth in the warm-up has new entries follow it; one shortly before the end ends at the floor")
  func edges() {
    var early = plan()
    early.marks = [RatePlan.Mark(growth: 1, step: 1005, policy: .asymRewarm(AsymmetricRewarm(rise: 1.3, steps: 4)))]
    for step in 1...100 { #expect(rate(early, step, 1) == rate(early, step)) }
    var late = plan()
    late.marks = [RatePlan.Mark(growth: 1, step: 1098, policy: .rewarmAll(FullRewarm(peak: 1, steps: 50)))]
    #expect(close(rate(late, 99), 0.05) && close(rate(late, 100), 0.1))
  }

  @Test("fresh: the next phase's own shape over the steps that are left; earlier growths count no more")
  func fresh() throws {
    let schedule = try Schedule(load(GrowthScheduleTests.recipe), stepsPerEpoch: 1)
    var cursor = ScheduleCursor()
    var steps: [Int: ScheduleCursor.PlannedStep] = [:]
    while true {
      let action = cursor.advance(schedule)
      if case .step(let step) = action { steps[step.number] = step }
      if case .finish = action { break }
    }
    #expect(steps[5]?.bornRateFactors.keys.sorted() == [1, 2])
    // Linear from 1 to 0.1 in the three steps that are left.
    for (step, expected) in [(8, 0.7), (9, 0.4), (10, 0.1)] {
      #expect(close(steps[step]?.rateFactor ?? 0, expected) && steps[step]?.bornRateFactors.isEmpty == true)
    }
  }
}

@Suite struct ReturnHistoryTests {
  /// The step at which a stretch of `steps` ends for a curve of the loss; nil where it does not before the most.
  private func end(_ steps: Int, options: String = "", _ loss: (Int) -> Double) throws -> Int? {
    let schedule = try Schedule(
      load(
        "schedule: [ { train: { steps: \(steps), until: { marginalReturn: { \(options) } } } }, { grow: { operator: dup, to: { width: 9 } } }, { train: {} } ]"
      ), stepsPerEpoch: 1)
    var cursor = ScheduleCursor()
    while true {
      switch cursor.advance(schedule) {
      case .step(let step):
        cursor.note(
          ScheduleCursor.StepOutcome(loss: loss(step.number), operations: 3e12 * Double(step.number), targets: 0),
          schedule)
      case .grow: return cursor.completed
      case .finish: return nil
      default: break
      }
    }
  }

  @Test("a loss that falls with the logarithm of the work for ever ends at the most")
  func straight() throws {
    #expect(try end(1000) { 9 - log(Double($0)) } == 900)
    #expect(try end(1000, options: "maximum: 0.5") { 9 - log(Double($0)) } == 500)
  }

  @Test("a loss that stops falling ends soon after it stopped, not before the least")
  func plateau() throws {
    let flat: (Int) -> Double = { 9 - log(Double(min($0, 400))) }
    let found = try #require(try end(1000, flat))
    #expect((401...425).contains(found), "\(found)")
    #expect(try end(1000, options: "minimum: 0.6", flat) == 600)
  }

  @Test("κ says how much less steep is too little: a bend to a slope of 0.6 ends at κ = 0.7 and not at 0.5")
  func kappa() throws {
    let bend: (Int) -> Double = { step in
      let work = log(Double(step)), corner = log(500.0)
      return work < corner ? 9 - work : 9 - corner - 0.6 * (work - corner)
    }
    #expect(try end(1000, bend) == 900)
    let found = try #require(try end(1000, options: "kappa: 0.7", bend))
    #expect((501...530).contains(found), "\(found)")
  }

  @Test("skipped steps and noise of both signs change little, and what a checkpoint keeps stays small")
  func noise() throws {
    let found = try #require(
      try end(20_000, options: "window: 0.1") { step in
        step % 50 == 0 ? .nan : 9 - log(Double(min(step, 8000))) + 0.01 * (step % 2 == 0 ? 1 : -1)
      })
    #expect((8001...9600).contains(found), "\(found)")
    let schedule = try Schedule(
      load("schedule: [ { train: { steps: 1000000, until: marginalReturn } }, { train: {} } ]"), stepsPerEpoch: 1)
    var cursor = ScheduleCursor()
    while cursor.completed < 300_000 {
      if case .step(let step) = cursor.advance(schedule) {
        cursor.note(
          ScheduleCursor.StepOutcome(loss: 9 - log(Double(step.number)), operations: Double(step.number), targets: 0),
          schedule)
      }
    }
    #expect(try JSONEncoder().encode(cursor).count < 12_000)
  }
}
