import EspalierTensor

/// What the logits of one lane are made into: a part for the stream's samples and one for each draw, which methods shape one after
/// the other.
///
/// Every part is a mean over the samples that the part has in the whole batch, so lanes only add up.
public struct StepLoss {
  /// How the cross-entropy of a sample is taken.
  public enum Target: Hashable, Sendable {
    /// Softmax over the rows that compete, against the sample's class.
    case crossEntropy
    /// Its two parts, weighted: whether the sample is one of the new classes and none of the old ones, and which of the new ones (Liang
    /// and Li 2023, NeurIPS, eq. 3–5).
    case decoupled(old: [Int32], new: [Int32], inter: Double, intra: Double)
  }

  /// A mean squared distance of logits to constants, over samples and columns.
  public struct Distance {
    /// `[samples, columns]`, row-major.
    public let to: [Float]
    public let columns: Int
    /// What it is multiplied with.
    public let factor: Double
    /// For each sample, how many of its columns count; empty for all.
    public let counted: [Int]

    /// A distance of its parts.
    public init(to: [Float], columns: Int, factor: Double, counted: [Int] = []) {
      self.to = to
      self.columns = columns
      self.factor = factor
      self.counted = counted
    }
  }

  /// A cross-entropy between two softened distributions over some rows, times T².
  public struct Distillation {
    /// `[samples, columns]`, row-major: the teacher's logits of all rows.
    public let teacher: [Float]
    public let columns: Int
    public let rows: [Int32]
    public let temperature: Double
    public let factor: Double

    /// A distillation of its parts.
    public init(teacher: [Float], columns: Int, rows: [Int32], temperature: Double, factor: Double) {
      self.teacher = teacher
      self.columns = columns
      self.rows = rows
      self.temperature = temperature
      self.factor = factor
    }
  }

  /// The samples of one origin.
  public struct Part {
    /// The class of each sample of this lane, as a row of the head.
    public let targets: [Int32]
    /// Samples of the part in the whole batch: what means are taken over.
    public let count: Int
    /// For each sample of this lane the rows that compete; empty where all do.
    public let competing: [[Int32]]
    /// The logits that records were kept with, `[samples, rowCount]`; empty where there are none.
    public let keptLogits: [Float]
    /// For each sample, how many of these are of rows that the head had; empty for all.
    public let keptRows: [Int]
    /// What the cross-entropy is multiplied with; 0 leaves it out.
    public var factor = 1.0
    public var target = Target.crossEntropy
    /// A factor for each sample of this lane; empty for ones.
    public var sampleFactors: [Float] = []
    public var distances: [Distance] = []
    public var distillations: [Distillation] = []

    /// A part whose loss is the mean cross-entropy.
    public init(
      targets: [Int32], count: Int, competing: [[Int32]] = [], keptLogits: [Float] = [], keptRows: [Int] = []
    ) {
      self.targets = targets
      self.count = count
      self.competing = competing
      self.keptLogits = keptLogits
      self.keptRows = keptRows
    }
  }

  /// The task that is being learned.
  public let task: TaskInfo
  public var stream: Part
  /// By the name of the draw; a draw from records that are still empty is missing.
  public var draws: [String: Part]
  /// The logits of teachers, by slot and part, `[samples, rowCount]`.
  public let teachers: [String: [StepPart: [Float]]]
  /// Told by `note`.
  package private(set) var notes: [String: [Float]] = [:]

  /// The losses of a lane before any method has shaped them: the stream's cross-entropy, and draws that count for nothing.
  public init(
    task: TaskInfo, stream: Part, draws: [String: Part] = [:], teachers: [String: [StepPart: [Float]]] = [:]
  ) {
    self.task = task
    self.stream = stream
    self.draws = draws.mapValues {
      var part = $0
      part.factor = 0
      return part
    }
    self.teachers = teachers
  }

  /// Whether it is the mean cross-entropy of the stream over all rows, as without methods.
  package var isPlain: Bool {
    draws.isEmpty && stream.competing.isEmpty && stream.factor == 1 && stream.target == .crossEntropy
      && stream.sampleFactors.isEmpty && stream.distances.isEmpty && stream.distillations.isEmpty
  }

  /// Tells one number for each of the stream's samples of this lane to `MethodSession.notes`.
  public mutating func note(_ name: String, _ values: [Float]) {
    require(values.count == stream.targets.count, "\(values.count) notes for \(stream.targets.count) samples")
    notes[name] = values
  }
}
