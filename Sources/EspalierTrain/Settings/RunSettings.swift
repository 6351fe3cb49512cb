public import EspalierComm
public import EspalierNN

/// Everything that a recipe says. The resolved whole is saved with the run and in every checkpoint.
public struct RunSettings: CheckedSettings {
  public var version = 1
  public var model = Choice("decoder")
  public var constants = ModelConstants()
  public var optimizer = Choice("adamw")
  public var groups: [OptimizerGroup] = []
  public var freeze: [String] = []
  public var data = Choice("text")
  public var tasks = TaskSettings()
  public var methods: [Choice] = []
  public var batch = BatchSettings()
  public var stage = 1
  public var threads = 1
  public var recompute = false
  public var reduction = ReductionOrder.ordered
  public var wire = WirePrecision.float32
  public var clip = 1.0
  public var schedule: [Phase] = [.train(TrainPhase())]
  public var evaluate = EvaluateSettings()
  public var save = SaveSettings()
  public var log = LogSettings()
  public var seed: UInt64 = 1
  public var checks = CheckSettings()
  public var start = StartSettings()
  public var nonFinite = NonFiniteSettings()
  public var timeLimit = 0.0

  public init() {}

  public static let fields = [
    SettingField("version", "The version of the recipe's language."),
    SettingField("model", unit: "one of the models", "The model, with its options."),
    SettingField(
      "constants", unit: "numbers by name",
      "Numbers of the model that growth has changed, for going on from a grown checkpoint; `espalier grow` says them."),
    SettingField(
      "optimizer", unit: "one of the optimizers",
      "The optimizer, with its options; its rate is the peak that a phase's shape scales."),
    SettingField(
      "groups", unit: "list of groups",
      "Parameters that have other rates or decays; the first group that matches a parameter holds."),
    SettingField(
      "freeze", unit: "list of name patterns",
      "Parameters that are not trained (* for any run of characters, ? for one): no gradient, no optimizer slot, saved once."
    ),
    SettingField("data", unit: "one of the data sets", "What the model learns from, with its options."),
    SettingField("tasks", "How the data come as a sequence of tasks, if they do."),
    SettingField(
      "methods", unit: "list of methods",
      "How tasks are learned without forgetting: one method, or several that go together."),
    SettingField("batch", "The samples of one step."),
    SettingField(
      "stage", unit: "0 to 3",
      "ZeRO stage: what the ranks share out: 1 optimizer slots, 2 also gradients, 3 also weights."),
    SettingField(
      "threads", unit: "threads/rank",
      "Threads of one rank's kernels; they belong to the result, for products change bits with them."),
    SettingField(
      "recompute", unit: "true | false",
      "Computes each segment's activations again in the backward pass instead of keeping them."),
    SettingField(
      "reduction", unit: "ordered | native",
      "Who orders the sums over ranks: the lanes, with one result for any number of ranks, or MPI, as a baseline."),
    SettingField(
      "wire", unit: "float32 | bfloat16",
      "How gradients travel between hosts; bfloat16 halves the bytes, and results then depend on the hosts."),
    SettingField("clip", unit: "norm, 0 = off", "The global norm that a gradient is scaled down to when it is larger."),
    SettingField("schedule", unit: "list of phases", "What the run does, one phase after the other."),
    SettingField("evaluate", "When and how the validation set is measured."),
    SettingField("save", "When and how checkpoints are written."),
    SettingField("log", "How often the run reports."),
    SettingField("seed", unit: "0 to 2^64-1", "Keys everything random: first weights, order of the data, dropout."),
    SettingField("checks", "Checks that cost time and find mistakes of the program."),
    SettingField("start", "Where the first weights come from, when not from the seed."),
    SettingField("nonFinite", "What happens after steps whose gradient is infinite or not a number."),
    SettingField(
      "timeLimit", unit: "seconds, 0 = none",
      "The run saves and stops with exit code 75 at the first step that ends later than this."),
  ]

