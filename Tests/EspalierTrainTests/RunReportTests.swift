import EspalierTensor
import EspalierTrain
import Foundation
import Testing

@Suite struct RunReportTests {
  /// A journal of a run of `steps` that grows after half of them, with a loss that jumps by 0.25 there.
  private func journal(_ folder: TemporaryFolder, steps: Int = 200, hasTotals: Bool = true) throws {
    let journal = try Journal(path: folder.path + "/metrics.jsonl", completed: 0) { 0 }
    var settings = RunSettings()
    settings.schedule = [
      .train(TrainPhase(steps: steps, until: .fraction(UntilFraction(at: 0.5)))),
      .grow(GrowPhase(Choice("dup"), to: ModelChange(["width": .integer(64)]))), .train(TrainPhase()),
    ]
    try journal.append(.start(settings: settings, parameters: 10, ranks: 1, data: "numbers"))
    func progress(_ step: Int, phase: Int, growths: Int) -> RunProgress? {
      guard hasTotals else { return nil }
      let half = Double(steps / 2)
      return RunProgress(
        phase: phase, growths: growths, operations: 1e9 * (min(Double(step), half) + 3 * max(Double(step) - half, 0)),
        samples: 8 * step, targets: 100 * step, seconds: 0.5 * Double(step) + (growths > 0 ? 2 : 0))
    }
    func evaluate(_ step: Int, _ loss: Double, phase: Int, growths: Int) throws {
      try journal.append(
        .evaluation(
          step: step, loss: loss, accuracy: 0, bitsPerByte: nil, targets: 1, seconds: 1,
          progress: progress(step, phase: phase, growths: growths)))
    }
    for step in 1...steps {
      let late = step > steps / 2
      try journal.append(
        .step(
          step, loss: 6 - log(Double(step)) + (late ? 0.25 : 0), rate: 1, gradientNorm: 1, tokens: 100, seconds: 0.5,
          progress: progress(step, phase: late ? 2 : 0, growths: late ? 1 : 0)))
      guard step == steps / 2, hasTotals else { continue }
      try evaluate(step, 2, phase: 1, growths: 0)
      try journal.append(
        .growth(
          step: step, name: "dup", to: ModelChange(["width": .integer(64)]), parameters: (10, 40), loss: (2, 2.25),
          seconds: 2, progress: #require(progress(step, phase: 1, growths: 1))))
      try evaluate(step, 2.25, phase: 1, growths: 1)
    }
    try evaluate(steps, 1.5, phase: hasTotals ? 2 : 0, growths: hasTotals ? 1 : 0)
  }

  @Test("phases add up to the run, and a growth stands between them with its jump")
  func phases() throws {
    let folder = try TemporaryFolder()
    try journal(folder)
    let history = try RunCurves(run: folder.path)
    let rows = history.phases
    #expect(rows.map(\.name) == ["train", "grow: dup to width: 64", "train"])
    #expect(rows.map(\.steps) == [100, 0, 100])
    #expect(rows.map(\.operations) == [100e9, 0, 300e9])
    #expect(rows.map(\.seconds) == [50, 2, 50])
    #expect(rows[0].validationLoss == 2 && rows[1].validationLoss == 2.25 && rows[2].validationLoss == 1.5)
    #expect(history.growths.first?.lossBefore == 2 && history.growths.first?.lossAfter == 2.25)
    // Begun anew at the growth: the jump of ¼ between neighbours is not smoothed away.
    let smoothed = history.smoothed
    #expect(smoothed[100].loss == 6 - log(101.0) + 0.25)
  }

  @Test("a growth that a resume repeats is told once, by its newest lines")
  func repeated() throws {
    let folder = try TemporaryFolder()
    try journal(folder)
    let journal = try Journal(path: folder.path + "/metrics.jsonl", completed: 100) { 0 }
    let again = RunProgress(phase: 1, growths: 1, operations: 100e9, samples: 800, targets: 10_000, seconds: 53)
    try journal.append(
      .growth(
        step: 100, name: "dup", to: ModelChange(["width": .integer(64)]), parameters: (10, 40), loss: (2, 2.5),
        seconds: 3, progress: again))
    try journal.append(
      .evaluation(step: 100, loss: 2.5, accuracy: 0, bitsPerByte: nil, targets: 1, seconds: 1, progress: again))
    let history = try RunCurves(run: folder.path)
    #expect(history.growths.count == 1)
    #expect(history.growths.first?.lossAfter == 2.5 && history.growths.first?.seconds == 3)
    #expect(history.validation.map(\.loss) == [2, 2.5])
    #expect(history.training.count == 100)
  }

  @Test("a journal without totals has tokens and time of its lines, and no picture of work")
  func old() throws {
    let folder = try TemporaryFolder()
    try journal(folder, hasTotals: false)
    let history = try RunCurves(run: folder.path)
    #expect(history.training.last?.tokens == 20_000 && history.training.last?.seconds == 100)
    let page = ReportPage.html([history])
    #expect(!page.contains("Loss against work") && page.contains("Loss against tokens"))
  }

  @Test("a page is one file: well-formed, of no script and no address, with what names are in it escaped")
  func page() throws {
    let folder = try TemporaryFolder()
    try journal(folder)
    let history = try RunCurves(run: folder.path)
    let page = ReportPage.html([history, history])
    for word in ["http:", "https:", "<script", "src=", "@import", "url(//"] { #expect(!page.contains(word), "\(word)") }
    var open: [Substring] = []
    for tag in page.matches(of: /<(\/?)([a-z][a-zA-Z0-9]*)([^<>]*?)(\/?)>/) {
      let name = tag.2
      if ["meta", "br"].contains(name) || !tag.4.isEmpty { continue }
      if tag.1.isEmpty { open.append(name) } else { #expect(open.popLast() == name) }
    }
    #expect(open.isEmpty)
    for axis in ["work", "tokens", "wall time"] { #expect(page.contains("<h2>Loss against \(axis)</h2>")) }
    #expect(page.contains("+0.2500"))
    #expect(!page.contains("nan") && !page.contains("inf\""))
    #expect(ReportPage.html([history]).contains("prefers-color-scheme: dark"))
  }

  @Test("a run without a step has no report, and says so")
  func empty() throws {
    let folder = try TemporaryFolder()
    let error = #expect(throws: RunError.self) { try RunCurves(run: folder.path) }
    #expect(error?.kind == .noRun)
  }

  @Test("names of growths touch neither each other nor the edge, however close the growths are")
  func labels() throws {
    let folder = try TemporaryFolder()
    let journal = try Journal(path: folder.path + "/metrics.jsonl", completed: 0) { 0 }
    for step in 1...400 {
      let growths = [100, 104, 110, 390, 398].filter { $0 < step }.count
      func progress(_ growths: Int) -> RunProgress {
        RunProgress(
          phase: 2 * growths, growths: growths, operations: 1e12 * Double(step), samples: step, targets: step,
          seconds: Double(step))
      }
      try journal.append(
        .step(step, loss: 2, rate: 1, gradientNorm: 1, tokens: 1, seconds: 1, progress: progress(growths)))
      guard [100, 104, 110, 390, 398].contains(step) else { continue }
      try journal.append(
        .growth(
          step: step, name: "interleave", to: ModelChange(["depth": .integer(8), "width": .integer(256)]),
          parameters: (1, 2), loss: (2, 2), seconds: 1,
          progress: RunProgress(
            phase: 2 * growths + 1, growths: growths + 1, operations: 1e12 * Double(step), samples: step, targets: step,
            seconds: Double(step))))
    }
    let page = ReportPage.html([try RunCurves(run: folder.path)])
    let pattern = /<text class="event run0" x="([0-9.]+)" y="([0-9.]+)" text-anchor="middle">([^<]*)<\/text>/
    for picture in page.split(separator: "<h2>") where picture.hasPrefix("Loss against") {
      let boxes = picture.matches(of: pattern).compactMap { match -> (Double, Double, Double)? in
        guard let x = Double(match.1), let y = Double(match.2) else { return nil }
        let half = 3.2 * Double(match.3.count)
        return (x - half, x + half, y)
      }
      #expect(boxes.count == 5)
      for (index, box) in boxes.enumerated() {
        #expect(box.0 >= 0 && box.1 <= 860 && box.2 >= 8)
        for other in boxes[(index + 1)...] where abs(other.2 - box.2) < 12 {
          #expect(box.1 < other.0 || other.1 < box.0, "\(box) and \(other)")
        }
      }
    }
  }
}

@Suite struct PlotScaleTests {
  @Test("every axis has round ticks inside of it, named without touching, and names say the values")
  func ticks() {
    let key = RandomKey(seed: 5)
    for trial in 0..<400 {
      let (a, b) = (key.uniform(at: UInt64(2 * trial)), key.uniform(at: UInt64(2 * trial + 1)))
      let isLogarithmic = trial.isMultiple(of: 2)
      let low = pow(10, 8 * a - 4), high = low * (1 + pow(10, 4 * b - 2))
      let scale = PlotScale(low...high, pixels: (60, 840), isLogarithmic: isLogarithmic)
      let ticks = scale.ticks { Double($0) * 6.3 + 14 }
      let named = ticks.filter { !$0.label.isEmpty }
      let span = (high - low) * 1e-6
      #expect(ticks.allSatisfy { $0.value >= low - span && $0.value <= high + span }, "trial \(trial)")
      #expect(named.count >= 2 || (isLogarithmic && high / low < 9), "trial \(trial): \(low) to \(high)")
      for tick in named {
        let said = Double(tick.label) ?? .nan
        #expect(abs(said - tick.value) <= 1e-3 * abs(tick.value), "\(tick)")
      }
      for (tick, next) in zip(named, named.dropFirst()) {
        let room = 6.3 * Double(tick.label.count + next.label.count) / 2
        #expect(scale.place(next.value) - scale.place(tick.value) > room, "\(tick) and \(next)")
      }
    }
  }

  @Test("ends of the domain lie at the ends of the paper; equal steps or equal factors take equal room")
  func place() {
    let linear = PlotScale(2...6, pixels: (100, 0))
    #expect([2, 3, 6].map(linear.place) == [100, 75, 0])
    let logarithmic = PlotScale(1...10_000, pixels: (0, 400), isLogarithmic: true)
    #expect([1, 10, 100, 10_000].map(logarithmic.place) == [0, 100, 200, 400])
    #expect(PlotScale(3...3, pixels: (0, 100)).place(3) == 50)
  }
}
