import EspalierComm
import EspalierMethods
import EspalierNN
package import EspalierState
import EspalierTensor
import Foundation

/// How a run begins: new, from the weights of a checkpoint, or where another run of the same recipe stopped.
///
/// Rank 0 alone looks at the run directory and decides; the others hear what.
package struct RunStart: Codable, Sendable {
  /// The checkpoint to fill the store from; empty for weights from the seed.
  package let checkpoint: String
  /// Of that checkpoint, so that no rank reads another one under the same name; nil without one.
  package let saveID: SaveID?
  /// The slots to take from it; empty for all.
  package let slots: [String]
  package let isResume: Bool
  package let state: TrainingState
  /// What a person should know: refused checkpoints and why, changed settings, an old lock.
  package let notes: [String]
  /// Of the run's lock, by which the other ranks see that they look at the same directory.
  let holder: RunLock.Holder

  /// Decides on rank 0. The caller holds the run's lock.
  static func decide(_ run: ResolvedRun, _ options: TrainerOptions, _ origin: RunOrigin, _ holder: RunLock.Holder)
    throws -> RunStart
  {
    let directory = CheckpointDirectory(run: options.runDirectory)
    var notes = directory.cleanUp().map { "\($0)" }
    if options.resumes { return try resume(run, options, directory, origin, holder, notes: &notes) }
    if let newest = try directory.list().last {
      throw RunError(
        .runExists, subject: options.runDirectory,
        reason: "the run directory has checkpoints already (the newest is \(newest.name))",
        remedy: "go on with --resume, or choose another --run directory")
    }
    let settings = try run.settings.canonicalJSON()
    let state = TrainingState(
      settings: settings, dataHash: hexadecimal(run.dataHash),
      lineage: [origin.entry(.start, step: 0, changes: [], run.settings)])
    notes += run.settings.outsidePromise.map(warning)
    let start = run.settings.start
    guard !start.from.isEmpty else {
      return RunStart(
        checkpoint: "", saveID: nil, slots: [], isResume: false, state: state, notes: notes, holder: holder)
    }
    let reader = try CheckpointReader(start.from)
    let problems = reader.verify(full: true)
    if let first = problems.first { throw first }
    try checkConstants(of: reader, run)
    if let note = otherOptimizer(than: run, in: reader, options) { notes.append(note) }
    return RunStart(
      checkpoint: start.from, saveID: reader.saveID, slots: start.slots, isResume: false, state: state, notes: notes,
      holder: holder)
  }

  /// What to know where weights change between Muon and another optimizer (Liu et al. 2025, arXiv:2502.16982, tables 6 and 7).
  private static func otherOptimizer(
    than run: ResolvedRun, in reader: CheckpointReader, _ options: TrainerOptions
  ) -> String? {
    guard let state = try? TrainingState(from: reader),
      let old = try? RunSettings(
        canonicalJSON: state.settings, name: "settings of \(reader.path)", choices: options.catalogue.choices)
    else { return nil }  // weights from elsewhere
    let (before, now) = (old.optimizer.name, run.settings.optimizer.name)
    guard before != now, [before, now].contains(Muon.name) else { return nil }
    return "the weights were trained with '\(before)' and go on with '\(now)': "
      + "what Muon gains was seen only where it trained from the start"
  }

  private static func resume(
    _ run: ResolvedRun, _ options: TrainerOptions, _ directory: CheckpointDirectory, _ origin: RunOrigin,
    _ holder: RunLock.Holder, notes: inout [String]
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
    let sameData = state.dataHash == hexadecimal(run.dataHash)
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
    try checkGrowths(of: state, run, options.catalogue)
    state.settings = try run.settings.canonicalJSON()
    state.dataHash = hexadecimal(run.dataHash)
    state.lineage.append(origin.entry(.resume, step: state.step, changes: described, run.settings))
    notes += run.settings.outsidePromise.map(warning)
    notes += described.map { "changed since the checkpoint: \($0)" }
    notes += frozenChanges(from: reader, to: run.stage(after: state.cursor.grown.count).blueprint)
    return RunStart(
      checkpoint: reader.path, saveID: reader.saveID, slots: [], isResume: true, state: state, notes: notes,
      holder: holder)
  }

  /// The growths that are done are still those of the recipe.
  private static func checkGrowths(of state: TrainingState, _ run: ResolvedRun, _ catalogue: Catalogue) throws {
    let done = state.cursor.grown
    let stage = try run.stage(after: done.count).widened(by: state.continual?.added ?? [:], run.settings)
    let sameModel =
      state.grown.map {
        $0.constants == stage.constants && catalogue.isSame($0.choice, stage.choice)
      } ?? true
    let samePhases = done.enumerated().allSatisfy { index, growth in
      run.stages.indices.contains(index + 1) && run.stages[index + 1].growth?.phase == growth.phase
    }
    guard sameModel, samePhases else {
      throw RunError(
        .resumeRefused, subject: "schedule",
        reason:
          "the run has grown \(done.count == 1 ? "once" : "\(done.count) times") already, and the recipe no longer says how",
        remedy: "bring back the grow phases that are done, with what they grow to and by which operator")
    }
  }

  /// Weights that growth has made are computed with the constants that it gave them.
  private static func checkConstants(of reader: CheckpointReader, _ run: ResolvedRun) throws {
    guard let state = try? TrainingState(from: reader),
      let settings = try? RunSettings(
        canonicalJSON: state.settings, name: "settings of \(reader.path)", choices: Catalogue.standard.choices)
    else { return }
    let wanted = state.model(in: settings).constants
    guard wanted != run.settings.constants else { return }
    throw RunError(
      .wrongModel, subject: reader.path,
      reason: "growth has changed constants of its model, and the recipe has others",
      remedy: "write 'constants: \((try? SettingValue(encoding: wanted).recipeText) ?? "")' into the recipe")
  }

  /// What a resume makes of weights that are newly frozen, or no longer.
  private static func frozenChanges(from reader: CheckpointReader, to blueprint: Blueprint) -> [String] {
    let wasTrained = Dictionary(uniqueKeysWithValues: reader.tensors.map { ($0.name, $0.trainable) })
    func text(_ isTrainable: Bool) -> String? {
      let names = blueprint.parameters.map { ($0.name, $0.isTrainable) }
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

  /// Refuses a run directory that is not one and the same on all ranks: each looks for the lock that rank 0 has just written.
  /// Collective.
  func checkSharing(_ communicator: Communicator, _ run: String) throws {
    guard communicator.size > 1 else { return }
    try communicator.together("looking for the lock of \(run)") {
      // A network file system may show a new file late, within seconds.
      var delay = 0.01
      while !RunLock.isHeld(run, by: holder) {
        guard delay < 3 else {
          let host = communicator.members[communicator.rank].host
          throw RunError(
            .notShared, subject: run,
            reason:
              "rank \(communicator.rank) on \(host) does not see the lock that rank 0 on \(holder.host) has written there",
            remedy: "choose a --run directory on a file system that all hosts share")
        }
        Thread.sleep(forTimeInterval: delay)
        delay *= 2
      }
    }
  }

  /// Fills the store of this rank. Collective.
  func fill(_ session: RankSession) throws {
    let store = session.store
    if checkpoint.isEmpty { return try store.initialize(seed: session.run.settings.seed) }
    try session.communicator.together("reading \(checkpoint)") {
      let reader = try CheckpointReader(checkpoint)
      guard reader.saveID == saveID else {
        throw RunError(
          .notShared, subject: checkpoint,
          reason:
            "this rank sees another save there (\(reader.saveID)) than rank 0 chose (\(saveID.map { "\($0)" } ?? ""))",
          remedy: "see that all hosts mount the same file system, and start again")
      }
      let wanted = slots.isEmpty ? store.slots : store.slots.filter { slots.contains($0.name) }
      try Relayout(from: reader).read(into: store, slots: wanted, extras: isResume)
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
