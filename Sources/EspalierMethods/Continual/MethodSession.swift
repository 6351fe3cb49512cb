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
  /// The slot of a teacher has changed: what is run from now on has the new weights.
  func refresh(teacher slot: String) throws
}
