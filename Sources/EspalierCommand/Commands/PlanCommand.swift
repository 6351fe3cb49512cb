import ArgumentParser
import EspalierComm
import EspalierMethods
import EspalierTrain

struct PlanCommand: CatalogueCommand {
  static let configuration = CommandConfiguration(
    commandName: "plan",
    abstract: "Tells what a run will need: memory, traffic, work, size of a checkpoint.",
    discussion: "Computed from the shapes alone; nothing is trained and no rank is started. Activations are not in it.")

  @OptionGroup var recipe: RecipeArgument
  @Option(help: ArgumentHelp("Ranks (default: the cluster file's, else 1).", valueName: "n")) var ranks: Int?
  @Option(help: ArgumentHelp("ZeRO stage instead of the recipe's.", valueName: "s")) var stage: Int?
  @Option(help: ArgumentHelp("A cluster file, whose memory is compared.", valueName: "file")) var cluster: String?
  @Flag(help: "Print JSON.") var json = false

  func run(_ context: CommandContext) throws -> Int32 {
    let cluster = try cluster.map { try SettingsFile(path: $0).load(ClusterSettings.self) }
    let run = try recipe.resolved(context.catalogue, also: stage.map { ["stage=\($0)"] } ?? [])
    let plan = try RunPlan(run, ranks: ranks ?? cluster?.rankCount ?? 1)
    let report = PlanReport(plan, cluster: cluster)
    try json ? Output.json(report) : Output.write(report.text)
    return 0
  }
}

/// A plan with what there is to say about it.
struct PlanReport: Encodable {
  let plan: RunPlanReport
  let advice: PlanAdvice
  let reductions: ReductionEstimate

  private enum Keys: String, CodingKey { case reductions }

  init(_ plan: RunPlan, cluster: ClusterSettings?) {
    self.plan = RunPlanReport(plan)
    advice = PlanAdvice(plan, cluster: cluster)
    reductions = ReductionEstimate(
      plan, ranksPerHost: cluster.map { $0.nodes > 1 ? $0.ranksPerNode : plan.ranks } ?? plan.ranks)
  }

  /// The keys of both in one object.
  func encode(to encoder: any Encoder) throws {
    try plan.encode(to: encoder)
    try advice.encode(to: encoder)
    var container = encoder.container(keyedBy: Keys.self)
    try container.encode(reductions, forKey: .reductions)
  }

  var text: String {
    let sent = plan.byRank.reduce(0) { $0 + $1.bytesSentPerStep }
    var rows =
      [
        (
          "model",
          "\(plan.model), \(Amount.count(plan.parameters, "parameter")) in \(Amount.count(plan.segments, "segment"))"
        ),
        ("run", "\(Amount.count(plan.steps, "step")) of \(Amount.count(plan.samplesPerStep, "sample"))"),
        ("ranks", "\(plan.ranks) at ZeRO stage \(plan.stageText), \(Amount.count(plan.lanes, "lane"))"),
        ("work", "\(Amount.operations(plan.operationsPerStep)) a step, products alone, over all ranks"),
      ] + phases + growths + [
        ("traffic", "\(Amount.bytes(sent)) a step, sent by all ranks together"),
        (
          "reductions",
          "\(reductions.path): \(Amount.fixed(1000 * reductions.secondsPerStep, 1)) ms a step by the cost model, "
            + "before overlap"
        ),
        (
          "checkpoint",
          "\(Amount.bytes(plan.checkpointBytes)) before compression"
            + (plan.frozenBytes > 0
              ? ", of which \(Amount.bytes(plan.frozenBytes)) frozen are written once and linked" : "")
        ),
        ("even ranks", advice.evenRanks.map(String.init).joined(separator: ", ")),
      ]
    if plan.momentBytes > 0 {
      rows.append(("moments", "\(Amount.bytes(plan.momentBytes)) on the busiest rank at the end of a task"))
    }
    if !plan.update.forms.isEmpty {
      rows.append(("update", "the busiest rank does \(Amount.fixed(plan.update.imbalance, 2)) times the mean"))
    }
    if let frozen = FrozenText.of(parameters: plan.parameters, trained: plan.trainedParameters) {
      rows.insert(("frozen", frozen), at: 1)
    }
    var text = TextTable.pairs(rows)
    let slots = Array(Set(plan.byRank.flatMap { $0.bytesBySlot.keys })).sorted(by: Self.isBefore)
    text += "\nState that a rank holds, and what it sends and receives in a step:\n"
    text += TextTable.columns(
      ["rank"] + slots + ["live", "total", "sent", "received"],
      plan.byRank.map { rank in
        ["\(rank.rank)"] + slots.map { Amount.bytes(rank.bytesBySlot[$0] ?? 0) }
          + [rank.liveBytes, rank.totalBytes, rank.bytesSentPerStep, rank.bytesReceivedPerStep].map(Amount.bytes)
      }, areNumbers: true)
    text += "'live' are copies of segments in use; 'gradient' includes the sums over lanes; activations come on top.\n"
    if !plan.update.forms.isEmpty {
      text += "\nHow parameters are updated, by shape:\n"
      text += TextTable.columns(
        ["shape", "parameters", "form"], plan.update.forms.map { [$0.shape, "\($0.parameters)", $0.form] })
    }
    for line in advice.advice { text += "\n\(line)\n" }
    return text
  }

  /// What each growth does.
  private var growths: [(String, String)] {
    plan.growths.flatMap { growth in
      [
        (
          "growth",
          "phase \(growth.phase), \(growth.name) to \(growth.to): \(Amount.grouped(growth.parametersBefore)) → "
            + "\(Amount.count(growth.parametersAfter, "parameter"))"
        ),
        ("  function", growth.fidelity),
        (
          "  state",
          "\(growth.tensorsChanged) of \(Amount.count(growth.tensors, "tensor")) change; "
            + "\(Amount.bytes(growth.bytesRead)) read, \(Amount.bytes(growth.bytesSent)) sent by all ranks"
        ),
        (
          "  memory",
          "\(Amount.bytes(growth.bytesAfter)) a rank afterwards, \(Amount.bytes(growth.bytesAtPeak)) while it grows"
        ),
      ]
    }
  }

  /// The work of each phase where there are several.
  private var phases: [(String, String)] {
    guard plan.phases.count > 1 else { return [] }
    let all = plan.phases.reduce(0) { $0 + $1.operations }
    return plan.phases.map { phase in
      (
        "  phase \(phase.phase)",
        "\(Amount.count(phase.steps, "step")) of \(Amount.operations(phase.operationsPerStep)), "
          + "\(Amount.count(phase.parameters, "parameter")), \(Amount.fixed(100 * phase.operations / all, 1)) % of the work"
      )
    }
  }

  /// Value and gradient first, then the optimizer's slots by name.
  private static func isBefore(_ a: String, _ b: String) -> Bool {
    let first = ["value", "gradient"]
    return (first.firstIndex(of: a) ?? first.count, a) < (first.firstIndex(of: b) ?? first.count, b)
  }
}
