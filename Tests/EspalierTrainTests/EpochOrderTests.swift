import EspalierTensor
import EspalierTrain
import Testing

@Suite struct EpochOrderTests {
  @Test(
    "every epoch has every sample exactly once",
    arguments: [0, 1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 64, 97, 100, 127, 255, 256, 257, 1009, 4096, 4097, 10_007])
  func bijection(count: Int) {
    let order = EpochOrder(sampleCount: count, seed: 3)
    for epoch in [0, 1, UInt64.max] {
      #expect(order.samples(epoch: epoch, places: 0..<UInt64(count)).sorted() == Array(0..<UInt64(count)))
    }
  }

  @Test("seeds and epochs give other orders, the same ones the same")
  func keyed() {
    let order = EpochOrder(sampleCount: 1000, seed: 1)
    let first = order.samples(epoch: 0, places: 0..<1000)
    #expect(first == EpochOrder(sampleCount: 1000, seed: 1).samples(epoch: 0, places: 0..<1000))
    #expect(first != order.samples(epoch: 1, places: 0..<1000))
    #expect(first != EpochOrder(sampleCount: 1000, seed: 2).samples(epoch: 0, places: 0..<1000))
    #expect(order.sample(epoch: 0, place: 17) == first[17])
  }

  /// With 1000 places and samples uniform, the correlation of place and sample has deviation 1/√999 ≈ 0.032.
  @Test("places and samples are not related, nor are neighbours")
  func mixing() {
    let count = 1000
    for epoch in 0..<8 as Range<UInt64> {
      let order = EpochOrder(sampleCount: count, seed: 5).samples(epoch: epoch, places: 0..<UInt64(count)).map {
        Double($0)
      }
      let mean = Double(count - 1) / 2, variance = Double(count * count - 1) / 12
      let withPlace = order.enumerated().reduce(0.0) { $0 + (Double($1.offset) - mean) * ($1.element - mean) }
      let withNext = zip(order, order.dropFirst()).reduce(0.0) { $0 + ($1.0 - mean) * ($1.1 - mean) }
      #expect(abs(withPlace / Double(count) / variance) < 0.14)
      #expect(abs(withNext / Double(count) / variance) < 0.14)
      // A permutation has one fixed place on average.
      #expect(order.enumerated().count { Double($0.offset) == $0.element } < 9)
    }
  }

  @Test("every sample is as likely to come first")
  func uniform() {
    var counts = [Int](repeating: 0, count: 5)
    for epoch in 0..<5000 as Range<UInt64> {
      counts[Int(EpochOrder(sampleCount: 5, seed: 9).sample(epoch: epoch, place: 0))] += 1
    }
    // 1000 each, deviation 28.
    for count in counts { #expect(abs(count - 1000) < 150, "\(counts)") }
  }
}

@Suite struct BatchPlanTests {
  private func batch(_ samples: Int, lanes: Int, last: BatchSettings.Last = .drop) -> BatchSettings {
    var batch = BatchSettings()
    (batch.samples, batch.lanes, batch.last) = (samples, lanes, last)
    return batch
  }

  @Test("with keep an epoch of 10 in batches of 4 is 4, 4 and 2, and each sample comes once")
  func keep() {
    let order = EpochOrder(sampleCount: 10, seed: 1), batch = batch(4, lanes: 4, last: .keep)
    #expect(order.batchesPerEpoch(samples: 4, last: .keep) == 3)
    var position: UInt64 = 0
    for epoch in 0..<3 as Range<UInt64> {
      var seen: [UInt64] = [], sizes: [Int] = []
      for _ in 0..<3 {
        let plan = BatchPlan(at: position, order: order, batch: batch)
        #expect(plan.epoch == epoch)
        sizes.append(plan.sampleCount)
        seen += (0..<4).flatMap { plan.samples(ofLane: $0) }
        position = plan.next
      }
      #expect(sizes == [4, 4, 2])
      #expect(seen.sorted() == Array(0..<10))
      #expect(position == (epoch + 1) * 10)
    }
  }

  @Test("with drop the samples that do not fill a batch are left out")
  func drop() {
    let order = EpochOrder(sampleCount: 10, seed: 1)
    let second = BatchPlan(
      at: BatchPlan(at: 0, order: order, batch: batch(4, lanes: 2)).next, order: order, batch: batch(4, lanes: 2))
    #expect(second.places == 4..<8)
    #expect(second.next == 10)
    let other = BatchPlan(at: 8, order: order, batch: batch(4, lanes: 2))
    #expect(other.epoch == 1)
    #expect(other.places == 0..<4)
  }

  @Test(
    "lanes of a partial batch have ⌈n / lanes⌉ or ⌊n / lanes⌋ samples, larger ones first",
    arguments: [1, 2, 3, 5, 7, 8])
  func lanes(count: Int) {
    let plan = BatchPlan(at: 0, order: EpochOrder(sampleCount: count, seed: 1), batch: batch(8, lanes: 4, last: .keep))
    let sizes = (0..<4).map { plan.range(ofLane: $0).count }
    #expect(sizes.reduce(0, +) == count)
    #expect(sizes == sizes.sorted(by: >))
    #expect((sizes.max() ?? 0) - (sizes.min() ?? 0) <= 1)
    #expect((0..<4).flatMap { Array(plan.range(ofLane: $0)) } == Array(0..<count))
  }

  @Test("the lanes of all ranks together are the plan's, and requests resume anywhere")
  func requests() {
    let order = EpochOrder(sampleCount: 11, seed: 4), batch = batch(4, lanes: 4, last: .keep)
    let whole = Array(LaneRequests(order: order, batch: batch, lanes: [0, 1, 2, 3], steps: 1...7, position: 0))
    #expect(whole.count == 28)
    let halves = [[0, 1], [2, 3]].map {
      Array(LaneRequests(order: order, batch: batch, lanes: $0, steps: 1...7, position: 0))
    }
    #expect(halves[0] == whole.filter { $0.lane < 2 })
    #expect(halves[1] == whole.filter { $0.lane >= 2 })
    var position: UInt64 = 0
    for _ in 0..<4 { position = BatchPlan(at: position, order: order, batch: batch).next }
    #expect(
      Array(LaneRequests(order: order, batch: batch, lanes: [0, 1, 2, 3], steps: 5...7, position: position))
        == Array(whole[16...]))
  }

  @Test("lanes left open are the largest power of two up to 8 that divides the samples")
  func openLanes() {
    for (samples, lanes) in [(32, 8), (12, 4), (6, 2), (7, 1), (1, 1), (16, 8)] {
      #expect(batch(samples, lanes: 0).resolvedLanes == lanes)
    }
  }
}
