/// The binary counter on an owner's slice of one segment: the memory of its nodes and how many lanes each stands for.
///
/// `@unchecked Sendable`: between the request of a reduction and its `Pending.wait` a counter belongs to the communication thread, otherwise to
/// the thread that made it.
public final class LaneCounter: @unchecked Sendable {
  /// Each as long as this rank's slice. Slot 0 receives the finished sum, and may be this rank's own slice of its first contribution.
  public let slots: [SlabRange]
  /// Where the nodes that are fed lie on every rank; nil if they are not shared.
  let window: SharedWindow?
  /// Levels of the nodes that lie in slots 0, 1, ….
  private(set) var levels: [Int] = []
  /// The lane that comes next.
  private(set) var nextLane = 0

  /// - Parameter slabs: those that this rank's nodes will lie in, also on a rank that has none in some round. If they are shared, reductions read
  ///   the neighbours' in place. The same choice on every rank.
  /// - Precondition: at least one slot, all of one length.
  public init(slots: [SlabRange], nodesIn slabs: [Slab] = []) {
    precondition(slabs.allSatisfy { $0.window === slabs[0].window }, "nodes in slabs of several layouts")
    window = slabs.first?.window
    precondition(!slots.isEmpty, "a counter needs a slot for the finished sum")
    precondition(slots.allSatisfy { $0.count == slots[0].count }, "slots of lengths \(slots.map(\.count))")
    self.slots = slots
  }

  /// Forgets what was fed, for a step that was given up; a finished sum has done so already.
  public func reset() {
    levels = []
    nextLane = 0
  }

  func advanceNatively(past nodes: [LaneNode], isLast: Bool) {
    nextLane = isLast ? 0 : nextLane + nodes.reduce(0) { $0 + $1.laneCount }
  }

  func advance(to plan: CounterPlan, past nodes: [LaneNode], isLast: Bool) {
    levels = plan.levels
    nextLane = isLast ? 0 : nextLane + nodes.reduce(0) { $0 + $1.laneCount }
  }
}
