/// When a task has learned enough, by the loss on what is held out of it.
///
/// After every pass: a lower loss than ever is kept with its weights; `patience` passes without one divide the learning rate by
/// `factor`, and the task is over when the rate falls below `floor` of where it began. The best weights are taken back at the end.
package struct Plateau: Codable, Sendable, Equatable {
  /// The lowest loss so far; nil before the first pass is over.
  package private(set) var best: Double?
  private var waited = 0
  /// What the learning rate is multiplied by.
  package private(set) var rateFactor = 1.0
  package private(set) var isOver = false

  package init() {}

  /// - Returns: whether the weights are the best so far.
  package mutating func note(_ loss: Double, _ stop: StopSettings) -> Bool {
    if loss < best ?? .infinity {
      (best, waited) = (loss, 0)
      return true
    }
    waited += 1
    if waited >= stop.patience {
      waited = 0
      rateFactor /= stop.factor
      isOver = rateFactor < stop.floor
    }
    return false
  }
}
