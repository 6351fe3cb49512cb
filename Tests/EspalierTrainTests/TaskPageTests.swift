import EspalierTensor
import EspalierTrain
import Foundation
import Testing

@Suite struct TaskPageTests {
  @Test("a page is one well-formed file without scripts or addresses, for 1 to 20 tasks", arguments: [1, 2, 5, 11, 20])
  func page(_ tasks: Int) {
    for learned in Set([0, 1, tasks]) {
      let results = SampledTasks.run(tasks: tasks, learned: learned)
      let page = TaskPage.html(TaskStudy([("runs/a", results)]))
      WellFormedPage.check(page)
      #expect(page.contains("prefers-color-scheme: dark"))
    }
    let groups = (1...3).map { seed in ("er/\(seed)", SampledTasks.run(tasks: tasks, seed: UInt64(seed))) }
    let other = (1...2).map { seed in
      ("f/\(seed)", SampledTasks.run(tasks: tasks, methods: ["finetune"], seed: UInt64(seed), forgets: 0.4))
    }
    WellFormedPage.check(TaskPage.html(TaskStudy(groups + other)))
  }

  @Test("names that are markup, or very long, stay text")
  func names() {
    let results = SampledTasks.run(
      tasks: 3, methods: ["<b>&\""],
      name: { "<svg onload=\"x\"> & \($0) " + String(repeating: "long ", count: 40) })
    let page = TaskPage.html(TaskStudy([("runs/<i>&\"'", results), ("runs/b", results)]))
    WellFormedPage.check(page)
    #expect(page.contains("&lt;svg onload=&quot;x&quot;&gt; &amp; 0 long"))
  }

  @Test("every cell of the heat map has the figure that was measured, the diagonal framed and what comes later pale")
  func cells() throws {
    let results = SampledTasks.run(tasks: 5, views: [.task])
    let page = TaskPage.html(TaskStudy([("runs/a", results)]))
    let pattern =
      /<g class="(cell[a-z ]*) h([0-9]+)"><title>(after task [0-9]|untrained), on task ([0-9]) [^<]*<\/title><rect[^<]*<text class="figure"[^>]*>([0-9.]+)<\/text>/
    let cells = page.matches(of: pattern)
    #expect(cells.count == 6 * 5)
    for cell in cells {
      let learned = Int(String(cell.3.last ?? "0")) ?? 0
      let task = try #require(Int(cell.4)) - 1
      let entry = try #require(results.views[.task]?.accuracy[learned: learned, task: task])
      #expect(Double(cell.5) == (Double(entry.correct) / 10 * 10).rounded() / 10)
      #expect(Int(cell.2) == Int((entry.fraction * 50).rounded()))
      #expect(cell.1 == (learned == task + 1 ? "cell own" : learned <= task ? "cell later" : "cell"))
    }
  }

  @Test("figures can be read on every shade, in light and dark")
  func contrast() throws {
    let page = TaskPage.html(TaskStudy([("runs/a", SampledTasks.run(tasks: 2))]))
    let rules = page.matches(of: /\.h([0-9]+) \{ --cell: #([0-9a-f]{6}); --on: #([0-9a-f]{6}); \}/)
    #expect(rules.count == 2 * 51)
    func luminance(_ text: Substring) throws -> Double {
      let value = try #require(Int(text, radix: 16))
      return zip([16, 8, 0], [0.2126, 0.7152, 0.0722]).reduce(0) { sum, part in
        let level = Double((value >> part.0) & 255) / 255
        return sum + part.1 * (level <= 0.04045 ? level / 12.92 : pow((level + 0.055) / 1.055, 2.4))
      }
    }
    for half in [rules.prefix(51), rules.suffix(51)] {
      var before: Double?
      let isRising = try luminance(half[half.startIndex].2) < luminance(half[half.endIndex - 1].2)
      for rule in half {
        let (cell, on) = (try luminance(rule.2), try luminance(rule.3))
        #expect((max(cell, on) + 0.05) / (min(cell, on) + 0.05) >= 4.5, "\(rule.0)")
        // More is always further from the page's shade.
        if let before { #expect(isRising ? cell > before : cell < before, "\(rule.0)") }
        before = cell
      }
    }
  }

  @Test("several runs are told apart, and runs of several seeds have a deviation")
  func several() {
    let runs = [(["er"], 0.1), (["finetune"], 0.5)].flatMap { methods, loss in
      (1...3).map { seed in
        (
          "runs/\(methods[0])-\(seed)",
          SampledTasks.run(tasks: 5, methods: methods, seed: UInt64(seed), forgets: loss)
        )
      }
    }
    let page = TaskPage.html(TaskStudy(runs))
    for label in ["er", "finetune"] { #expect(page.contains("\">\(label)</figcaption>")) }
    #expect(page.contains(/[0-9]\.[0-9] ± [0-9]\.[0-9]/) && page.contains("class=\"band run1\""))
    for metric in ContinualMetric.allCases { #expect(page.contains("<td class=\"name\">\(metric.title)</td>")) }
    #expect(page.contains("<h2>Runs</h2>"))
    let single = TaskPage.html(TaskStudy([runs[0]]))
    #expect(!single.contains("±") && !single.contains("class=\"band") && !single.contains("<h2>Runs</h2>"))
  }
}
