import EspalierNN
import EspalierTensor
import EspalierTrain
import Foundation
import Testing

/// A set that counts what is read, and fails at one sample.
private final class CountedDataset: Dataset, @unchecked Sendable {  // `reads` is used with `lock` held.
  let sampleCount = 1000
  var description: String { "counted" }
  var inputs: DatasetInputs { .features([1]) }
  var classCount: Int { 2 }
  var targetsAreBytes: Bool { false }
  var bytesPerSample: Int { 8 }
  var contentHash: UInt64 { 0 }
  private let faulty: UInt64?
  private let lock = NSLock()
  private var reads = 0

  init(faulty: UInt64? = nil) { self.faulty = faulty }

  var readCount: Int { lock.withLock { reads } }

  func batch(of indices: [UInt64]) throws -> Batch {
    lock.withLock { reads += 1 }
    if let faulty, indices.contains(faulty) {
      throw DataError(.unreadable, subject: "counted", reason: "sample \(faulty) is broken", remedy: "none")
    }
    return Batch(
      inputs: .features(indices.map { Float($0) }, [indices.count, 1]),
      targets: Indices(indices.map { Int32($0 % 2) }, shape: [indices.count]), samples: indices)
  }
}

@Suite(.timeLimit(.minutes(1))) struct PrefetcherTests {
  private func requests(steps: Int) -> LaneRequests {
    LaneRequests(
      order: EpochOrder(sampleCount: 1000, seed: 2), batch: BatchSettings(), lanes: [1, 5], steps: 1...steps,
      position: 0)
  }

  @Test("batches come out in the order of the requests, then nil", arguments: [1, 3, 100])
  func order(depth: Int) throws {
    let reader = Prefetcher(CountedDataset(), requests: requests(steps: 20), depth: depth)
    for request in requests(steps: 20) {
      let next = try #require(try reader.next())
      #expect(next.step == request.step)
      #expect(next.lane == request.lane)
      #expect(next.batch.samples == request.samples)
    }
    #expect(try reader.next() == nil)
    #expect(try reader.next() == nil)
  }

  @Test("no more is read ahead than the depth and one in the hand")
  func bounded() throws {
    let data = CountedDataset()
    let reader = Prefetcher(data, requests: requests(steps: 1000), depth: 3)
    _ = try reader.next()
    Thread.sleep(forTimeInterval: 0.05)
    #expect(data.readCount <= 5)
    #expect(data.readCount >= 1)
    reader.stop()
    let count = data.readCount
    Thread.sleep(forTimeInterval: 0.02)
    #expect(data.readCount == count)
    #expect(try reader.next() == nil)
  }

  @Test("a fault is thrown after the batches before it, and again at every call")
  func fault() throws {
    let all = Array(requests(steps: 10))
    let reader = Prefetcher(CountedDataset(faulty: all[7].samples[2]), requests: requests(steps: 10), depth: 4)
    for request in all[..<7] { #expect(try reader.next()?.batch.samples == request.samples) }
    for _ in 0..<2 {
      let error = #expect(throws: DataError.self) { try reader.next() }
      #expect(error?.reason == "sample \(all[7].samples[2]) is broken")
    }
    reader.stop()
  }

  @Test("letting go of the reader ends its thread and frees the data")
  func release() {
    weak var data: CountedDataset?
    do {
      let counted = CountedDataset()
      data = counted
      let reader = Prefetcher(counted, requests: requests(steps: 100_000), depth: 2)
      withExtendedLifetime(reader) {}
    }
    let deadline = Date().addingTimeInterval(20)
    while data != nil, Date() < deadline { Thread.sleep(forTimeInterval: 0.005) }
    #expect(data == nil)
  }
}