  public static let limits: [String: SettingLimit] = [
    "version": .positive, "stage": .within(0...3), "threads": .positive, "clip": .notNegative,
    "timeLimit": .notNegative,
  ]

  /// Why this run's bits may depend on ranks and hosts; empty for a run that keeps the promise of docs/numerics.md.
  package var outsidePromise: [String] {
    var reasons: [String] = []
    if reduction == .native { reasons.append("MPI orders the sums over ranks (reduction: native)") }
    if wire == .bfloat16 { reasons.append("gradients are rounded on their way between hosts (wire: bfloat16)") }
    return reasons
  }

  public func problems() -> [SettingProblem] {
    guard !schedule.isEmpty else {
      return [SettingProblem("schedule", "schedule has no phases", remedy: "add one, as - train: { steps: 100 }")]
    }
    return Schedule.problems(schedule)
  }
}

/// The samples of one step, and the lanes that they are added up in.
public struct BatchSettings: CheckedSettings {
  public enum Last: String, Codable, Sendable, CaseIterable { case drop, keep }

  public var samples = 32
  public var lanes = 0
  public var last = Last.drop

  public init() {}

  public static let fields = [
    SettingField("samples", unit: "samples/step", "Samples of one step, over all ranks together."),
    SettingField(
      "lanes", unit: "lanes, 0 = as fits",
      "Micro-batches of a step, whose gradients are added in a fixed order: one result for any number of ranks up to the lanes. 0 is the largest power of two up to 8 that divides the samples."
    ),
    SettingField(
      "last", unit: "drop | keep",
      "What becomes of the samples that do not fill a batch at the end of an epoch: left out, or a smaller batch."),
  ]

  public static let limits: [String: SettingLimit] = ["samples": .positive, "lanes": .notNegative]

  /// The lanes of a step, chosen where the recipe leaves them open.
  public var resolvedLanes: Int {
    if lanes > 0 { return lanes }
    return [8, 4, 2].first { samples.isMultiple(of: $0) } ?? 1
  }

  public func problems() -> [SettingProblem] {
    if lanes > samples {
      return [
        SettingProblem(
          "lanes",
          "batch.lanes (\(lanes)) is more than batch.samples (\(samples)), so some lanes would always be empty",
          remedy: "set batch.lanes to \(samples) or less")
      ]
    }
    if lanes > 0, !samples.isMultiple(of: lanes), last == .drop {
      let divisors = (1...lanes).filter { samples.isMultiple(of: $0) }.suffix(3).map(String.init).joined(
        separator: ", ")
      return [
        SettingProblem(
          "lanes",
          "batch.samples (\(samples)) does not divide among batch.lanes (\(lanes)), and with batch.last: drop every lane of a run has one size",
          remedy:
            "choose lanes that divide the samples (as \(divisors)), or batch.last: keep, which deals unequal lanes")
      ]
    }
    return []
  }
}

/// Parameters that have another rate or decay than the optimizer's.
public struct OptimizerGroup: CheckedSettings {
  public var match = "*"
  public var tag = ""
  public var rate = 1.0
  public var decay = 1.0

  public init() {}

  public static let fields = [
    SettingField("match", unit: "name pattern", "The parameters' names, * for any run of characters and ? for one."),
    SettingField("tag", unit: "tag, empty = any", "The tag that the parameters must carry besides."),
    SettingField("rate", unit: "times the optimizer's", "The group's learning rate."),
    SettingField("decay", unit: "times the optimizer's", "The group's weight decay."),
  ]

  public static let limits: [String: SettingLimit] = ["rate": .notNegative, "decay": .notNegative]

  /// Whether a parameter belongs to the group.
  public func matches(name: String, tags: some Sequence<String>) -> Bool {
    NamePattern(match).matches(name) && (tag.isEmpty || tags.contains(tag))
  }
}
