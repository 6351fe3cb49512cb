public import EspalierNN
package import EspalierState

/// When and how the validation set is measured.
public struct EvaluateSettings: CheckedSettings {
  /// Steps from one evaluation to the next; 0 = at the end only.
  public var every = 100
  /// Samples of one evaluation batch.
  public var batch = 32
  /// Batches that are measured, from the first; 0 = all.
  public var batches = 0

  /// The defaults.
  public init() {}

  public static let fields = [
    SettingField(
      "every", unit: "steps, 0 = at the end only",
      "How often the validation set is measured; always after the last step."),
    SettingField(
      "batch", unit: "samples",
      "Samples of one evaluation batch; it belongs to the result, for sums follow the batches."),
    SettingField("batches", unit: "batches, 0 = all", "How many batches are measured, from the first."),
  ]

  public static let limits: [String: SettingLimit] = [
    "every": .notNegative, "batch": .positive, "batches": .notNegative,
  ]
}

/// When and how checkpoints are written.
public struct SaveSettings: CheckedSettings {
  /// How shards are compressed.
  public enum Compression: String, Codable, Sendable, CaseIterable { case auto, zstd, none }
  /// What a failed save does to the run.
  public enum OnFailure: String, Codable, Sendable, CaseIterable { case warn, stop }

  /// Steps from one checkpoint to the next; 0 = at the end only.
  public var every = 100
  /// How many of the newest checkpoints stay.
  public var keep = 3
  /// Checkpoints at multiples of so many steps stay as well; 0 = none.
  public var keepEvery = 0
  /// So many with the lowest validation loss stay as well.
  public var keepBest = 0
  /// Whether those where a phase ends stay.
  public var keepBorders = true
  /// Bytes that checkpoints that stay may take together; 0 = no limit.
  public var maximumBytes = 0
  /// `auto` leaves chunks that do not shrink as they are.
  public var compression = Compression.auto
  /// `warn` goes on and tries again at the next save, `stop` ends all ranks with 1.
  public var onFailure = OnFailure.warn
  /// Whether the XOR of all shards is written too, from which any one is rebuilt.
  public var parity = false

  /// The defaults.
  public init() {}

  public static let fields = [
    SettingField(
      "every", unit: "steps, 0 = at the end only", "How often a checkpoint is written; always after the last step."),
    SettingField("keep", unit: "checkpoints", "How many of the newest checkpoints stay."),
    SettingField(
      "keepEvery", unit: "steps, 0 = none", "Checkpoints whose step is a multiple of this stay as well."),
    SettingField(
      "keepBest", unit: "checkpoints, 0 = none",
      "So many checkpoints with the lowest validation loss stay as well; the first one after an evaluation stands for it."
    ),
    SettingField(
      "keepBorders", unit: "true | false",
      "Where a phase ends a checkpoint is written as well, unless they are written at the end only, and it stays."),
    SettingField(
      "maximumBytes", unit: "bytes, 0 = no limit",
      "What checkpoints that stay may take together: beyond it the newest ones but the last go first, then those of keepEvery, keepBest, keepBorders, the oldest first."
    ),
    SettingField(
      "compression", unit: "auto | zstd | none",
      "How shards are compressed; auto leaves chunks that do not shrink as they are."),
    SettingField(
      "onFailure", unit: "warn | stop",
      "What a failed save does: the run goes on and the next save tries again, or all ranks end with 1. The checkpoint before it stays either way."
    ),
    SettingField(
      "parity", unit: "true | false",
      "Also writes the XOR of all shards, from which espalier repair rebuilds any one; costs as much as the longest shard."
    ),
  ]

  public static let limits: [String: SettingLimit] = [
    "every": .notNegative, "keep": .positive, "keepEvery": .notNegative, "keepBest": .notNegative,
    "maximumBytes": .notNegative,
  ]

  /// A checkpoint that is never written cannot stay.
  public func problems() -> [SettingProblem] {
    guard keepEvery > 0, every == 0 || !keepEvery.isMultiple(of: every) else { return [] }
    return [
      SettingProblem(
        "keepEvery",
        every == 0
          ? "save.keepEvery (\(keepEvery)) keeps steps at which save.every (0) writes no checkpoint"
          : "save.keepEvery (\(keepEvery)) is no multiple of save.every (\(every)), so most of its steps have no checkpoint",
        remedy: every == 0 ? "set save.every as well" : "make it a multiple of \(every)")
    ]
  }

