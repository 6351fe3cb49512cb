public import EspalierNN
import EspalierTensor

/// Some samples of another set, with targets of their own: a view that copies no sample.
///
/// `Batch.samples` are the samples' numbers in the base, plus `offset`: what is keyed by a sample, as its augmentation or its record,
/// does not depend on the view that it came through.
public struct SubsetDataset: LabelledDataset, AugmentedDataset {
  public let base: any LabelledDataset
  public let description: String
  /// The samples of the base, in the order of this set.
  public let indices: [UInt32]
  /// The rows of the head for the classes of the base; `Batch.ignored` for those that are not here.
  public let rowOfClass: [Int32]
  /// The rows that the head has.
  public let classCount: Int
  /// What a sample's number in the base is raised by, so that several bases share one numbering.
  public let offset: UInt64
  public let labels: [Int32]
  public let contentHash: UInt64

  /// - Precondition: every index lies in the base and its class has a row below `classCount`.
  public init(
    _ base: any LabelledDataset, named name: String, indices: [UInt32], rowOfClass: [Int32], classCount: Int,
    offset: UInt64 = 0
  ) {
    self.base = base
    self.indices = indices
    self.rowOfClass = rowOfClass
    self.classCount = classCount
    self.offset = offset
    let classes = base.labels
    labels = indices.map { index in
      require(Int(index) < classes.count, "sample \(index) is none of \(classes.count)")
      let row = rowOfClass[Int(classes[Int(index)])]
      require(row >= 0 && row < classCount, "class \(classes[Int(index)]) has no row among \(classCount)")
      return row
    }
    description = "\(name): \(indices.count) samples"
    var hash = ContentHash(seed: 5)
    hash.add(base.contentHash)
    hash.add(offset)
    hash.add(UInt64(classCount))
    indices.withUnsafeBytes { hash.add($0) }
    labels.withUnsafeBytes { hash.add($0) }
    contentHash = hash.value
  }

  /// Some samples of the base as they are.
  public init(_ base: any LabelledDataset, named name: String, indices: [UInt32]) {
    self.init(
      base, named: name, indices: indices, rowOfClass: Array(0..<Int32(base.classCount)), classCount: base.classCount)
  }

  public var sampleCount: Int { indices.count }
  public var inputs: DatasetInputs { base.inputs }
  public var targetsAreBytes: Bool { false }
  public var bytesPerSample: Int { base.bytesPerSample }
  public var augmentation: ImageAugmentation? { (base as? any AugmentedDataset)?.augmentation }

  public func batch(of indices: [UInt64]) throws -> Batch {
    for index in indices { require(index < UInt64(sampleCount), "sample \(index) is none of \(sampleCount)") }
    let batch = try base.batch(of: indices.map { UInt64(self.indices[Int($0)]) })
    return Batch(
      inputs: batch.inputs, targets: Indices(indices.map { labels[Int($0)] }, shape: [indices.count]),
      samples: offset == 0 ? batch.samples : batch.samples.map { $0 + offset })
  }
}
