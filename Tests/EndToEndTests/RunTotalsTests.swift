import EspalierMethods
import EspalierTesting
import EspalierTrain
import Foundation
import Testing

/// What a run counts of its own cost, and what it decides from it.
@Suite struct RunTotalsTests {
  private static let recipe = """
    model:     { decoder: { width: 16, depth: 2, heads: 2, context: 12 } }
    optimizer: { adamw: { rate: 3e-3 } }
    data:      { synthetic: { kind: shift, samples: 64, vocabulary: 7, validation: 16 } }
    batch:     { samples: 8, lanes: 4 }
    schedule:
      - train: { steps: 40, until: { marginalReturn: { window: 0.1, lag: 0.1, kappa: 0.9, minimum: 0.3, maximum: 0.8 } } }
      - train: {}
    evaluate:  { every: 10, batch: 8 }
    save:      { every: 0 }
    log:       { every: 7 }
    seed:      3
    """

  /// Step, phase and sums of every line that has them, without the wall time.
  private func sums(_ directory: String) throws -> [String] {
    try String(contentsOfFile: directory + "/metrics.jsonl", encoding: .utf8).split(separator: "\n").compactMap {
      line in
      let line = try JSONDecoder().decode(SettingValue.self, from: Data(line.utf8))
      guard let total = line["total"] else { return nil }
      return ["kind", "step", "phase", "loss"].map { line[$0]?.recipeText ?? "" }.joined(separator: " ")
        + ["operations", "samples", "targets"].map { " " + (total[$0]?.recipeText ?? "") }.joined()
    }
  }

  @Test("sums go on over a resume, and a border decided from losses falls at one step for every number of ranks")
  func sums() throws {
    let whole = try Runs.inTemporaryDirectory { directory in
      _ = try Runs.train(Self.recipe, in: directory)
      let page = try String(contentsOfFile: directory + "/report.html", encoding: .utf8)
      #expect(page.contains("<h2>Loss against work</h2>"))
      return try sums(directory)
    }
    let run = try ResolvedRun(
      RunSettings(
        recipe: SettingsFile(text: Self.recipe, name: "recipe"), choices: Catalogue.standard.choices))
    let operations = 40 * 8 * run.stages[0].operationsPerSample(recompute: false)
    let last = try #require(whole.last)
    // The last token of a sample has no successor to guess.
    #expect(last.hasSuffix(" \(operations) 320 \(320 * 11)"), "\(last)")
    #expect(Set(whole.map { $0.split(separator: " ")[2] }) == ["0", "1"])
    for (ranks, stop) in [(2, 5), (3, 17), (4, 33)] {
      let resumed = try Runs.inTemporaryDirectory { directory in
        _ = try Runs.train(Self.recipe, ranks: ranks, in: directory, stopsAfter: stop)
        _ = try Runs.train(Self.recipe, set: ["stage=3"], ranks: 5 - ranks, in: directory, resumes: true)
        return try sums(directory)
      }
      #expect(resumed == whole, "\(ranks) ranks, stopped after \(stop)")
    }
  }
}
