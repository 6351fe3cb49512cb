import Foundation

/// What a run's journal tells of loss against cost: the curves, phases and growths of a report.
package struct RunCurves: Sendable {
  /// A loss, and what the run had cost by then.
  package struct Point: Sendable, Equatable {
    package let step: Int
    package let phase: Int
    /// Growths done.
    package let growths: Int
    package let operations: Double
    package let tokens: Double
    package let seconds: Double
    package var loss: Double
  }

  package struct Growth: Sendable, Equatable {
    package let step: Int
    package let phase: Int
    /// Of the operator.
    package let name: String
    /// "width: 256"
    package let change: String
    package let parametersBefore: Int
    package let parametersAfter: Int
    package let seconds: Double
    /// When it was done; its loss is that of the validation set before it, or of the held batch, else NaN.
    package let place: Point
    /// Of the validation set, else of the held batch.
    package let lossBefore: Double?
    package let lossAfter: Double?
  }

  /// What one phase took.
  package struct PhaseRow: Sendable, Equatable {
    package let index: Int
    /// "train", or "grow: dup to width: 256".
    package let name: String
    package let steps: Int
    package let operations: Double
    package let seconds: Double
    /// Smoothed, at its end.
    package let loss: Double?
    package let validationLoss: Double?
  }

  /// The run directory.
  package let path: String
  package let model: String
  /// Training losses that are finite, a line of the journal each.
  package let training: [Point]
  package let validation: [Point]
  package let growths: [Growth]
  /// Names of the recipe's phases.
  package let phaseNames: [String]

  /// - Throws: `RunError` for a run without a journal of steps.
  package init(run path: String) throws {
    let journal = JournalReader(run: path)
    self.path = path
    let schedule = if case .list(let phases)? = journal.settings?["schedule"] { phases } else { [SettingValue]() }
    phaseNames = schedule.map { if case .mapping(let phase) = $0 { phase.keys.first ?? "" } else { "" } }
    model = if case .mapping(let choice)? = journal.settings?["model"] { choice.keys.first ?? "" } else { "" }

    var (tokens, seconds, lastStep) = (0.0, 0.0, 0)
    let training = Self.newest(
      journal.lines(of: .step).compactMap { line in
        guard let step = line.count("step"), let loss = line["loss"]?.double else { return nil }
        // A journal from before there were totals: every line stands for the steps since the line before.
        let steps = Double(max(step - lastStep, 1))
        tokens += steps * (line["tokens"]?.double ?? 0)
        seconds += steps * (line["secondsPerStep"]?.double ?? 0)
        lastStep = step
        return Point(line, loss: loss, tokens: tokens, seconds: seconds)
      })
    guard let last = training.last else {
      throw RunError(
        .noRun, subject: path, reason: "there is no journal with a step (metrics.jsonl)",
        remedy: "name the run directory of a run that has begun")
    }
    let steps = Dictionary(training.map { ($0.step, $0) }, uniquingKeysWith: { $1 })
    self.training = training
    let evaluations = Self.newest(
      journal.lines(of: .evaluation).compactMap { line in
        guard let step = line.count("step"), let loss = line["loss"]?.double else { return nil }
        let place = steps[step] ?? training.first { $0.step >= step } ?? last
        return Point(line, loss: loss, tokens: place.tokens, seconds: place.seconds)
      })
    validation = evaluations
    var growths: [Int: Growth] = [:]
    for line in journal.lines(of: .growth) {
      if let phase = line.count("phase") { growths[phase] = Growth(line, phase: phase, evaluations) }
    }
    self.growths = growths.values.sorted { $0.phase < $1.phase }
  }

  /// Finite ones, in order; of one step and model the newest line counts.
  private static func newest(_ points: [Point]) -> [Point] {
    struct Key: Hashable { let step, growths: Int }
    let newest = Dictionary(
      points.map { (Key(step: $0.step, growths: $0.growths), $0) }, uniquingKeysWith: { $1 })
    return newest.values.filter(\.loss.isFinite).sorted { ($0.step, $0.growths) < ($1.step, $1.growths) }
  }

  /// Training losses as a running mean over about a sixtieth of the run, begun anew at every growth so that its jump is not
  /// smoothed away.
  package var smoothed: [Point] {
    let memory = 1 - 1 / Double(min(max(training.count / 60, 1), 200))
    var (sum, weight, growths) = (0.0, 0.0, -1)
    return training.map { point in
      if point.growths != growths { (sum, weight, growths) = (0, 0, point.growths) }
      sum = memory * sum + (1 - memory) * point.loss
      weight = memory * weight + (1 - memory)
      var point = point
      point.loss = sum / weight
      return point
    }
  }

  /// The phases that the run has reached, in order.
  package var phases: [PhaseRow] {
    let smoothed = smoothed
    var rows: [PhaseRow] = []
    var before: (step: Int, operations: Double, seconds: Double) = (0, 0, 0)
    let indices = Set(training.map(\.phase)).union(growths.map(\.phase)).sorted()
    for index in indices {
      if let growth = growths.first(where: { $0.phase == index }) {
        rows.append(
          PhaseRow(
            index: index, name: "grow: \(growth.name) to \(growth.change)", steps: 0, operations: 0,
            seconds: growth.seconds, loss: nil, validationLoss: growth.lossAfter))
        before.seconds += growth.seconds
        continue
      }
      guard let end = smoothed.last(where: { $0.phase == index }) else { continue }
      let name = phaseNames.indices.contains(index) ? phaseNames[index] : "train"
      rows.append(
        PhaseRow(
          index: index, name: name, steps: end.step - before.step, operations: end.operations - before.operations,
          seconds: end.seconds - before.seconds, loss: end.loss,
          validationLoss: validation.last { $0.step == end.step && $0.growths == end.growths }?.loss))
      before = (end.step, end.operations, end.seconds)
    }
    return rows
  }
}

