import ArgumentParser
import EspalierState
import EspalierTrain

struct InspectCommand: CatalogueCommand {
  static let configuration = CommandConfiguration(
    commandName: "inspect",
    abstract: "Shows what a checkpoint holds: step, sizes, tensors, slots, history, settings.",
    discussion: "Reads the manifest and the ends of the shards, not their contents: see `verify --full` for those.")

  @OptionGroup var checkpoint: CheckpointArgument
  @Flag(help: "Print JSON.") var json = false

  func run(_ context: CommandContext) throws -> Int32 {
    let report = try InspectionReport(checkpoint.open())
    try json ? Output.json(report) : Output.write(report.text)
    return 0
  }
}

/// What a checkpoint says of itself.
struct InspectionReport: Encodable {
  struct Tensor: Encodable {
    let name: String
    let shape: [Int]
    let isTrainable: Bool
    let slots: [String]
  }

  struct Shard: Encodable {
    let file: String
    let rank: Int
    let host: String
    let bytes: Int
    /// The save that wrote a file of frozen tensors; absent for the shards of this one alone.
    let firstSaved: String?
  }

  let path: String
  let step: Int
  let saveID: String
  let created: String
  let world: CheckpointWorld
  let parameters: Int
  /// Of all slots, before and after compression.
  let rawBytes: Int
  let storedBytes: Int
  let digest: Digest
  let runID: String
  let updates: Int
  /// Targets that were learned from.
  let targets: Int
  /// Why it may stay longer than others: what ends here, and the newest evaluation.
  let marks: CheckpointMarks
  let tensors: [Tensor]
  let shards: [Shard]
  let lineage: [LineageEntry]
  let settings: SettingValue

  init(_ reader: CheckpointReader) throws {
    let manifest = reader.manifest
    let state = try TrainingState(from: reader)
    path = reader.path
    step = reader.step
    saveID = "\(reader.saveID)"
    created = manifest.created
    world = reader.world
    parameters = manifest.tensors.reduce(0) { $0 + $1.record.elementCount }
    (rawBytes, storedBytes) = (manifest.rawBytes, manifest.storedBytes)
    digest = reader.digest
    (runID, updates, targets) = (state.runID, state.updates, state.targets)
    marks = reader.marks
    tensors = manifest.tensors.map {
      Tensor(
        name: $0.record.name, shape: $0.record.shape, isTrainable: $0.record.trainable, slots: $0.slots.map(\.name))
    }
    shards = manifest.shards.map {
      Shard(
        file: $0.file, rank: $0.rank, host: $0.host, bytes: $0.bytes, firstSaved: $0.frozen.map { "\($0.firstSaved)" })
    }
    lineage = state.lineage
    settings = try SettingsFile(text: state.settings, name: "settings of \(reader.path)").value()
  }

  /// nil where nothing is frozen.
  private var frozenText: String? {
    let trained = tensors.filter(\.isTrainable).reduce(0) { $0 + $1.shape.reduce(1, *) }
    guard let text = FrozenText.of(parameters: parameters, trained: trained) else { return nil }
    let files = shards.filter { $0.firstSaved != nil }
    guard !files.isEmpty else { return text }
    let isLinked = files.contains { $0.firstSaved != saveID }
    return text + "; \(Amount.bytes(files.reduce(0) { $0 + $1.bytes })) in \(Amount.count(files.count, "file"))"
      + (isLinked ? " of an earlier save" : "")
  }

  var text: String {
    let ratio = Amount.fixed(Double(storedBytes) / Double(max(rawBytes, 1)), 2)
    var rows =
      [
        ("checkpoint", path), ("step", "\(step)"), ("saved", created), ("run", runID),
        (
          "world",
          "\(Amount.count(world.ranks, "rank")) on \(Amount.count(world.hosts, "host")) (\(world.transport), ZeRO \(world.stage))"
        ),
        ("parameters", Amount.grouped(parameters)),
        (
          "size",
          "\(Amount.bytes(storedBytes)) in \(Amount.count(shards.count, "shard")), \(ratio) of \(Amount.bytes(rawBytes))"
        ),
        ("learned from", "\(Amount.grouped(targets)) targets in \(Amount.count(updates, "update"))"),
      ] + marks.lines + [("digest", "\(digest)")]
    if let frozenText { rows.insert(("frozen", frozenText), at: 6) }
    var text = TextTable.pairs(rows)
    text +=
      "\n"
      + TextTable.columns(
        ["tensor", "shape", "slots"],
        tensors.map { tensor in
          [
            tensor.name, tensor.shape.map(String.init).joined(separator: " x "),
            tensor.slots.joined(separator: " ") + (tensor.isTrainable ? "" : " (frozen)"),
          ]
        })
    text += "\nhistory\n"
    for entry in lineage {
      text += "  after step \(entry.step): \(entry.event.rawValue) on \(Amount.count(entry.ranks, "rank")) "
      text += "(\(entry.transport), ZeRO \(entry.stage)\(entry.kernels.isEmpty ? "" : "; \(entry.kernels)"))\n"
      for reason in entry.outsidePromise ?? [] { text += "    outside the promise of one result: \(reason)\n" }
      for change in entry.changes { text += "    changed: \(change)\n" }
    }
    text += "\nsettings\n"
    if case .mapping(let entries) = settings {
      text += TextTable.pairs(entries.sorted { $0.key < $1.key }.map { ($0.key, $0.value.recipeText) }, indent: 2)
    }
    return text
  }
}

extension CheckpointMarks {
  fileprivate var lines: [(String, String)] {
    (evaluation.map { [("validation", "loss \(Amount.fixed($0.loss, 4)) after step \($0.step)")] } ?? [])
      + (border.map { [("border", $0)] } ?? [])
  }
}
