import EspalierComm
import EspalierNN
import EspalierState
import EspalierTensor
import Foundation

/// How a run begins: new, from the weights of a checkpoint, or where another run of the same recipe stopped.
///
/// Rank 0 alone looks at the run directory and decides; the others hear what.
package struct RunStart: Codable, Sendable {
  /// The checkpoint to fill the store from; empty for weights from the seed.
  package let checkpoint: String
  /// The slots to take from it; empty for all.
  package let slots: [String]
  package let isResume: Bool
  package let state: TrainingState
  /// What a person should know: refused checkpoints and why, changed settings, an old lock.
  package let notes: [String]

  /// Decides on rank 0. The caller holds the run's lock.
  static func decide(_ run: ResolvedRun, _ options: TrainerOptions, _ origin: RunOrigin) throws -> RunStart {
    let directory = CheckpointDirectory(run: options.runDirectory)
    var notes = directory.cleanUp().map { "\($0)" }
    if options.resumes { return try resume(run, options, directory, origin, notes: &notes) }
    if let newest = try directory.list().last {
      throw RunError(
        .runExists, subject: options.runDirectory,
        reason: "the run directory has checkpoints already (the newest is \(newest.name))",
        remedy: "go on with --resume, or choose another --run directory")
    }
    let settings = try run.settings.canonicalJSON()
    let state = TrainingState(
      settings: settings, dataHash: hexadecimal(run.data.contentHash),
      lineage: [origin.entry(.start, step: 0, changes: [], run.settings)])
    notes += run.settings.outsidePromise.map(warning)
    let start = run.settings.start
    guard !start.from.isEmpty else {
      return RunStart(checkpoint: "", slots: [], isResume: false, state: state, notes: notes)
    }
    let reader = try CheckpointReader(start.from)
    let problems = reader.verify(full: true)
    if let first = problems.first { throw first }
    return RunStart(checkpoint: start.from, slots: start.slots, isResume: false, state: state, notes: notes)
  }

  private static func resume(
    _ run: ResolvedRun, _ options: TrainerOptions, _ directory: CheckpointDirectory, _ origin: RunOrigin,
    notes: inout [String]
  ) throws -> RunStart {
    let found = try directory.newestValid(full: true)
    for refused in found.refused {
      notes += refused.problems.prefix(3).map { "checkpoint \(refused.name) is not used: \($0)" }
    }
    guard let reader = found.reader else {
      throw RunError(
        .nothingToResume, subject: directory.path,
        reason: notes.isEmpty ? "there is no checkpoint to resume from" : notes.joined(separator: "; "),
        remedy: "start without --resume in another run directory")
    }
    var state = try TrainingState(from: reader)
    let old = try RunSettings(
      canonicalJSON: state.settings, name: "settings of \(reader.path)", choices: options.catalogue.choices)
    let sameData = state.dataHash == hexadecimal(run.data.contentHash)
    let changes = try SettingsChange.compare(old: old, new: run.settings, sameData: sameData)
    try SettingsChange.check(changes, allowing: options.allowed)
    var described = changes.map(\.description)
    if !sameData {
      guard options.allowed.contains("data") else {
        throw RunError(
          .resumeRefused, subject: run.data.training.description,
          reason: "the data are not those that the run began with",
          remedy: "bring the data back, or resume knowingly with --allow data")
      }
      described.append("other data")
    }
    state.settings = try run.settings.canonicalJSON()
    state.dataHash = hexadecimal(run.data.contentHash)
    state.lineage.append(origin.entry(.resume, step: state.step, changes: described, run.settings))
    notes += run.settings.outsidePromise.map(warning)
    notes += described.map { "changed since the checkpoint: \($0)" }
    notes += frozenChanges(from: reader, to: run)
    return RunStart(checkpoint: reader.path, slots: [], isResume: true, state: state, notes: notes)
  }

  /// What a resume makes of weights that are newly frozen, or no longer.
  private static func frozenChanges(from reader: CheckpointReader, to run: ResolvedRun) -> [String] {
    let wasTrained = Dictionary(uniqueKeysWithValues: reader.tensors.map { ($0.name, $0.trainable) })
    func text(_ isTrainable: Bool) -> String? {
      let names = run.blueprint.parameters.map { ($0.name, $0.isTrainable) }
        .filter { $1 == isTrainable && wasTrained[$0] == !isTrainable }.map(\.0)
      return names.first.map { names.count == 1 ? "'\($0)'" : "\(names.count) parameters (as '\($0)')" }
    }
    var notes: [String] = []
    if let thawed = text(true) { notes.append("trained from here on, with optimizer slots of zeros: \(thawed)") }
    if let frozen = text(false) { notes.append("frozen from here on, without optimizer slots: \(frozen)") }
    return notes
  }

  private static func warning(_ reason: String) -> String {
    "the bits of this run may differ with the number of ranks and hosts: \(reason)"
  }

  /// Fills the store of this rank. Collective.
  func fill(_ session: RankSession) throws {
    let store = session.store
    if checkpoint.isEmpty { return try store.initialize(seed: session.run.settings.seed) }
    try session.communicator.together("reading \(checkpoint)") {
      let reader = try CheckpointReader(checkpoint)
      let wanted = slots.isEmpty ? store.slots : store.slots.filter { slots.contains($0.name) }
      try Relayout(from: reader).read(into: store, slots: wanted)
    }
    try store.share()
  }
}

/// Where a run happens, for the lineage.
struct RunOrigin: Sendable {
  let ranks: Int
  let stage: Int
  let transport: String

  func entry(_ event: LineageEntry.Event, step: Int, changes: [String], _ settings: RunSettings) -> LineageEntry {
    let outside = settings.outsidePromise
    return LineageEntry(
      event: event, step: step, ranks: ranks, stage: stage, transport: transport, kernels: KernelLevel.description,
      changes: changes, outsidePromise: outside.isEmpty ? nil : outside)
  }
}
