package import EspalierTensor

/// Sets a part of every class apart.
///
/// Of a class of n samples round(fraction · n) are drawn, but at least one: those whose place in a keyed permutation of the class
/// comes first. Which ones depends on the key, the class and n alone, so the part is the same whatever else is done with the set.
package struct StratifiedSplit: Equatable {
  /// The samples that stay, ascending.
  package let kept: [Int]
  /// The samples that are set apart, ascending.
  package let drawn: [Int]

  /// - Parameters:
  ///   - labels: the class of every sample.
  ///   - samples: those that are split, ascending.
  /// - Returns: nil where a class would be left with nothing.
  package init?(labels: [Int32], samples: [Int], fraction: Double, key: RandomKey) {
    guard fraction > 0 else {
      kept = samples
      drawn = []
      return
    }
    var classes: [Int32: [Int]] = [:]
    for sample in samples { classes[labels[sample], default: []].append(sample) }
    var chosen: Set<Int> = []
    for (label, members) in classes {
      let count = max(Int((fraction * Double(members.count)).rounded()), 1)
      guard count < members.count else { return nil }
      let order = EpochOrder(sampleCount: members.count, key: key.child(UInt64(label)))
      for place in 0..<UInt64(count) { chosen.insert(members[Int(order.sample(epoch: 0, place: place))]) }
    }
    kept = samples.filter { !chosen.contains($0) }
    drawn = samples.filter(chosen.contains)
  }
}
