import EspalierComm
import EspalierState
import EspalierTensor
import EspalierTesting
import Testing

/// Records that ranks share out: what is drawn is what came.
@Suite struct ReplayMemoryTests {
  /// Sample, class and task of the first samples of a stream.
  private static func stream(_ count: Int) -> [(sample: UInt64, row: Int32, task: Int)] {
    var samples: [(sample: UInt64, row: Int32, task: Int)] = []
    for place in 0..<count { samples.append((UInt64(place * 7 % 50), Int32(place % 5), place / 40)) }
    return samples
  }

  private struct Memory: Sendable, Equatable {
    let reservoir: Reservoir
    let inputs: [Float]
    let logits: [Float]
    let rows: [Int]
  }

  /// Offers 90 samples in batches of 15 and fetches all records; sample n of the stream is computed by rank n % ranks.
  private static func records(ranks: Int, columns: Int) throws -> [Memory] {
    try Ranks.run(ranks) { communicator in
      let memory = ReplayMemory(capacity: 11, features: 3, columns: columns, communicator)
      for start in Swift.stride(from: 0, to: 90, by: 15) {
        let own = (0..<15).filter { ($0 + start) % ranks == communicator.rank }.map { index in
          ReplayMemory.Own(
            index: index, inputs: values(of: start + index, 3)[...], logits: values(of: -start - index, columns)[...])
        }
        try memory.offer(Array(stream(90)[start..<start + 15]), own: own, key: RandomKey(seed: 11))
      }
      let drawn = try memory.fetch(Array(memory.reservoir.entries.indices.reversed()))
      return Memory(
        reservoir: memory.reservoir, inputs: drawn.inputs, logits: drawn.logits,
        rows: memory.tensors.map { $0.own.count })
    }
  }

  private static func values(of place: Int, _ count: Int) -> [Float] {
    (0..<count).map { Float(place) + Float($0) / 8 }
  }

  @Test("every rank fetches what came, whichever rank had computed it", arguments: [1, 2, 3, 4, 8], [0, 4])
  func fetched(ranks: Int, columns: Int) throws {
    let found = try Self.records(ranks: ranks, columns: columns)
    let places = found[0].reservoir.entries.reversed().map { Int($0.place) }
    #expect(places.count == 11 && places.contains { $0 > 30 })
    for memory in found {
      #expect(memory.reservoir == found[0].reservoir)
      #expect(memory.inputs == places.flatMap { Self.values(of: $0, 3) })
      #expect(memory.logits == places.flatMap { Self.values(of: -$0, columns) })
    }
    // Each rank holds its share of the rows, not all of them.
    #expect(found.reduce(0) { $0 + $1.rows[0] } == 11)
    #expect(found.allSatisfy { $0.rows[0] <= (11 + ranks - 1) / ranks })
  }
}
