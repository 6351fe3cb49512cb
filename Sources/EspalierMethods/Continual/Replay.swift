/// What a method keeps of the stream of samples, and draws from it.
///
/// The records are one logical reservoir: after n samples every one of them is kept with the same odds. They are keyed by the place
/// of a sample in the stream (a sample that is seen again counts again), so their contents do not depend on the number of ranks.
/// - Vitter 1985, doi:10.1145/3147.3165 (reservoir sampling, algorithm R).
public struct Replay: Hashable, Sendable {
  /// One draw of a step.
  public struct Draw: Hashable, Sendable {
    /// How the loss finds it.
    public let name: String
    /// Distinct records; fewer where fewer are kept.
    public let count: Int
    /// Whether records of the task under way are left out.
    public let earlierTasksOnly: Bool
    /// Whether batch norm takes its records and the stream's samples as one batch, as where a program concatenates the two; otherwise
    /// each as a batch of its own.
    public let joinsStream: Bool

    /// A draw of its parts.
    public init(_ name: String, count: Int, earlierTasksOnly: Bool = false, joinsStream: Bool = false) {
      self.name = name
      self.count = count
      self.earlierTasksOnly = earlierTasksOnly
      self.joinsStream = joinsStream
    }
  }

  /// The most records that are kept.
  public let capacity: Int
  /// Whether a record has the logits that the model had for the sample when it came.
  public let keepsLogits: Bool
  /// What is drawn at every step and goes through the model with the stream's samples, each draw by itself.
  public let draws: [Draw]
  /// What is drawn for gradients of its own (`MethodSession.gradient`).
  public let references: [Draw]

  /// Needs of their parts.
  public init(capacity: Int, keepsLogits: Bool = false, draws: [Draw] = [], references: [Draw] = []) {
    self.capacity = capacity
    self.keepsLogits = keepsLogits
    self.draws = draws
    self.references = references
  }
}
