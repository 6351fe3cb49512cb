public import EspalierNN
import EspalierTensor

/// Several sets of one shape end to end: all tasks at once.
public struct JoinedDataset: LabelledDataset, AugmentedDataset {
  public let parts: [SubsetDataset]
  public let description: String
  public let sampleCount: Int
  public let classCount: Int
  public let labels: [Int32]
  public let contentHash: UInt64
  /// Where each part begins.
  private let starts: [Int]

  /// - Precondition: there is a part, and all have the same shape of samples and number of classes.
  public init(_ parts: [SubsetDataset], named name: String) {
    require(!parts.isEmpty, "a joined set has at least one part")
    for part in parts {
      require(
        part.inputs == parts[0].inputs && part.classCount == parts[0].classCount,
        "\(part.description) does not fit \(parts[0].description)")
    }
    self.parts = parts
    starts = parts.reduce(into: [0]) { $0.append($0[$0.count - 1] + $1.sampleCount) }
    sampleCount = starts[parts.count]
    classCount = parts[0].classCount
    labels = parts.flatMap(\.labels)
    description = "\(name): \(sampleCount) samples"
    var hash = ContentHash(seed: 6)
    for part in parts { hash.add(part.contentHash) }
    contentHash = hash.value
  }

  public var inputs: DatasetInputs { parts[0].inputs }
  public var targetsAreBytes: Bool { false }
  public var bytesPerSample: Int { parts[0].bytesPerSample }
  public var augmentation: ImageAugmentation? { parts[0].augmentation }

  public func batch(of indices: [UInt64]) throws -> Batch {
    // Each part is read once; then its samples go to where they were asked for.
    var places = [[Int]](repeating: [], count: parts.count)
    for (place, index) in indices.enumerated() {
      require(index < UInt64(sampleCount), "sample \(index) is none of \(sampleCount)")
      places[part(of: Int(index))].append(place)
    }
    let batches = try parts.indices.map { part in
      try parts[part].batch(of: places[part].map { indices[$0] - UInt64(starts[part]) })
    }
    if let only = places.firstIndex(where: { $0.count == indices.count }) { return batches[only] }
    var values: [Float] = [], tokens: [Int32] = []
    var width = 0
    for batch in batches {
      switch batch.inputs {
      case .features(_, let shape): width = shape.dimensions.dropFirst().reduce(1, *)
      case .tokens(let inputs): width = inputs.shape.dimensions.dropFirst().reduce(1, *)
      }
    }
    var targets = [Int32](repeating: 0, count: indices.count)
    var samples = [UInt64](repeating: 0, count: indices.count)
    if case .features(_) = inputs {
      values = [Float](repeating: 0, count: indices.count * width)
    } else {
      tokens = [Int32](repeating: 0, count: indices.count * width)
    }
    for (part, batch) in batches.enumerated() {
      for (row, place) in places[part].enumerated() {
        targets[place] = batch.targets.values[row]
        samples[place] = batch.samples[row]
        let from = row * width..<(row + 1) * width, to = place * width..<(place + 1) * width
        switch batch.inputs {
        case .features(let part, _): values.replaceSubrange(to, with: part[from])
        case .tokens(let part): tokens.replaceSubrange(to, with: part.values[from])
        }
      }
    }
    let inputs: Batch.Inputs =
      switch batches[0].inputs {
      case .features(_, let shape): .features(values, Shape([indices.count] + shape.dimensions.dropFirst()))
      case .tokens(let part):
        .tokens(Indices(tokens, shape: Shape([indices.count] + part.shape.dimensions.dropFirst())))
      }
    return Batch(inputs: inputs, targets: Indices(targets, shape: [indices.count]), samples: samples)
  }

  /// The part that holds a sample: the last that begins at or before it and is not empty.
  private func part(of sample: Int) -> Int {
    var low = 0, high = parts.count
    while high - low > 1 {
      let middle = (low + high) / 2
      if starts[middle] <= sample { low = middle } else { high = middle }
    }
    return low
  }
}
