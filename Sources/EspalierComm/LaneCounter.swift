/// The binary counter on an owner's slice of one segment: the memory of its nodes and how many lanes each stands for.
///
/// `@unchecked Sendable`: between the request of a reduction and its `Pending.wait` a counter belongs to the communication thread, otherwise to
/// the thread that made it.
public final class LaneCounter: @unchecked Sendable {
  /// Each as long as this rank's slice. Slot 0 receives the finished sum, and may be this rank's own slice of its first contribution.
  public let slots: [SlabRange]
  /// Levels of the nodes that lie in slots 0, 1, ….
  private(set) var levels: [Int] = []
  /// The lane that comes next.
  private(set) var nextLane = 0

  /// - Precondition: at least one slot, all of one length.
  public init(slots: [SlabRange]) {
    precondition(!slots.isEmpty, "a counter needs a slot for the finished sum")
    precondition(slots.allSatisfy { $0.count == slots[0].count }, "slots of lengths \(slots.map(\.count))")
    self.slots = slots
  }

  /// Forgets what was fed, for a step that was given up; a finished sum has done so already.
  public func reset() {
    levels = []
    nextLane = 0
  }

  func advance(to plan: CounterPlan, past nodes: [LaneNode], isLast: Bool) {
    levels = plan.levels
    nextLane = isLast ? 0 : nextLane + nodes.reduce(0) { $0 + $1.laneCount }
  }
}
