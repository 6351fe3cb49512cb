import EspalierMethods
import EspalierNN
package import EspalierState
import Foundation

/// All that a checkpoint holds besides slots: where the run stands, and how it came there.
package struct TrainingState: Codable, Sendable {
  package var runID: String
  package var cursor: ScheduleCursor
  /// Where the next batch begins: samples since the beginning of the run.
  package var position: UInt64
  /// Updates done; skipped steps are not among them.
  package var updates: Int
  /// Targets that were learned from.
  package var targets: Int
  /// Steps in a row that were skipped because they were not finite.
  package var skippedInRow: Int
  /// What all of it has cost.
  package var totals: RunTotals
  /// Of parameters that grew: which of their entries are younger than the run.
  package var births: [String: BirthRanges]
  /// What growths have made of the recipe's model; nil before the first.
  package var grown: GrownModel?
  /// The resolved settings as canonical JSON.
  package var settings: String
  /// Of the data, in hexadecimal.
  package var dataHash: String
  package var lineage: [LineageEntry]
  /// What methods remember, which records there are, and what was measured; nil without tasks.
  package var continual: ContinualState?
  /// What decides how long the checkpoint stays.
  package var marks: CheckpointMarks?

  /// The state of a run that begins.
  package init(settings: String, dataHash: String, lineage: [LineageEntry]) {
    runID = UUID().uuidString.lowercased()
    cursor = ScheduleCursor()
    position = 0
    updates = 0
    targets = 0
    skippedInRow = 0
    totals = RunTotals()
    births = [:]
    self.settings = settings
    self.dataHash = dataHash
    self.lineage = lineage
  }

  /// The state of weights that another program has written, for a run of this recipe.
  package init(imported file: String, for run: ResolvedRun) throws {
    self.init(
      settings: try run.settings.canonicalJSON(), dataHash: hexadecimal(run.dataHash),
      lineage: [
        LineageEntry(
          event: .imported, step: 0, ranks: 1, stage: 0, transport: "import", kernels: KernelLevel.description,
          changes: ["weights from \(file)"])
      ])
  }

  /// Steps done.
  package var step: Int { cursor.completed }

  package func encoded() throws -> [UInt8] {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys]
    return Array(try encoder.encode(self))
  }

  /// - Throws: `RunError` for a state that this build cannot read.
  package init(from checkpoint: CheckpointReader) throws {
    do { self = try JSONDecoder().decode(TrainingState.self, from: Data(checkpoint.state)) } catch {
      throw RunError(
        .resumeRefused, subject: checkpoint.path, reason: "its training state cannot be read (\(error))",
        remedy: "use the build that wrote it")
    }
  }
}

/// A model that growths have made of another.
package struct GrownModel: Codable, Sendable, Equatable {
  /// As a recipe would name it.
  package let choice: Choice
  package let constants: ModelConstants

  package init(_ choice: Choice, _ constants: ModelConstants) {
    self.choice = choice
    self.constants = constants
  }
}

extension TrainingState {
  /// Growths that the weights have been through, in runs and on disk.
  package var growths: Int { lineage.count { $0.event == .grow } }

  /// Writes a growth down.
  mutating func note(
    _ finished: FinishedGrowth, _ growth: RunningGrowth, _ stage: ModelStage, _ origin: RunOrigin,
    _ settings: RunSettings
  ) {
    births = growth.births(after: births, updates: updates)
    grown = GrownModel(stage.choice, stage.constants)
    totals.seconds += finished.seconds
    lineage.append(
      origin.entry(
        .grow, step: step,
        changes: [
          "\(finished.name) to \(SettingValue.mapping(finished.change.options).recipeText)",
          "\(finished.parametersBefore) → \(finished.parametersAfter) parameters", "\(finished.fidelity)",
          "loss on a held batch \(finished.lossBefore) → \(finished.lossAfter)",
        ], settings))
  }

  /// Writes down that layers read more.
  mutating func note(
    widening request: LayerWidening, from parameters: Int, to stage: ModelStage, _ origin: RunOrigin,
    _ settings: RunSettings
  ) {
    grown = GrownModel(stage.choice, stage.constants)
    lineage.append(
      origin.entry(
        .widen, step: step - 1,
        changes: ["layers read more: \(request.text)", "\(parameters) → \(stage.blueprint.count) parameters"], settings)
    )
  }

  /// The model whose weights these are.
  package func model(in settings: RunSettings) -> GrownModel {
    grown ?? GrownModel(settings.model, settings.constants)
  }
}

/// One event in the history of a run.
package struct LineageEntry: Codable, Sendable, Hashable {
  package enum Event: String, Codable, Sendable { case start, resume, reshard, grow, widen, imported = "import" }

  package let event: Event
  /// Steps done before it.
  package let step: Int
  package let ranks: Int
  package let stage: Int
  package let transport: String
  /// Kernel level and BLAS core: outside of one level bits are not promised.
  package let kernels: String
  /// What was changed in the settings: "schedule.0.train.steps: 400 → 600".
  package let changes: [String]
  /// Why bits may depend on ranks and hosts from here on; nil where they do not.
  package var outsidePromise: [String]?
  /// Of a reshard: the save that it was made from.
  package var from: Origin?

  package struct Origin: Codable, Sendable, Hashable {
    package let saveID: String
    package let ranks: Int
    package let stage: Int

    package init(saveID: String, ranks: Int, stage: Int) {
      self.saveID = saveID
      self.ranks = ranks
      self.stage = stage
    }
  }
}