  package var retention: Retention {
    var retention = Retention.last(keep)
    retention.every = keepEvery
    retention.best = keepBest
    retention.borders = keepBorders
    retention.maximumBytes = maximumBytes
    return retention
  }
}

/// How often the run reports.
public struct LogSettings: CheckedSettings {
  /// Steps from one line of metrics.jsonl to the next.
  public var every = 1
  /// Seconds between two lines of progress where the output is no terminal.
  public var console = 10.0
  /// Steps from one digest of the state to the next; 0 = never.
  public var digestEvery = 0

  /// The defaults.
  public init() {}

  public static let fields = [
    SettingField("every", unit: "steps", "How often metrics.jsonl has a line for a step."),
    SettingField(
      "console", unit: "seconds", "The least time between two lines of progress where the output is no terminal."),
    SettingField(
      "digestEvery", unit: "steps, 0 = never",
      "How often metrics.jsonl keeps digests of the state, as a whole and by segment, for espalier compare."),
  ]

  public static let limits: [String: SettingLimit] = [
    "every": .positive, "console": .notNegative, "digestEvery": .notNegative,
  ]
}

/// Checks that cost time and find mistakes of the program.
public struct CheckSettings: Settings {
  /// Whether released weights and returned buffers are filled with poison.
  public var memory = false
  /// Whether every collective is compared on all ranks before it runs.
  public var collectives = false

  /// The defaults.
  public init() {}

  public static let fields = [
    SettingField("memory", unit: "true | false", "Fills released weights and returned buffers with poison."),
    SettingField(
      "collectives", unit: "true | false",
      "Compares every collective's kind, label and boundaries on all ranks before it runs."),
  ]
}

/// Where the first weights come from, when not from the seed.
public struct StartSettings: CheckedSettings {
  /// The path of a checkpoint whose weights begin the run; empty = the seed.
  public var from = ""
  /// Slots that are taken from it.
  public var slots = ["value"]

  /// The defaults.
  public init() {}

  public static let fields = [
    SettingField("from", unit: "path, empty = the seed", "A checkpoint, whose weights begin a new run at step 0."),
    SettingField(
      "slots", unit: "list of slots", "Which slots of the checkpoint are taken; the others begin as in a new run."),
  ]

  public func problems() -> [SettingProblem] {
    !from.isEmpty && !slots.contains("value")
      ? [
        SettingProblem(
          "slots", "start.from names a checkpoint, but start.slots leaves out 'value', its weights",
          remedy: "write start.slots: [value]")
      ] : []
  }
}

/// What happens after steps whose gradient is infinite or not a number.
public struct NonFiniteSettings: CheckedSettings {
  /// So many steps in a row without finite gradient stop the run.
  public var limit = 10

  /// The defaults.
  public init() {}

  public static let fields = [
    SettingField("limit", unit: "steps", "Such steps are left out on all ranks alike; this many in a row stop the run.")
  ]

  public static let limits: [String: SettingLimit] = ["limit": .positive]
}

/// One part of a schedule, coded as a mapping of one key: `train: { steps: 400 }`.
public enum Phase: FixedChoice {
  case train(TrainPhase)
  case grow(GrowPhase)
  case task(TaskPhase)

  package static let noun = "phase"
  package static let table: [String: any Settings.Type] = [
    "train": TrainPhase.self, "grow": GrowPhase.self, "task": TaskPhase.self,
  ]

  package var name: String {
    switch self {
    case .train: "train"
    case .grow: "grow"
    case .task: "task"
    }
  }

  package var settings: any Settings {
    switch self {
    case .train(let phase): phase
    case .grow(let phase): phase
    case .task(let phase): phase
    }
  }

  public init(from decoder: any Decoder) throws {
    let (name, options) = try Self.one(from: decoder)
    switch name {
    case "grow": self = .grow(try options.decode())
    case "task": self = .task(try options.decode())
    default: self = .train(try options.decode())
    }
  }

  public func encode(to encoder: any Encoder) throws { try encodeOne(to: encoder) }
}