extension RunCurves.Point {
  /// - Parameters:
  ///   - tokens: where the line has no totals.
  ///   - seconds: the same.
  fileprivate init(_ line: SettingValue, loss: Double, tokens: Double, seconds: Double) {
    let total = line["total"]
    self.init(
      step: line.count("step") ?? 0, phase: line.count("phase") ?? 0, growths: line.count("growths") ?? 0,
      operations: total?["operations"]?.double ?? 0, tokens: total?["targets"]?.double ?? tokens,
      seconds: total?["seconds"]?.double ?? seconds, loss: loss)
  }
}

extension RunCurves.Growth {
  fileprivate init(_ line: SettingValue, phase: Int, _ evaluations: [RunCurves.Point]) {
    let step = line.count("step") ?? 0, growths = line.count("growths") ?? 1
    func evaluated(_ growths: Int) -> Double? { evaluations.last { $0.step == step && $0.growths == growths }?.loss }
    func text(_ key: String) -> String { if case .text(let text)? = line[key] { text } else { "" } }
    let before = evaluated(growths - 1) ?? line["lossBefore"]?.double
    let after = evaluated(growths) ?? line["lossAfter"]?.double
    let changes = if case .mapping(let entries)? = line["to"] { entries } else { [String: SettingValue]() }
    self.init(
      step: step, phase: phase, name: text("operator"),
      change: changes.sorted { $0.key < $1.key }.map { "\($0.key): \($0.value.recipeText)" }.joined(separator: ", "),
      parametersBefore: line.count("parametersBefore") ?? 0, parametersAfter: line.count("parametersAfter") ?? 0,
      seconds: line["seconds"]?.double ?? 0,
      place: RunCurves.Point(line, loss: before ?? .nan, tokens: 0, seconds: 0), lossBefore: before, lossAfter: after)
  }
}

extension SettingValue {
  /// A whole number under a key.
  fileprivate func count(_ key: String) -> Int? {
    if case .integer(let value)? = self[key] { value } else { nil }
  }
}
