import ArgumentParser
import EspalierState
import EspalierTrain

struct DiffCommand: CatalogueCommand {
  static let configuration = CommandConfiguration(
    commandName: "diff",
    abstract: "Tells where two checkpoints differ, to the element.",
    discussion: """
      Compares digests of slots, and reads the elements of the first that differ. Ranks, stage and layout do not matter. Settings and \
      training state are told too, but do not decide. Exit code: 0 if all tensors have the same bits, 1 if not, 2 for trouble.
      """)

  @Argument(help: ArgumentHelp("A checkpoint, or a run directory for its newest.", valueName: "checkpoint"))
  var first: String
  @Argument(help: ArgumentHelp("Another.", valueName: "checkpoint")) var second: String
  @Option(help: ArgumentHelp("Differing slots whose elements are read, from the first; 0 = all.", valueName: "n"))
  var slots = 5
  @Flag(help: "Print JSON.") var json = false

  func validate() throws {
    guard slots >= 0 else { throw ValidationError("--slots wants 0 or more, not \(slots).") }
  }

  func run(_ context: CommandContext) throws -> Int32 {
    do {
      let (a, b) = (try CheckpointArgument.open(first, full: false), try CheckpointArgument.open(second, full: false))
      let report = DiffReport(
        diff: try CheckpointDiff(a, b, readSlots: slots == 0 ? nil : slots), state: try StateDifference(a, b))
      try json ? Output.json(report) : Output.write(report.text)
      return report.diff.isSame ? 0 : 1
    } catch {
      FailureReport.print(error)
      return 2
    }
  }
}

/// What `espalier diff` found.
struct DiffReport: Encodable {
  let diff: CheckpointDiff
  let state: StateDifference

  private enum CodingKeys: CodingKey { case isSame, diff, state }

  func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: CodingKeys.self)
    try container.encode(diff.isSame, forKey: .isSame)
    try container.encode(diff, forKey: .diff)
    try container.encode(state, forKey: .state)
  }

  /// How many differing slots are listed whose elements were not read.
  private static let shown = 10

  var text: String {
    var rows = [
      ("first", "\(diff.firstPath), step \(diff.firstStep)"), ("second", "\(diff.secondPath), step \(diff.secondStep)"),
    ]
    rows += list("settings", state.settings.map { "\($0)" })
    rows += list("state", state.other)
    rows += list("only in first", diff.onlyInFirst) + list("only in second", diff.onlyInSecond)
    rows += list("shapes", diff.shapes.map { "\($0.tensor): \($0.first) and \($0.second)" })
    rows += list("trained in one", diff.trainable)
    rows.append(
      (
        "slots",
        diff.slots.isEmpty
          ? "\(Amount.grouped(diff.sameSlots)) the same"
          : "\(Amount.grouped(diff.slots.count)) differ, \(Amount.grouped(diff.sameSlots)) the same"
      ))
    for slot in diff.slots.filter({ $0.elements != nil }) + diff.slots.filter({ $0.elements == nil }).prefix(Self.shown)
    {
      rows.append(("  \(slot.tensor)/\(slot.slot)", "\(slot.firstDigest) and \(slot.secondDigest)"))
      guard let elements = slot.elements else { continue }
      rows.append(
        (
          "    first",
          "element \(elements.flatIndex) \(elements.index): \(elements.first) (\(elements.firstBits)) and "
            + "\(elements.second) (\(elements.secondBits))"
        ))
      rows.append(
        (
          "    in all",
          "\(Amount.grouped(elements.count)) of \(Amount.grouped(elements.total)) elements, by at most \(elements.largest)"
        ))
    }
    let hidden = diff.slots.filter { $0.elements == nil }.count - Self.shown
    if hidden > 0 { rows.append(("  …", "and \(Amount.count(hidden, "slot")) more; --json lists them")) }
    rows.append(("result", diff.isSame ? "the same" : "different"))
    return TextTable.pairs(rows)
  }

  private func list(_ name: String, _ lines: [String]) -> [(String, String)] {
    lines.enumerated().map { ($0 == 0 ? name : "", $1) }
  }
}
