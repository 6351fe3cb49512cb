/// Which samples one step computes, and in which lane each.
///
/// A pure function of the order, the batch settings and a position, so every rank makes the same plan without asking another.
public struct BatchPlan: Sendable, Equatable {
  public let epoch: UInt64
  /// The places of the epoch's order that the batch takes.
  public let places: Range<UInt64>
  /// The position of the next batch.
  public let next: UInt64
  private let order: EpochOrder
  private let lanes: Int

  /// The batch that begins at a position.
  ///
  /// A position counts samples since the beginning of the run: epoch · sampleCount + place; samples that `last: drop` leaves out
  /// count as well.
  /// - Precondition: the data set holds a batch (`EpochOrder.batchesPerEpoch` ≥ 1).
  public init(at position: UInt64, order: EpochOrder, batch: BatchSettings) {
    let count = UInt64(order.sampleCount), size = UInt64(batch.samples)
    precondition(
      order.batchesPerEpoch(samples: batch.samples, last: batch.last) > 0,
      "\(count) samples do not fill a batch of \(size)")
    var (epoch, place) = position.quotientAndRemainder(dividingBy: count)
    // Only a batch size that was changed by a resume can leave a remainder here that does not fill a batch.
    if batch.last == .drop, count - place < size { (epoch, place) = (epoch + 1, 0) }
    let end = min(place + size, count)
    let isLast = end == count || (batch.last == .drop && count - end < size)
    self.epoch = epoch
    places = place..<end
    next = isLast ? (epoch + 1) * count : epoch * count + end
    self.order = order
    lanes = batch.resolvedLanes
  }

  /// The samples of the whole batch.
  public var sampleCount: Int { places.count }

  public var laneCount: Int { lanes }

  /// The places of a lane within the batch: ⌊n / lanes⌋ or ⌈n / lanes⌉, the larger lanes first. With fewer samples than lanes the
  /// last lanes are empty.
  public func range(ofLane lane: Int) -> Range<Int> {
    Self.range(ofLane: lane, of: lanes, count: sampleCount)
  }

  /// The same for any count: also records that are drawn are dealt so.
  package static func range(ofLane lane: Int, of lanes: Int, count: Int) -> Range<Int> {
    precondition(lane >= 0 && lane < lanes, "lane \(lane) is none of \(lanes)")
    let (size, larger) = count.quotientAndRemainder(dividingBy: lanes)
    let first = lane * size + min(lane, larger)
    return first..<first + size + (lane < larger ? 1 : 0)
  }

  /// The indices of a lane's samples in the data set.
  /// - Complexity: the samples of the lane.
  public func samples(ofLane lane: Int) -> [UInt64] {
    let range = range(ofLane: lane)
    return order.samples(
      epoch: epoch, places: places.lowerBound + UInt64(range.lowerBound)..<places.lowerBound + UInt64(range.upperBound))
  }
}

/// The lane batches that one rank computes, step after step, without end.
public struct LaneRequests: Sequence, Sendable {
  /// One lane of one step.
  public struct Request: Sendable, Equatable {
    /// The number of the step, as `ScheduleCursor.PlannedStep.number`.
    public let step: Int
    public let lane: Int
    public let samples: [UInt64]
  }

  let order: EpochOrder
  let batch: BatchSettings
  /// The lanes in the order in which the rank computes them.
  let lanes: [Int]
  let firstStep: Int
  let lastStep: Int
  let position: UInt64

  /// - Parameters:
  ///   - steps: the numbers of the steps that are left.
  ///   - position: where the first of them begins.
  public init(order: EpochOrder, batch: BatchSettings, lanes: [Int], steps: ClosedRange<Int>, position: UInt64) {
    self.order = order
    self.batch = batch
    self.lanes = lanes
    firstStep = steps.lowerBound
    lastStep = steps.upperBound
    self.position = position
  }

  public struct Iterator: IteratorProtocol {
    private let requests: LaneRequests
    private var step: Int
    private var index = 0
    private var plan: BatchPlan

    init(_ requests: LaneRequests) {
      self.requests = requests
      step = requests.firstStep
      plan = BatchPlan(at: requests.position, order: requests.order, batch: requests.batch)
    }

    public mutating func next() -> Request? {
      guard !requests.lanes.isEmpty else { return nil }
      if index == requests.lanes.count {
        index = 0
        step += 1
        plan = BatchPlan(at: plan.next, order: requests.order, batch: requests.batch)
      }
      guard step <= requests.lastStep else { return nil }
      defer { index += 1 }
      let lane = requests.lanes[index]
      return Request(step: step, lane: lane, samples: plan.samples(ofLane: lane))
    }
  }

  public func makeIterator() -> Iterator { Iterator(self) }
}
