package import EspalierNN

/// The tensors of a checkpoint as another program wants them: which slots, which type, which names.
///
/// Records of replay are samples and no weights: they stay behind. A slot other than `value` is called `name@slot`. Memory is one buffer, whatever the size of the checkpoint; every chunk is
/// checked as it is read.
package struct CheckpointExport {
  package struct Entry: Sendable, Equatable {
    /// In the file that is written.
    package let name: String
    package let shape: [Int]
    /// In the checkpoint.
    let tensor: String
    let slot: String
    let range: Range<Int>
  }

  /// What was written.
  package struct Report: Encodable, Sendable {
    package let path: String
    package let tensors: Int
    package let elements: Int
    package let bytes: Int
    /// Finite elements that are infinite in the narrower type.
    package let becameInfinite: Int
  }

  static let bufferElements = 4 << 20
  /// Begins what Espalier adds to the metadata.
  package static let metadataPrefix = "espalier."
  package static let slotMark: Character = "@"

  package let entries: [Entry]
  private let reader: CheckpointReader
  private let element: InterchangeElement
  private let metadata: [String: String]

  /// - Parameters:
  ///   - slots: the names of those to write; a tensor without one of them is written without it.
  ///   - table: nil for the names of Espalier.
  ///   - model: the name of the model, for the metadata.
  /// - Throws: `InterchangeError` with every tensor that the table does not know, `CheckpointError` for an unknown slot.
  package init(
    _ reader: CheckpointReader, slots: [String], element: InterchangeElement, table: NameTable?, model: String
  ) throws {
    self.reader = reader
    self.element = element
    let weights = reader.manifest.tensors.filter { !ExtraTensor.isRecords($0.record.name) }
    let known = Set(weights.flatMap { $0.slots.map(\.name) })
    for slot in slots where !known.contains(slot) {
      throw CheckpointError(
        .unknownSlot, file: reader.path, reason: "no tensor has a slot '\(slot)'",
        remedy: "choose among \(known.sorted().joined(separator: ", "))")
    }
    var entries: [Entry] = []
    var problems: [String] = []
    for tensor in weights {
      let record = tensor.record
      guard let parts = NamedParts(of: record.name, shape: record.shape, table: table) else {
        problems.append("'\(record.name)' of shape \(record.shape)")
        continue
      }
      for slot in slots where tensor.slots.contains(where: { $0.name == slot }) {
        entries += parts.list.map { part in
          Entry(
            name: slot == SlotSpec.value.name ? part.name : "\(part.name)\(Self.slotMark)\(slot)", shape: part.shape,
            tensor: record.name, slot: slot, range: part.range)
        }
      }
    }
    guard problems.isEmpty else {
      throw InterchangeError(
        .tableDoesNotApply, file: reader.path,
        reason: "the table '\(table?.name ?? "")' has no place for \(problems.joined(separator: ", "))",
        remedy: "use the names of Espalier: --names \(NameTable.identityName)")
    }
    self.entries = entries
    // transformers wants to know which library a file is for; its tensors are those of PyTorch.
    var metadata = ["format": "pt"]
    let own = [
      "version": "1", "step": String(reader.step), "save": "\(reader.saveID)", "model": model,
      "names": table?.name ?? NameTable.identityName, "slots": slots.joined(separator: ","),
    ]
    for (key, value) in own { metadata[Self.metadataPrefix + key] = value }
    for slot in slots { metadata[Self.digestKey(slot)] = "\(Self.digest(of: slot, in: weights))" }
    self.metadata = metadata
  }

  /// Where the digest of a slot over all tensors stands in the metadata.
  static func digestKey(_ slot: String) -> String { "\(metadataPrefix)digest.\(slot)" }

  private static func digest(of slot: String, in tensors: [Manifest.Tensor]) -> Digest {
    tensors.flatMap(\.slots).filter { $0.name == slot }.reduce(.zero) { $0 + $1.digest }
  }

  /// Writes all of it as a safetensors file, which appears whole or not at all.
  /// - Throws: `InterchangeError`, `CheckpointError`; then there is no file.
  package func writeSafetensors(to path: String, fileSystem: FileSystem = .real) throws -> Report {
    let writer = try SafetensorsWriter(
      path, tensors: entries.map { .init(name: $0.name, element: element, shape: $0.shape) }, metadata: metadata,
      fileSystem: fileSystem)
    var (elements, overflows) = (0, 0)
    for entry in entries {
      elements += entry.range.count
      overflows += try convert(entry) { try writer.append($0) }
    }
    try writer.finish()
    return Report(
      path: path, tensors: entries.count, elements: elements, bytes: elements * element.byteCount,
      becameInfinite: overflows)
  }

  /// Writes one slot of one tensor as a `.npy` file, which appears whole or not at all.
  /// - Throws: `InterchangeError`, `CheckpointError`; then there is no file.
  package static func writeNpy(
    _ reader: CheckpointReader, tensor: String, slot: String, element: InterchangeElement, to path: String,
    fileSystem: FileSystem = .real
  ) throws -> Report {
    let record = try reader.record(of: tensor)
    // Throws for a slot that is not there, before there is a file.
    _ = try reader.digest(of: tensor, slot: slot)
    let header = try NpyHeader.encoded(element, shape: record.shape, file: path)
    let entry = Entry(
      name: tensor, shape: record.shape, tensor: tensor, slot: slot, range: 0..<record.elementCount)
    let file = try NewFile(path, fileSystem: fileSystem)
    try file.append(header)
    let overflows = try convert(entry, of: reader, as: element) { try file.append($0) }
    try file.publish()
    return Report(
      path: path, tensors: 1, elements: entry.range.count, bytes: entry.range.count * element.byteCount,
      becameInfinite: overflows)
  }

  private func convert(_ entry: Entry, _ append: (UnsafeRawBufferPointer) throws -> Void) throws -> Int {
    try Self.convert(entry, of: reader, as: element, append)
  }

  /// Hands over the elements of an entry piece by piece.
  /// - Returns: how many finite ones became infinite.
  private static func convert(
    _ entry: Entry, of reader: CheckpointReader, as element: InterchangeElement,
    _ append: (UnsafeRawBufferPointer) throws -> Void
  ) throws -> Int {
    let room = min(bufferElements, max(entry.range.count, 1))
    let floats = UnsafeMutableBufferPointer<Float>.allocate(capacity: room)
    let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: room * element.byteCount, alignment: 64)
    defer {
      floats.deallocate()
      bytes.deallocate()
    }
    guard let start = floats.baseAddress else { return 0 }
    var overflows = 0
    for first in stride(from: entry.range.lowerBound, to: entry.range.upperBound, by: room) {
      let range = first..<min(first + room, entry.range.upperBound)
      try reader.read(tensor: entry.tensor, slot: entry.slot, range: range, into: start)
      let part = UnsafeMutableRawBufferPointer(rebasing: bytes[..<(range.count * element.byteCount)])
      overflows += element.narrow(UnsafeBufferPointer(rebasing: floats[..<range.count]), into: part)
      try append(UnsafeRawBufferPointer(part))
    }
    return overflows
  }
}

/// The tensors of another program that make up one weight, in the order of its elements.
struct NamedParts {
  struct Part {
    let name: String
    let shape: [Int]
    /// In elements of the weight.
    let range: Range<Int>
  }

  let list: [Part]

  /// - Returns: nil where the table does not know the weight, or cannot cut its shape.
  init?(of weight: String, shape: [Int], table: NameTable?) {
    let count = shape.reduce(1, *)
    guard let table else {
      list = [Part(name: weight, shape: shape, range: 0..<count)]
      return
    }
    guard let parts = table.parts(of: weight) else { return nil }
    if parts.count == 1 {
      list = [Part(name: parts[0].name, shape: shape, range: 0..<count)]
      return
    }
    let shares = parts.reduce(0) { $0 + $1.share }
    guard let rows = shape.first, shares > 0, rows % shares == 0 else { return nil }
    let row = shape.dropFirst().reduce(1, *)
    var start = 0
    list = parts.map { part in
      let height = rows / shares * part.share
      defer { start += height * row }
      return Part(name: part.name, shape: [height] + shape.dropFirst(), range: start..<start + height * row)
    }
  }
}
