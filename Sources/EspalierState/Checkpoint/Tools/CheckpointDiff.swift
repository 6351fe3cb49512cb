/// Where two checkpoints differ: tensors, shapes, slots, and of slots that differ the elements. Ranks, stage and layout of
/// either do not matter.
package struct CheckpointDiff: Codable, Sendable, Equatable {
  package struct ShapeChange: Codable, Sendable, Equatable {
    package let tensor: String
    package let first: [Int]
    package let second: [Int]
  }

  package struct SlotDifference: Codable, Sendable, Equatable {
    package let tensor: String
    package let slot: String
    package let firstDigest: Digest
    package let secondDigest: Digest
    /// Nil where the elements were not read.
    package var elements: ElementDifference?
  }

  package struct ElementDifference: Codable, Sendable, Equatable {
    /// The first element that differs: its place in the flat tensor, and by dimension.
    package let flatIndex: Int
    package let index: [Int]
    package let first: String
    package let second: String
    /// Of the two, as hexadecimal digits.
    package let firstBits: String
    package let secondBits: String
    /// How many elements differ in their bits, and of how many.
    package let count: Int
    package let total: Int
    /// The largest distance of two values; "nan" where one is not a number, "inf" where one is infinite.
    package let largest: String
  }

  /// Whether both hold the same tensors with the same bits. State and step are not asked.
  package var isSame: Bool {
    onlyInFirst.isEmpty && onlyInSecond.isEmpty && shapes.isEmpty && trainable.isEmpty && slots.isEmpty
  }

  package let firstPath: String
  package let secondPath: String
  package let firstStep: Int
  package let secondStep: Int
  /// "tensor", or "tensor/slot" where both have the tensor.
  package private(set) var onlyInFirst: [String] = []
  package private(set) var onlyInSecond: [String] = []
  package private(set) var shapes: [ShapeChange] = []
  /// Tensors that are trained in one and frozen in the other.
  package private(set) var trainable: [String] = []
  package private(set) var sameSlots = 0
  /// In the order of the first checkpoint.
  package private(set) var slots: [SlotDifference] = []

  /// - Parameter readSlots: of how many differing slots the elements are read; nil reads all.
  /// - Throws: `CheckpointError` for elements that cannot be read.
  package init(_ first: CheckpointReader, _ second: CheckpointReader, readSlots: Int?) throws {
    (firstPath, secondPath) = (first.path, second.path)
    (firstStep, secondStep) = (first.step, second.step)
    let others = Dictionary(
      second.manifest.tensors.map { ($0.record.name, $0) }, uniquingKeysWith: { first, _ in first })
    let caches = (ChunkCache(first), ChunkCache(second))
    var names: Set<String> = []
    for tensor in first.manifest.tensors {
      let name = tensor.record.name
      names.insert(name)
      guard let other = others[name] else {
        onlyInFirst.append(name)
        continue
      }
      if tensor.record.trainable != other.record.trainable { trainable.append(name) }
      guard tensor.record.shape == other.record.shape else {
        shapes.append(ShapeChange(tensor: name, first: tensor.record.shape, second: other.record.shape))
        continue
      }
      for slot in tensor.slots {
        guard let otherSlot = other.slots.first(where: { $0.name == slot.name }) else {
          onlyInFirst.append("\(name)/\(slot.name)")
          continue
        }
        if slot.digest == otherSlot.digest {
          sameSlots += 1
          continue
        }
        var difference = SlotDifference(
          tensor: name, slot: slot.name, firstDigest: slot.digest, secondDigest: otherSlot.digest)
        if slots.count < readSlots ?? .max {
          difference.elements = try ElementComparison(caches.0, caches.1, (tensor, slot), (other, otherSlot)).run()
        }
        slots.append(difference)
      }
      onlyInSecond += other.slots.map(\.name).filter { name in !tensor.slots.contains { $0.name == name } }
        .map { "\(name)/\($0)" }
    }
    onlyInSecond += second.manifest.tensors.map(\.record.name).filter { !names.contains($0) }
  }
}
