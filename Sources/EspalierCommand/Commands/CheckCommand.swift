import ArgumentParser
import EspalierMethods
import EspalierNN
import EspalierTrain

struct CheckCommand: CatalogueCommand {
  static let configuration = CommandConfiguration(
    commandName: "check",
    abstract: "Reads a recipe, its data and the shapes of its model without training.",
    discussion: "Prints what `train` would train; ends with exit code 1 where it would refuse.")

  @OptionGroup var recipe: RecipeArgument

  func run(_ context: CommandContext) throws -> Int32 {
    let run = try recipe.resolved(context.catalogue)
    let settings = run.settings
    var rows = [
      ("model", "\(settings.model.name): \(try SettingValue(encoding: run.model.configuration).recipeText)"),
      (
        "parameters",
        "\(Amount.grouped(run.blueprint.count)) in \(Amount.count(run.blueprint.segments.count, "segment"))"
      ),
      ("optimizer", "\(settings.optimizer.name): \(settings.optimizer.options.recipeText)"),
      ("training", run.data.training.description),
      ("validation", run.data.validation?.description ?? "none"),
      (
        "batch",
        "\(Amount.count(settings.batch.samples, "sample")) in \(Amount.count(run.lanes, "lane")): 1 to \(run.lanes) ranks"
      ),
      ("ZeRO stage", "\(settings.stage)\(settings.recompute ? ", activations computed again" : "")"),
    ]
    if let frozen = FrozenText.of(parameters: run.blueprint.count, trained: run.blueprint.trainedCount) {
      rows.insert(("frozen", frozen), at: 2)
    }
    for (index, phase) in run.schedule.phases.enumerated() {
      rows.append(
        ("phase \(index)", Self.text(phase)))
    }
    rows += [
      ("steps", Amount.grouped(run.schedule.stepCount)),
      ("seed", "\(settings.seed)"),
      ("run directory", TrainCommand.defaultRun(recipe.path)),
    ]
    Output.write(TextTable.pairs(rows))
    return 0
  }

  private static func text(_ phase: Schedule.PlannedPhase) -> String {
    switch phase.phase {
    case .task: return phase.name
    case .grow(let grow):
      return "\(phase.name) by \(grow.operator.name) to \(SettingValue.mapping(grow.to.options).recipeText)"
    case .train(let train):
      let steps = "\(phase.name), \(Amount.count(phase.steps, "step")) from step \(phase.firstStep + 1)"
      return phase.isDecidedOnTheWay ? "\(steps) at most, until \(train.until.name) ends it" : steps
    }
  }
}
