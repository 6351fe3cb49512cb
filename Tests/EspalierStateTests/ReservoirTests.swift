import EspalierState
import EspalierTensor
import Testing

/// Which samples of a stream are kept.
@Suite struct ReservoirTests {
  private static let key = RandomKey(seed: 5)
  private static func samples(_ range: Range<UInt64>) -> [(sample: UInt64, row: Int32, task: Int)] {
    range.map { (sample: $0, row: Int32($0 % 3), task: Int($0 / 50)) }
  }

  @Test("a stream that is offered in pieces of any size leaves the records of one that is offered at once")
  func pieces() {
    var whole = Reservoir(capacity: 20)
    _ = whole.offer(Self.samples(0..<200), key: Self.key)
    for size in [1, 7, 16, 33] as [UInt64] {
      var cut = Reservoir(capacity: 20)
      for start in stride(from: UInt64(0), to: 200, by: Int(size)) {
        let placed = cut.offer(Self.samples(start..<min(start + size, 200)), key: Self.key)
        for (slot, index) in placed { #expect(cut.entries[slot].sample == start + UInt64(index)) }
      }
      #expect(cut == whole)
    }
  }

  @Test("every sample is kept with the same odds")
  func odds() {
    var kept = Array(repeating: 0, count: 60)
    for seed in 0..<4000 as Range<UInt64> {
      var reservoir = Reservoir(capacity: 15)
      _ = reservoir.offer(Self.samples(0..<60), key: RandomKey(seed: seed))
      for entry in reservoir.entries { kept[Int(entry.sample)] += 1 }
    }
    // 1000 of 4000 each, standard deviation 27.
    #expect(kept.allSatisfy { abs($0 - 1000) < 140 }, "\(kept)")
  }

  @Test("a draw has distinct records, fewer where fewer are kept, all with the same odds, and none that is not wanted")
  func draws() {
    var reservoir = Reservoir(capacity: 20)
    _ = reservoir.offer(Self.samples(0..<100), key: Self.key)
    var drawn = Array(repeating: 0, count: 20)
    for step in 0..<3000 as Range<UInt64> {
      let slots = reservoir.draw(8, key: Self.key.child(step))
      #expect(Set(slots).count == 8)
      for slot in slots { drawn[slot] += 1 }
    }
    // 1200 of 3000 each, standard deviation 27.
    #expect(drawn.allSatisfy { abs($0 - 1200) < 140 }, "\(drawn)")
    #expect(Set(reservoir.draw(50, key: Self.key)) == Set(0..<20))
    let first = reservoir.draw(50, key: Self.key) { $0.task == 0 }
    #expect(!first.isEmpty && first.allSatisfy { reservoir.entries[$0].task == 0 })
    #expect(Reservoir(capacity: 3).draw(2, key: Self.key).isEmpty)
  }
}
