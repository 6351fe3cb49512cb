/// Samples that each have one class: what task sequences are made of.
public protocol LabelledDataset: Dataset {
  /// The class of every sample, below `classCount`, as its target says: `labels[i]` is the target of sample i.
  var labels: [Int32] { get }
}

/// Samples that a run may disturb while it learns from them.
public protocol AugmentedDataset: Dataset {
  /// What is done to training samples and to replayed ones, never to those that are measured; nil for nothing.
  var augmentation: ImageAugmentation? { get }
}

extension LabelledDataset {
  /// How many samples each class has, by class.
  package var classCounts: [Int] {
    var counts = [Int](repeating: 0, count: classCount)
    for label in labels { counts[Int(label)] += 1 }
    return counts
  }
}
