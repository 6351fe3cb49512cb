package import EspalierNN
import EspalierTensor

/// A safetensors file as the first weights of a run: matched with a model by name and shape, then written as an ordinary
/// checkpoint of step 0 that has the slot `value` alone.
package struct CheckpointImport {
  package struct Report: Encodable, Sendable {
    package let path: String
    package let tensors: Int
    package let elements: Int
    package let digest: Digest
    /// What was in the file and not taken, with the reason.
    package let notes: [String]
  }

  /// One weight and the tensors of the file that it is joined from.
  private struct Source {
    let spec: ParameterSpec
    let parts: [(tensor: SafetensorsHeader.Tensor, range: Range<Int>)]
  }

  /// A shard is written from a copy in memory, so that this, twice, is what an import takes.
  package static let defaultShardBytes = 128 << 20

  private let reader: SafetensorsReader
  private let sources: [Source]
  package let notes: [String]

  /// - Throws: `InterchangeError` that names everything that does not fit.
  package init(_ reader: SafetensorsReader, blueprint: Blueprint, table: NameTable?) throws {
    self.reader = reader
    var problems: [String] = []
    var integers: [String] = []
    var used: Set<String> = []
    var sources: [Source] = []
    for spec in blueprint.parameters {
      guard let parts = NamedParts(of: spec.name, shape: spec.shape.dimensions, table: table) else {
        problems.append("the table has no place for '\(spec.name)' of shape \(spec.shape.dimensions)")
        continue
      }
      var found: [(SafetensorsHeader.Tensor, Range<Int>)] = []
      for part in parts.list {
        guard let tensor = reader.tensor(part.name) else {
          problems.append("'\(part.name)' of shape \(part.shape) is missing")
          continue
        }
        used.insert(part.name)
        if tensor.shape != part.shape {
          problems.append("'\(part.name)' has shape \(tensor.shape) and the model asks for \(part.shape)")
        }
        if !tensor.element.isFloating { integers.append("'\(part.name)' (\(tensor.element.rawValue))") }
        found.append((tensor, part.range))
      }
      sources.append(Source(spec: spec, parts: found))
    }
    var notes: [String] = []
    var copies: [(SafetensorsHeader.Tensor, SafetensorsHeader.Tensor)] = []
    for tensor in reader.tensors where !used.contains(tensor.name) {
      let base = tensor.name.split(separator: CheckpointExport.slotMark, maxSplits: 1).first.map(String.init)
      if let original = table?.copies[tensor.name].flatMap(reader.tensor) {
        copies.append((tensor, original))
      } else if table?.ignores(tensor.name) == true {
        notes.append("'\(tensor.name)' is computed here, and was not taken")
      } else if let base, base != tensor.name, used.contains(base) {
        notes.append("'\(tensor.name)' is another slot than the value, and was not taken")
      } else {
        problems.append("'\(InterchangeError.shown(tensor.name))' of shape \(tensor.shape) is superfluous")
      }
    }
    guard integers.isEmpty else {
      throw InterchangeError(
        .notFloating, file: reader.file,
        reason: "weights are floating-point, and these are integers: "
          + integers.joined(separator: ", "), remedy: "convert them to F32, F16 or BF16")
    }
    guard problems.isEmpty else {
      throw InterchangeError(
        .doesNotFit, file: reader.file, reason: "it does not fit the model: \(problems.joined(separator: "; "))",
        remedy: "choose the recipe that describes these weights, or other names with --names")
    }
    for (copy, original) in copies {
      guard copy.element == original.element, copy.shape == original.shape, try Self.isSame(copy, original, reader)
      else {
        throw InterchangeError(
          .doesNotFit, file: reader.file, tensor: copy.name,
          reason: "it should repeat '\(original.name)', since the model's head is tied, and differs from it",
          remedy: "set 'tied: false' in the recipe's model")
      }
      notes.append("'\(copy.name)' repeats '\(original.name)', and was not taken")
    }
    self.sources = sources
    self.notes = notes
  }

  private static func isSame(
    _ a: SafetensorsHeader.Tensor, _ b: SafetensorsHeader.Tensor, _ reader: SafetensorsReader
  ) throws -> Bool {
    guard a.element.isFloating else { return false }
    let step = 1 << 20
    let room = min(step, max(a.count, 1))
    let (left, right) = (
      UnsafeMutablePointer<Float>.allocate(capacity: room), UnsafeMutablePointer<Float>.allocate(capacity: room)
    )
    defer {
      left.deallocate()
      right.deallocate()
    }
    for first in stride(from: 0, to: a.count, by: step) {
      let range = first..<min(first + step, a.count)
      try reader.read(a, range: range, into: left)
      try reader.read(b, range: range, into: right)
      for i in 0..<range.count where left[i].bitPattern != right[i].bitPattern { return false }
    }
    return true
  }

  // MARK: Writing

  /// Writes the checkpoint and verifies every byte before it has its name.
  /// - Parameters:
  ///   - path: the folder of the checkpoint; nothing may be there.
  ///   - state: the trainer's document.
  ///   - shardBytes: the most bytes of elements that a shard is made of at once.
  /// - Throws: `InterchangeError`, `CheckpointError`; then there is no checkpoint.
  package func write(
    to path: String, state: [UInt8], shardBytes: Int = Self.defaultShardBytes, fileSystem: FileSystem = .real
  ) throws -> Report {
    let name = path.split(separator: "/").last.map(String.init) ?? path
    if name.hasPrefix(CheckpointName.temporaryPrefix) || name.hasPrefix(CheckpointName.trashPrefix)
      || CheckpointName.step(of: name).map({ $0 != 0 }) == true
    {
      throw CheckpointError(
        .wrongName, file: path, reason: "this name stands for another step or for an unfinished save",
        remedy: "choose another, or \(CheckpointName.of(step: 0))")
    }
    guard try fileSystem.kind(path) == .missing else {
      throw InterchangeError(
        .alreadyExists, file: path, reason: "it exists, and nothing is written over it",
        remedy: "move it away, or choose another name")
    }
    let parent = parentFolder(of: path)
    // Beside its place, so that one rename brings it there; saved and committed as every other checkpoint.
    let saveID = SaveID.random()
    let staging = "\(parent)/.import-\(saveID)"
    let directory = CheckpointDirectory(run: staging, fileSystem: fileSystem)
    do {
      let prepared = try directory.prepare(saveID)
      let records = sources.map {
        TensorRecord(name: $0.spec.name, shape: $0.spec.shape.dimensions, trainable: $0.spec.isTrainable)
      }
      let shards = cut(max(shardBytes / 4, 1))
      let world = CheckpointWorld(ranks: shards.count, hosts: 1, stage: 0, transport: "import")
      let plan = CheckpointPlan(
        saveID: saveID, step: 0, tensors: records, slots: records.map { _ in [SlotSpec.value.name] }, state: state,
        world: world)
      let summaries = try shards.enumerated().map { rank, pieces in
        try ShardWriter.write(
          snapshot(pieces, records), to: prepared.path, rank: rank, world: world, saveID: saveID, plan: plan,
          fileSystem: fileSystem)
      }
      let committed = try directory.commit(plan, summaries: summaries)
      let written = try CheckpointReader(committed.path, fileSystem: fileSystem)
      if let problem = written.verify(full: true).first { throw problem }
      try checkDigest(written.digest)
      try fileSystem.renameDirectory(committed.path, to: path)
      try fileSystem.syncDirectory(parent)
      try? fileSystem.removeTree(staging)
      return Report(
        path: path, tensors: records.count, elements: records.reduce(0) { $0 + $1.elementCount },
        digest: written.digest, notes: notes)
    } catch {
      try? fileSystem.removeTree(staging)
      throw error
    }
  }

  /// A file that Espalier wrote carries the digest of its values: the only thing that can notice a flipped bit.
  private func checkDigest(_ digest: Digest) throws {
    guard let written = reader.header.metadata[CheckpointExport.digestKey(SlotSpec.value.name)],
      sources.allSatisfy({ $0.parts.allSatisfy { $0.tensor.element == .float32 } }), written != "\(digest)"
    else { return }
    throw InterchangeError(
      .digestMismatch, file: reader.file,
      reason: "its elements have the digest \(digest) and its metadata says \(written)",
      remedy:
        "export it again; if it was changed on purpose, take \(CheckpointExport.metadataPrefix)* out of its metadata")
  }

  /// Runs of elements, at most so many together for each shard.
  private func cut(_ room: Int) -> [[(source: Int, range: Range<Int>)]] {
    var shards: [[(Int, Range<Int>)]] = [[]]
    var left = room
    for (number, source) in sources.enumerated() {
      var first = 0
      while first < source.spec.count {
        if left == 0 {
          shards.append([])
          left = room
        }
        let end = min(first + left, source.spec.count)
        shards[shards.count - 1].append((number, first..<end))
        left -= end - first
        first = end
      }
    }
    return shards
  }

  private func snapshot(_ pieces: [(source: Int, range: Range<Int>)], _ records: [TensorRecord]) throws -> Snapshot {
    let room = pieces.reduce(0) { $0 + $1.range.count }
    let floats = UnsafeMutablePointer<Float>.allocate(capacity: max(room, 1))
    defer { floats.deallocate() }
    var offset = 0
    var borrowed: [StatePiece] = []
    for piece in pieces {
      let start = floats + offset
      for (tensor, place) in sources[piece.source].parts {
        let part = piece.range.clamped(to: place)
        guard !part.isEmpty else { continue }
        try reader.read(
          tensor, range: part.lowerBound - place.lowerBound..<part.upperBound - place.lowerBound,
          into: start + (part.lowerBound - piece.range.lowerBound))
      }
      borrowed.append(
        StatePiece(
          tensor: piece.source, slot: SlotSpec.value.name, range: piece.range, source: UnsafePointer(start)))
      offset += piece.range.count
    }
    return Snapshot(tensors: records, pieces: borrowed)
  }
}
