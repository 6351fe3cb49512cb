import ArgumentParser
import EspalierComm
import EspalierMethods
import EspalierState
import EspalierTensor
import EspalierTrain

struct EvaluateCommand: CatalogueCommand {
  static let configuration = CommandConfiguration(
    commandName: "evaluate",
    abstract: "Measures a checkpoint on its validation set: loss, bits per byte, accuracy.",
    discussion: """
      Settings and data are those that the run had; --set changes them, as --set data.text.validation=other.txt or \
      --set evaluate.batches=0. The figures do not depend on the number of ranks.
      """)

  @OptionGroup var checkpoint: CheckpointArgument
  @OptionGroup var overrides: OverrideOptions
  @OptionGroup var ranks: RankOptions
  @Flag(help: "Print JSON.") var json = false

  func run(_ context: CommandContext) throws -> Int32 {
    let load = {
      let reader = try checkpoint.open()
      let settings = try reader.settings(context.catalogue, overrides: overrides.list)
      return EvaluationJob(checkpoint: reader, run: try ResolvedRun(settings, catalogue: context.catalogue))
    }
    return try ranks.launcher().run(load) { [json] job, communicator in
      let report = try job.measure(communicator)
      if communicator.rank == 0 { try json ? Output.json(report) : Output.write(report.text) }
      return 0
    }
  }
}

/// A checkpoint to be measured.
struct EvaluationJob: RankJob {
  let checkpoint: CheckpointReader
  let run: ResolvedRun
  var settings: RunSettings { run.settings }

  /// Collective.
  func measure(_ communicator: Communicator) throws -> EvaluationReport {
    guard let validation = run.data.validation else {
      throw RunError(
        .noValidation, subject: "data", reason: "the recipe has no validation set",
        remedy: "name one, as --set data.text.validation=FILE")
    }
    Kernels.threads = run.settings.threads
    try KernelLevel.requireUniform(communicator)
    let session = try RankSession(run, communicator, at: TrainingState(from: checkpoint))
    try communicator.together("reading \(checkpoint.path)") {
      try Relayout(from: checkpoint).read(into: session.store, slots: [.value])
    }
    try session.store.share()
    let settings = run.settings.evaluate
    let result = try Evaluation(session, validation, batch: settings.batch, limit: settings.batches).run()
    return EvaluationReport(checkpoint: checkpoint, data: validation.description, result: result)
  }
}

/// What `espalier evaluate` found.
struct EvaluationReport: Encodable, Sendable {
  let checkpoint: String
  let step: Int
  let data: String
  /// Nats per target.
  let loss: Double
  /// Absent where targets are no bytes.
  let bitsPerByte: Double?
  let accuracy: Double
  /// Targets that counted.
  let targets: Int

  init(checkpoint: CheckpointReader, data: String, result: EvaluationResult) {
    self.checkpoint = checkpoint.path
    step = checkpoint.step
    self.data = data
    (loss, bitsPerByte) = (result.loss, result.bitsPerByte)
    (accuracy, targets) = (result.accuracy, result.targets)
  }

  var text: String {
    var rows = [
      ("checkpoint", checkpoint), ("step", "\(step)"), ("data", data), ("targets", "\(targets)"),
      ("loss", "\(Amount.fixed(loss, 6)) nats a target"),
    ]
    if let bitsPerByte { rows.append(("bits per byte", Amount.fixed(bitsPerByte, 6))) }
    return TextTable.pairs(rows + [("accuracy", Amount.fixed(accuracy, 6))])
  }
}
