import ArgumentParser
import EspalierComm
import EspalierMethods
import EspalierNN
import EspalierState
import EspalierTrain

struct GrowCommand: CatalogueCommand {
  static let configuration = CommandConfiguration(
    commandName: "grow",
    abstract: "Grows the model of a checkpoint, with its optimizer, into a new checkpoint.",
    discussion: """
      The same growth as a phase of a schedule, to the same bits, without a run: --operator and --to say what `operator` and `to` say in a \
      recipe. TO is the folder of the new checkpoint, or a run directory; nothing is overwritten. Memory is one weight of the old model, \
      whatever the size. Under launch/mpirun -n N the ranks share the work. Prints the lines for a recipe that goes on from there.
      """)

  @OptionGroup var checkpoint: CheckpointArgument
  @Argument(help: ArgumentHelp("The new checkpoint, or a run directory for it.", valueName: "to")) var to: String
  @Option(
    name: .customLong("operator"),
    help: ArgumentHelp(
      "How: a growth operator, or one with options, as 'stack: { remainder: top }'.", valueName: "name"))
  var growth: String
  @Option(
    name: .customLong("to"),
    help: ArgumentHelp("An option of the model with its new value; may be repeated.", valueName: "key=value"))
  var changes: [String] = []
  @Option(help: "What becomes of the optimizer's slots: asymmetric, transport or dropAll.") var state = "asymmetric"
  @Option(help: ArgumentHelp("Shards of the new checkpoint (default: as many).", valueName: "n")) var ranks: Int?
  @Option(help: ArgumentHelp("ZeRO stage that it names (default: that of the old one).", valueName: "s")) var stage:
    Int?
  @Flag(help: "Print JSON.") var json = false

  func validate() throws {
    guard (1...65536).contains(ranks ?? 1) else {
      throw ValidationError("--ranks wants 1 to 65536, not \(ranks ?? 1).")
    }
    guard (0...3).contains(stage ?? 0) else { throw ValidationError("--stage wants 0 to 3, not \(stage ?? 0).") }
    guard !changes.isEmpty else { throw ValidationError("say to what, as --to width=256.") }
    for change in changes where !change.contains("=") {
      throw ValidationError("--to wants key=value, not '\(change)'.")
    }
  }

  func run(_ context: CommandContext) throws -> Int32 {
    let launcher = try Launcher(ranks: nil, cluster: nil)
    let load = {
      let source = try checkpoint.open()
      return Job(
        source: source, growth: try DiskGrowth(source, phase(of: source, context.catalogue), context.catalogue))
    }
    return try launcher.run(load) { [to, ranks, stage, json] job, communicator in
      let world = CheckpointWorld(
        ranks: ranks ?? job.source.world.ranks, hosts: job.source.world.hosts, stage: stage ?? job.source.world.stage,
        transport: "file")
      let report = try job.run(to: to, world, communicator)
      if communicator.rank == 0 { try json ? Output.json(report) : Output.write(report.text) }
      return 0
    }
  }

  /// Read as a recipe is, so that keys and values are checked alike.
  private func phase(of reader: CheckpointReader, _ catalogue: Catalogue) throws -> GrowPhase {
    let model = try TrainingState(from: reader).model(in: reader.settings(catalogue)).choice.name
    let pairs = changes.map { change in
      let parts = change.split(separator: "=", maxSplits: 1)
      return "\(parts[0]): \(parts.count > 1 ? String(parts[1]) : "")"
    }
    let name = growth.contains(":") ? "{ \(growth) }" : growth
    let text = """
      model: \(model)
      schedule: [ train: {}, grow: { operator: \(name), to: { \(pairs.joined(separator: ", ")) }, state: \(state) }, train: {} ]
      """
    let settings = try RunSettings(
      recipe: SettingsFile(text: text, name: "the command line"), choices: catalogue.choices)
    guard case .grow(let phase) = settings.schedule[1] else { preconditionFailure("the second phase grows") }
    return phase
  }

  private struct Job: RankJob {
    let source: CheckpointReader
    let growth: DiskGrowth
    var settings: RunSettings { RunSettings() }

    /// Collective.
    func run(to path: String, _ world: CheckpointWorld, _ communicator: Communicator) throws -> GrowReport {
      let writing = CheckpointWriting(to: path, step: source.step, ranks: world.ranks)
      let written = try writing.run(communicator) { place in
        Rewriter(
          grower: try CheckpointGrower(
            source, growth.growth, for: growth.optimizer, world: world, state: growth.state(of: source, world),
            saveID: place.saveID, created: place.created))
      }
      return GrowReport(
        from: source.path, to: written.path, step: source.step, saveID: "\(written.saveID)",
        ranks: world.ranks, stage: world.stage, growth, seconds: written.seconds)
    }
  }

  private struct Rewriter: CheckpointRewriter {
    let grower: CheckpointGrower
    var plan: CheckpointPlan { grower.plan }
    func write(ranks: [Int], to folder: String) throws -> [ShardSummary] { try grower.write(ranks: ranks, to: folder) }
    func close(_ shards: [ShardSummary]) -> [ShardSummary] { shards }
  }
}

/// What `espalier grow` did.
struct GrowReport: Encodable, Sendable {
  let from: String
  let to: String
  let step: Int
  let saveID: String
  let ranks: Int
  let stage: Int
  let parametersBefore: Int
  let parametersAfter: Int
  let fidelity: String
  /// For a recipe that goes on from the new checkpoint.
  let recipe: [String]
  let seconds: Double

  init(
    from: String, to: String, step: Int, saveID: String, ranks: Int, stage: Int, _ growth: DiskGrowth, seconds: Double
  ) {
    (self.from, self.to, self.step, self.saveID) = (from, to, step, saveID)
    (self.ranks, self.stage, self.seconds) = (ranks, stage, seconds)
    parametersBefore = growth.before.blueprint.count
    parametersAfter = growth.after.blueprint.count
    fidelity = "\(growth.growth.plan.fidelity)"
    let options = (try? SettingValue(encoding: growth.recipe.choice).recipeText) ?? growth.recipe.choice.name
    let constants = (try? SettingValue(encoding: growth.recipe.constants).recipeText) ?? ""
    recipe = ["model: \(options)"] + (growth.recipe.constants.values.isEmpty ? [] : ["constants: \(constants)"])
  }

  var text: String {
    TextTable.pairs([
      ("from", from), ("to", "\(to), \(Amount.count(ranks, "rank")), ZeRO \(stage)"), ("step", "\(step)"),
      ("save", saveID),
      ("parameters", "\(Amount.grouped(parametersBefore)) → \(Amount.grouped(parametersAfter))"),
      ("function", fidelity), ("time", "\(Amount.fixed(seconds, 2)) s"),
    ]) + "\nA recipe that goes on from there says:\n" + recipe.map { "  \($0)\n" }.joined()
  }
}
