public import EspalierNN
import EspalierTensor
import Foundation

/// The batch of one lane of one step.
public struct LaneBatch: Sendable, Equatable {
  /// The number of the step, as `ScheduleCursor.PlannedStep.number`.
  public let step: Int
  public let lane: Int
  public let batch: Batch
}

/// Reads a rank's lane batches ahead of it on one thread, in the order of the requests.
///
/// What comes out depends on the requests alone, never on how fast either side is. A fault of the reader is thrown where the
/// batch that failed would have come out, after all batches before it.
public final class Prefetcher: Sendable {
  private let queue: ReadQueue

  /// Starts to read.
  /// - Parameter depth: how many batches may wait, at least 1.
  public init(
    _ dataset: any Dataset, requests: some Sequence<LaneRequests.Request> & Sendable, depth: Int = 4
  ) {
    precondition(depth > 0, "a prefetcher holds at least one batch, got a depth of \(depth)")
    let queue = ReadQueue(depth: depth)
    self.queue = queue
    // The thread holds the queue but not the prefetcher, so letting go of the prefetcher ends it.
    let thread = Thread {
      do {
        for request in requests {
          let batch = LaneBatch(step: request.step, lane: request.lane, batch: try dataset.batch(of: request.samples))
          ProgressCounter.tick()
          guard queue.put(batch) else { break }
        }
        queue.close(nil)
      } catch {
        queue.close(error)
      }
    }
    thread.name = "espalier reader"
    thread.start()
  }

  deinit { queue.stop() }

  /// The next batch; nil after the last one, and after `stop`.
  /// - Throws: what the data set threw, here and at every later call.
  public func next() throws -> LaneBatch? { try queue.take() }

  /// Ends the reading; returns when the thread has let go of the data.
  public func stop() {
    queue.stop()
    queue.waitUntilClosed()
  }
}

/// A bounded queue between two threads.
///
/// `@unchecked Sendable`: every mutable property is read and written with `condition` locked.
private final class ReadQueue: @unchecked Sendable {
  private let condition = NSCondition()
  private let depth: Int
  private var waiting: [LaneBatch] = []
  private var isStopped = false
  private var isClosed = false
  private var fault: (any Error)?

  init(depth: Int) { self.depth = depth }

  /// Waits for a free place; false when nobody will take any more.
  func put(_ batch: LaneBatch) -> Bool {
    condition.withLock {
      while waiting.count >= depth, !isStopped { condition.wait() }
      guard !isStopped else { return false }
      waiting.append(batch)
      condition.broadcast()
      return true
    }
  }

  func take() throws -> LaneBatch? {
    try condition.withLock {
      while waiting.isEmpty, !isClosed, !isStopped { condition.wait() }
      guard !isStopped else { return nil }
      if !waiting.isEmpty {
        defer { condition.broadcast() }
        return waiting.removeFirst()
      }
      if let fault { throw fault }
      return nil
    }
  }

  /// Nothing more will be put.
  func close(_ fault: (any Error)?) {
    condition.withLock {
      self.fault = fault
      isClosed = true
      condition.broadcast()
    }
  }

  func stop() {
    condition.withLock {
      isStopped = true
      waiting = []
      condition.broadcast()
    }
  }

  func waitUntilClosed() {
    condition.withLock { while !isClosed { condition.wait() } }
  }
}
