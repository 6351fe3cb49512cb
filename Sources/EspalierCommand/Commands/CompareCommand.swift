import ArgumentParser
import EspalierTrain

struct CompareCommand: CatalogueCommand {
  static let configuration = CommandConfiguration(
    commandName: "compare",
    abstract: "Tells where two runs part: settings, losses, digests, checkpoints.",
    discussion: """
      Losses are compared bit by bit at the steps that both journals have. Digests are in a journal where the recipe has \
      log: { digestEvery: N }; they name the first step and the segments that differ. Where both runs have a checkpoint of the same \
      step, the first slot that differs is named. --set log.digestEvery=1 finds the step exactly.
      """)

  @Argument(help: ArgumentHelp("A run directory.", valueName: "run")) var first: String
  @Argument(help: ArgumentHelp("Another.", valueName: "run")) var second: String
  @Flag(help: "Print JSON.") var json = false

  func run(_ context: CommandContext) throws -> Int32 {
    let comparison = try RunComparison(first, second)
    try json ? Output.json(comparison) : Output.write(Self.text(comparison))
    return 0
  }

  static func text(_ comparison: RunComparison) -> String {
    var rows = [("first", comparison.first), ("second", comparison.second)]
    let changes = comparison.settings
    rows.append(("settings", changes.isEmpty ? "the same" : "\(Amount.count(changes.count, "setting")) differ"))
    rows += changes.map { ("  \($0.key)", "\(shown($0.old)) and \(shown($0.new))") }
    rows += curve("loss", comparison.loss) + curve("validation", comparison.validationLoss)
    rows.append(("digests", digests(comparison.digests)))
    rows.append(("checkpoints", checkpoints(comparison.checkpoints)))
    rows += comparison.checkpoints.notes.map { ("  not read", $0) }
    return TextTable.pairs(rows)
  }

  private static func shown(_ value: String) -> String { value.isEmpty ? "nothing" : value }

  private static func curve(_ name: String, _ curve: RunComparison.Curve) -> [(String, String)] {
    guard curve.commonSteps > 0 else { return [(name, "no step in common")] }
    guard let first = curve.firstDifference, let largest = curve.largestDifference else {
      return [(name, "the same bits at \(Amount.count(curve.commonSteps, "common step"))")]
    }
    return [
      (name, "differs from step \(first.step): \(first.first) and \(first.second)\(upTo(curve.lastSameStep))"),
      ("  largest", "at step \(largest.step): \(largest.first) and \(largest.second)"),
    ]
  }

  private static func digests(_ digests: RunComparison.Digests) -> String {
    guard digests.commonSteps > 0 else {
      return "no step in common; train both with --set log.digestEvery=N"
    }
    guard let step = digests.firstDifferentStep else {
      return "the same at \(Amount.count(digests.commonSteps, "common step"))"
    }
    return "differ from step \(step) in \(digests.segments.joined(separator: ", "))\(upTo(digests.lastSameStep))"
  }

  private static func checkpoints(_ checkpoints: RunComparison.Checkpoints) -> String {
    guard !checkpoints.commonSteps.isEmpty else { return "no step in common" }
    guard let step = checkpoints.firstDifferentStep, let slot = checkpoints.firstDifferentSlot else {
      return "the same at step \(checkpoints.commonSteps.map(String.init).joined(separator: ", "))"
    }
    return "differ from step \(step): first '\(slot)', \(Amount.count(checkpoints.differentSlots, "slot")) in all"
      + upTo(checkpoints.lastSameStep)
  }

  private static func upTo(_ step: Int?) -> String { step.map { "; the same up to step \($0)" } ?? "" }
}
