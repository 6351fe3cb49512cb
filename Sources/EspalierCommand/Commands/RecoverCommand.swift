import ArgumentParser
import EspalierState

struct RecoverCommand: CatalogueCommand {
  static let configuration = CommandConfiguration(
    commandName: "recover",
    abstract: "Rebuilds a lost or damaged manifest of a checkpoint from its shards.",
    discussion: """
      Reads every byte of the shards, which must all be there and whole, and writes MANIFEST.json and COMMIT as they were. What was left of \
      them is kept under another name; a manifest that is good is never touched.
      """)

  @Argument(help: ArgumentHelp("The folder of the checkpoint.", valueName: "folder")) var folder: String
  @Flag(help: "Print JSON.") var json = false

  func run(_ context: CommandContext) throws -> Int32 {
    var path = folder
    while path.count > 1, path.hasSuffix("/") { path.removeLast() }
    let outcome = try ManifestRecovery(path).run()
    try json ? Output.json(outcome) : Output.write(Self.text(path, outcome))
    return 0
  }

  static func text(_ path: String, _ outcome: ManifestRecovery.Outcome) -> String {
    guard outcome.wasNeeded else { return "\(path): its manifest is good; nothing was changed\n" }
    var rows = [
      ("recovered", "\(path), step \(outcome.step), from \(Amount.count(outcome.shards, "shard"))"),
      ("save", outcome.saveID),
    ]
    if let matches = outcome.matchesCommit {
      rows.append(
        ("COMMIT", matches ? "confirms it: this is the manifest that was lost" : "stood for another manifest"))
    }
    rows += outcome.setAside.map { ("set aside", $0) } + outcome.ignored.map { ("not of this save", $0) }
    return TextTable.pairs(rows)
  }
}
