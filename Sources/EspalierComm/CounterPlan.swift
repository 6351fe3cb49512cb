/// One step of an owner's counter: `destination = left + right`, or a copy where there is no right side.
package struct CounterStep: Hashable, Sendable {
  /// Where a summand lies: in a slot of the counter, or in the n-th node of the round.
  package enum Place: Hashable, Sendable {
    case slot(Int)
    case node(Int)
  }

  package let destination: Place
  package let left: Place
  package let right: Place?

  package init(_ destination: Place, _ left: Place, _ right: Place? = nil) {
    self.destination = destination
    self.left = left
    self.right = right
  }
}

/// What a binary counter does with the nodes of one round: decided once, obeyed by every chunk.
///
/// Nodes are fed in lane order; two of one level merge into the memory of the left one. Between rounds the i-th node on the counter lies in
/// slot i. After the last round what is left is added from the last node back to the first, and the sum lies in slot 0.
package struct CounterPlan: Hashable, Sendable {
  package let steps: [CounterStep]
  /// Levels of the nodes on the counter after the round; empty after the last.
  package let levels: [Int]
  /// Slots that the steps touch.
  package let slotsUsed: Int

  /// - Parameters:
  ///   - retained: levels of the nodes on the counter before the round.
  ///   - fed: levels of the round's nodes in lane order.
  package init(retained: [Int], fed: [Int], isLast: Bool) {
    var steps: [CounterStep] = []
    var stack = retained.enumerated().map { (level: $1, place: CounterStep.Place.slot($0)) }
    func mergeTop() {
      let right = stack.removeLast()
      let left = stack[stack.count - 1]
      steps.append(CounterStep(left.place, left.place, right.place))
      stack[stack.count - 1].level += 1
    }
    for (index, level) in fed.enumerated() {
      stack.append((level, .node(index)))
      while stack.count > 1, stack[stack.count - 1].level == stack[stack.count - 2].level { mergeTop() }
    }
    if isLast {
      while stack.count > 1 { mergeTop() }
    }
    // From the last to the first: slot 0 may share memory with a node of the round that is still to be copied elsewhere.
    for (position, node) in stack.enumerated().reversed() where node.place != .slot(position) {
      if let last = steps.last, last.destination == node.place, last.right != nil {
        // The sum can go where it belongs at once.
        steps[steps.count - 1] = CounterStep(.slot(position), last.left, last.right)
      } else {
        steps.append(CounterStep(.slot(position), node.place))
      }
    }
    self.steps = steps
    levels = isLast ? [] : stack.map(\.level)
    slotsUsed = stack.count
  }
}