/// A stretch of ordinary training.
public struct TrainPhase: CheckedSettings {
  /// The length in steps; 0 = by epochs.
  public var steps = 0
  /// The length in passes over the training set; 0 = by steps.
  public var epochs = 0
  /// What ends the phase before its steps are done.
  public var until = Until.end(NoOptions())
  /// How the learning rate moves in the phase.
  public var rate = RateSettings()

  /// The defaults.
  public init() {}

  /// The options as `fields` describe them.
  public init(
    steps: Int = 0, epochs: Int = 0, until: Until = .end(NoOptions()), rate: RateSettings = RateSettings()
  ) {
    self.steps = steps
    self.epochs = epochs
    self.until = until
    self.rate = rate
  }

  /// Whether it says how long it is; one that does not goes on with a phase that an `until` has ended.
  package var statesLength: Bool { steps > 0 || epochs > 0 }

  public static let fields = [
    SettingField("steps", unit: "steps, 0 = by epochs", "The length of the phase in steps."),
    SettingField(
      "epochs", unit: "epochs, 0 = by steps",
      "The length of the phase in passes over the training set. Where steps are 0 as well: one pass, or after a phase "
        + "with until what that one left."),
    SettingField(
      "until", unit: "end | fraction | step | tokens | marginalReturn",
      "What ends the phase before its steps are done; the next train phase goes on with the rest, at the same rate."),
    SettingField("rate", "How the learning rate moves in the phase."),
  ]

  public static let limits: [String: SettingLimit] = ["steps": .notNegative, "epochs": .notNegative]

  public func problems() -> [SettingProblem] {
    steps > 0 && epochs > 0
      ? [
        SettingProblem(
          "epochs", "a train phase states both steps (\(steps)) and epochs (\(epochs))",
          remedy: "keep one of them, or set the other to 0")
      ] : []
  }
}

/// How the learning rate moves in a phase, as a fraction of the optimizer's rate.
public struct RateSettings: CheckedSettings {
  /// What `LearningRate` tells of each.
  public enum Shape: String, Codable, Sendable, CaseIterable { case constant, linear, cosine, wsd }
  /// How wsd falls.
  public enum DecayShape: String, Codable, Sendable, CaseIterable { case linear, squareRoot, exponential }

  /// How the rate falls after the warm-up.
  public var shape = Shape.cosine
  /// Steps in which the rate rises in a line to its peak.
  public var warmup = 20
  /// The rate of the last step, a fraction of the peak; not used by `constant`.
  public var floor = 0.1
  /// The part of the phase, at its end, in which wsd falls.
  public var decayFraction = 0.2
  /// How it falls there; `exponential` needs a floor above 0.
  public var decayShape = DecayShape.linear

  /// The defaults.
  public init() {}

  /// The options as `fields` describe them.
  public init(
    shape: Shape, warmup: Int = 20, floor: Double = 0.1, decayFraction: Double = 0.2, decayShape: DecayShape = .linear
  ) {
    self.shape = shape
    self.warmup = warmup
    self.floor = floor
    self.decayFraction = decayFraction
    self.decayShape = decayShape
  }

  public static let fields = [
    SettingField(
      "shape", unit: "constant | linear | cosine | wsd",
      "How the rate falls after the warm-up; wsd stays up and falls at the end (warm-up, stable, decay)."),
    SettingField("warmup", unit: "steps", "Steps in which the rate rises in a line from 0 to its peak."),
    SettingField("floor", unit: "fraction of the peak", "The rate of the last step; not used by constant."),
    SettingField("decayFraction", unit: "fraction of the phase", "The part at the end in which wsd falls."),
    SettingField(
      "decayShape", unit: "linear | squareRoot | exponential",
      "How wsd falls: in a line, as 1 - √x (early, then slowly), or by the same factor each step (needs a floor above 0)."
    ),
  ]

  public static let limits: [String: SettingLimit] = [
    "warmup": .notNegative, "floor": .within(0...1), "decayFraction": .within(0...1),
  ]

  public func problems() -> [SettingProblem] {
    shape == .wsd && decayShape == .exponential && floor == 0
      ? [
        SettingProblem(
          "floor", "an exponential decay never reaches a floor of 0",
          remedy: "state a floor above 0, as 0.01, or another decayShape")
      ] : []
  }
}
