import ArgumentParser
import EspalierState
import EspalierTrain

struct DigestCommand: CatalogueCommand {
  static let configuration = CommandConfiguration(
    commandName: "digest",
    abstract: "Prints a fingerprint of every slot and of the whole state.",
    discussion: """
      One line for each slot, 'parameter/slot HEX', and last 'total HEX'. Two states are the same to the last bit if and, for all that is \
      likely, only if their totals are; ranks and stage do not matter. Every byte is read and checked first.
      """)

  @OptionGroup var checkpoint: CheckpointArgument
  @Flag(help: "Print JSON.") var json = false

  func run(_ context: CommandContext) throws -> Int32 {
    let reader = try checkpoint.open()
    try reader.requireIntact()
    let report = DigestReport(reader, lineage: (try? TrainingState(from: reader).lineage) ?? [])
    for line in report.outsidePromise { FailureReport.warn("outside the promise of one result: \(line)") }
    if json {
      try Output.json(report)
    } else {
      for slot in report.slots { Output.line("\(slot.name) \(slot.digest)") }
      Output.line("total \(report.total)")
    }
    return 0
  }
}

/// The digests of a checkpoint.
struct DigestReport: Encodable {
  struct Slot: Encodable {
    /// "parameter/slot"
    let name: String
    let digest: Digest
  }

  let slots: [Slot]
  let step: Int
  let total: Digest
  /// Since which step and why the state may depend on ranks and hosts; empty where it does not.
  let outsidePromise: [String]

  init(_ reader: CheckpointReader, lineage: [LineageEntry]) {
    outsidePromise = lineage.flatMap { entry in
      (entry.outsidePromise ?? []).map { "after step \(entry.step) \($0)" }
    }
    slots = reader.manifest.tensors.flatMap { tensor in
      tensor.slots.map { Slot(name: "\(tensor.record.name)/\($0.name)", digest: $0.digest) }
    }
    step = reader.step
    total = reader.digest
  }
}
