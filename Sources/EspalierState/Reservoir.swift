package import EspalierTensor

/// Which samples of a stream are kept: the same odds for every one of them, decided by its place in the stream alone.
///
/// Sample n (from 0) takes slot n while n < capacity; afterwards j is drawn from 0 … n and it replaces slot j where j < capacity.
/// - Vitter 1985, doi:10.1145/3147.3165, algorithm R.
package struct Reservoir: Codable, Sendable, Equatable {
  /// A sample that is kept.
  package struct Entry: Codable, Sendable, Equatable {
    /// Its place in the stream.
    package let place: UInt64
    /// Its number in the data.
    package let sample: UInt64
    /// Its class, as a row of the head.
    package let row: Int32
    package let task: Int

    package init(place: UInt64, sample: UInt64, row: Int32, task: Int) {
      self.place = place
      self.sample = sample
      self.row = row
      self.task = task
    }
  }

  package let capacity: Int
  /// Samples that were offered so far.
  package private(set) var offered: UInt64 = 0
  /// By slot.
  package private(set) var entries: [Entry] = []

  package init(capacity: Int) { self.capacity = capacity }

  /// Offers samples in the order of the stream.
  /// - Returns: for each slot that has a new sample, which of the offered it is.
  package mutating func offer(_ samples: [(sample: UInt64, row: Int32, task: Int)], key: RandomKey) -> [Int: Int] {
    var placed: [Int: Int] = [:]
    for (index, sample) in samples.enumerated() {
      let place = offered
      offered += 1
      let slot = place < UInt64(capacity) ? place : key.bits(at: place) % (place + 1)
      guard slot < UInt64(capacity) else { continue }
      let entry = Entry(place: place, sample: sample.sample, row: sample.row, task: sample.task)
      if Int(slot) == entries.count { entries.append(entry) } else { entries[Int(slot)] = entry }
      placed[Int(slot)] = index
    }
    return placed
  }

  /// Distinct slots, each with the same odds; all that there are where there are fewer.
  /// - Parameter isWanted: of an entry; others are left out.
  package func draw(_ count: Int, key: RandomKey, where isWanted: (Entry) -> Bool = { _ in true }) -> [Int] {
    var slots = entries.indices.filter { isWanted(entries[$0]) }
    // Fisher and Yates, from the front.
    let drawn = min(count, slots.count)
    for place in 0..<drawn {
      slots.swapAt(place, place + Int(key.bits(at: UInt64(place)) % UInt64(slots.count - place)))
    }
    return Array(slots.prefix(drawn))
  }
}
