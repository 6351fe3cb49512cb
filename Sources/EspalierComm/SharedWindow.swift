internal import CMPI

/// Memory that the ranks of a host can all reach, as a backend made it: a part of each, on a page or cache line.
package final class WindowMemory: @unchecked Sendable {
  /// The neighbours, this rank among them, in rank order.
  package let ranks: [Int]
  /// This rank's place among them.
  package let place: Int
  /// Where each one's part begins.
  package let bases: [UnsafeMutableRawPointer]
  /// What MPI calls it; -1 where it is not MPI's.
  package let handle: Int32
  /// Keeps parts of other ranks alive.
  private let keepers: [AnyObject]

  package init(
    ranks: [Int], place: Int, bases: [UnsafeMutableRawPointer], handle: Int32 = -1, keepers: [AnyObject] = []
  ) {
    self.ranks = ranks
    self.place = place
    self.bases = bases
    self.handle = handle
    self.keepers = keepers
  }
}

/// One window of a layout: control blocks for meetings, and behind them the slabs of every rank of the host.
///
/// `@unchecked Sendable`: `turn` belongs to the communication thread; everything else is constant.
package final class SharedWindow: @unchecked Sendable {
  let id: Int
  let memory: WindowMemory
  private let retired: Monitor<Set<Int>>
  private let isOpen = Monitor(true)
  private var turn: UInt32 = 0

  /// - Parameter retired: learns the id when the last slab of the window is gone.
  init(id: Int, memory: WindowMemory, retired: Monitor<Set<Int>>) {
    self.id = id
    self.memory = memory
    self.retired = retired
  }

  deinit { retired.update { _ = $0.insert(id) } }

  /// The elements behind a rank's control block.
  func floats(at place: Int) -> UnsafeMutablePointer<Float> {
    (memory.bases[place] + Int(CMPI_CONTROL_BYTES)).assumingMemoryBound(to: Float.self)
  }

  /// The transport is about to end: nobody writes to the memory any more.
  func close() { isOpen.update { $0 = false } }

  func whileOpen(_ body: () -> Void) { isOpen.read { if $0 { body() } } }

  /// Waits until every neighbour has come to the same collective, and tells where what they lend lies, by place.
  ///
  /// - Parameter lent: memory of this window that the neighbours may use until `part`.
  func meet(
    lending lent: [SlabRange], signature: UInt64, _ backend: any Backend
  ) throws -> [[UnsafeMutablePointer<Float>]] {
    precondition(lent.count <= Int(CMPI_PLACES), "\(lent.count) places are more than a meeting has room for")
    turn &+= 1
    let mine = floats(at: memory.place)
    let places = lent.map { Int64($0.pointer - mine) }
    cmpi_meeting_arrive(memory.bases[memory.place], turn, signature, places, Int32(places.count))
    return try memory.ranks.indices.map { place in
      if place == memory.place { return lent.map(\.pointer) }
      let control = memory.bases[place]
      try wait(for: place, Int32(CMPI_ARRIVED), backend)
      guard cmpi_meeting_signature(control) == signature else {
        throw CommunicationError(
          .collectivesDiffer, rank: backend.rank,
          reason: "rank \(memory.ranks[place]) is at another collective, or cuts the run elsewhere",
          remedy: "make every rank issue the same collectives (CommunicationOptions.checksCollectives names both sides)"
        )
      }
      let base = floats(at: place)
      return (0..<cmpi_meeting_count(control)).map { base + Int(cmpi_meeting_place(control, $0)) }
    }
  }

  /// Waits until nobody uses anybody's memory any more.
  func part(_ backend: any Backend) throws {
    cmpi_meeting_depart(memory.bases[memory.place], turn)
    for place in memory.ranks.indices where place != memory.place {
      try wait(for: place, Int32(CMPI_DEPARTED), backend)
    }
  }

  /// No deadline of its own: a rank may compute for as long as it likes before the others need it. Whoever waits for the collective has one, and
  /// when it passes the world is poisoned or aborted; a peer that is gone is noticed here.
  private func wait(for place: Int, _ stage: Int32, _ backend: any Backend) throws {
    while cmpi_meeting_wait(memory.bases[place], stage, turn, 40) == 0 {
      do {
        try backend.requirePresent(memory.ranks[place])
      } catch {
        // It may have come and gone in between.
        if cmpi_meeting_wait(memory.bases[place], stage, turn, 0) == 1 { return }
        throw error
      }
    }
  }
}
