public import EspalierNN
public import EspalierState
public import EspalierTensor

/// One float for every trained weight: what `MethodSession` reckons with.
public enum WeightVector: Hashable, Sendable {
  /// The weights.
  case values
  /// The gradient of the step: valid from `adjust` to `updated`.
  case gradient
  /// A slot of the method.
  case slot(String)
}

/// What a method may do, and nothing more. All of it is the same on every rank.
public protocol MethodSession: AnyObject {
  /// The task that is being learned, or has just been.
  var task: TaskInfo { get }
  /// A random stream of this method at this step.
  var key: RandomKey { get }
  /// The numbers that `StepLoss.note` told of the stream's samples, in the order of the batch; empty before the first step.
  func notes(_ name: String) -> [Double]
  /// Hands out every stretch of every trained weight that this rank updates, with gradient and slots.
  func forEachShard(_ body: (ParameterShard) -> Void)
  /// The dot product over all weights. Its bits do not depend on the number of ranks.
  func dot(_ a: WeightVector, _ b: WeightVector) throws -> Double
  /// Copies one vector over another.
  func copy(_ source: WeightVector, to destination: WeightVector)
  /// The mean gradient of the cross-entropy over a draw, into a slot. The records that it is taken on are a draw of its own.
  /// - Returns: false where nothing is kept yet, and the slot is as it was.
  func gradient(ofDraw name: String, into slot: String) throws -> Bool
  /// Adds squares of gradients over the task's samples to a slot: of each lane's mean gradient of the cross-entropy, summed over lanes
  /// in order and divided by their number.
  /// - Parameter batches: batches of the task, from the first of a keyed order; 0 = one pass.
  func addSquaredGradients(batches: Int, to slot: String) throws
  /// What the model is made of.
  var parameters: [ParameterSpec] { get }
  /// One number under each name, known to some ranks, told to all.
  func gather(_ own: [String: Double]) throws -> [String: Double]
  /// Whole weights.
  func values(of parameters: [String]) throws -> [String: [Float]]
  /// One pass over what the task is learned from, in batches as they are learned, without a step: `body` finds the mean gradient of each.
  func forEachBatchGradient(_ body: () throws -> Void) throws
  /// Sums over what layers read on samples of the task, as the model sees them when it is measured: the first of a keyed order.
  /// - Parameters:
  ///   - layers: the names of their weights, and of how many samples each is to be; 0 = all of the task.
  ///   - statistic: what is summed.
  func moments(of layers: [(layer: String, samples: Int)], _ statistic: InputStatistic) throws -> InputMoments
  /// Has each layer's sum, over lanes in their order, looked at by one rank, the costly ones shared out evenly, and tells everyone the
  /// answers. Decompositions belong in here: LAPACK need not give the same bits on two nodes.
  func decompose<Answer: Codable & Sendable>(
    _ moments: InputMoments, _ answer: (_ layer: String, _ moments: DoubleMatrix) throws -> Answer
  ) throws -> [String: Answer]
  /// The slot of a teacher has changed: what is run from now on has the new weights.
  func refresh(teacher slot: String) throws
}

extension MethodSession {
  /// Σ h hᵀ over rows h that layers read.
  public func moments(of layers: [(layer: String, samples: Int)]) throws -> InputMoments {
    try moments(of: layers, .moments)
  }
}
