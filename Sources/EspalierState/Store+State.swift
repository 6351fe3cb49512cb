import EspalierComm
import EspalierNN
import EspalierTensor

/// The state of a store as others know it: tensors and slots by name, whatever the layout.
extension Store {
  /// In the order of the blueprint.
  package var tensorRecords: [TensorRecord] {
    blueprint.parameters.map { TensorRecord(name: $0.name, shape: $0.shape.dimensions, trainable: $0.isTrainable) }
      + extras.map { TensorRecord(name: $0.name, shape: $0.shape, trainable: true) }
  }

  /// The slot names of each tensor.
  package var slotNames: [[String]] {
    blueprint.parameters.indices.map { parameter in slots.filter { has($0, parameter) }.map(\.name) }
      + extras.map { _ in [SlotSpec.value.name] }
  }

  /// How tensors are cut together.
  package var segmentRecord: SegmentRecord {
    let count = blueprint.parameters.count
    return SegmentRecord(
      segments: blueprint.segments.map { Array($0.parameters) } + extras.indices.map { [count + $0] },
      costs: ownerCosts + extras.map { _ in 0 })
  }

  /// The numbers of the frozen tensors that have elements.
  package var frozenTensors: [Int] {
    blueprint.parameters.indices.filter { !blueprint.parameters[$0].isTrainable && blueprint.parameters[$0].count > 0 }
  }

  /// The digests of the values of frozen tensors, by number. Collective.
  package func frozenDigests() throws -> [Int: Digest] {
    let frozen = frozenTensors
    guard !frozen.isEmpty else { return [:] }
    let digests = try digests { !blueprint.parameters[$0].isTrainable && blueprint.parameters[$0].count > 0 }
    return Dictionary(uniqueKeysWithValues: zip(frozen, digests.slots.map(\.digest)))
  }

  /// A private copy of what this rank owns, of the tensors that are trained or of the frozen ones.
  package func snapshot(frozen: Bool, isCopy: Bool = true) -> Snapshot {
    let ofWeights = ownPieces.filter { blueprint.parameters[$0.parameter].isTrainable != frozen }.flatMap { piece in
      slots.filter { has($0, piece.parameter) }.map { slot in
        StatePiece(
          tensor: piece.parameter, slot: slot.name, range: piece.range, source: UnsafePointer(pointer(slot.name, piece))
        )
      }
    }
    let ofExtras =
      frozen
      ? []
      : extras.enumerated().filter { !$0.element.range.isEmpty }.map { index, extra in
        StatePiece(
          tensor: blueprint.parameters.count + index, slot: SlotSpec.value.name, range: extra.range,
          source: UnsafePointer(extra.pointer))
      }
    let pieces = ofWeights + ofExtras
    return isCopy
      ? Snapshot(tensors: tensorRecords, pieces: pieces) : Snapshot(borrowing: pieces, tensors: tensorRecords)
  }

  /// The digest of every slot of every tensor, summed over ranks: the same for every layout. Collective.
  package func digests() throws -> StateDigests { try digests(extras: extras) { _ in true } }

  private func digests(extras: [ExtraTensor] = [], of isIncluded: (Int) -> Bool) throws -> StateDigests {
    var own: [String: Digest] = [:]
    for extra in extras {
      own["\(extra.name)/\(SlotSpec.value.name)"] = Digest(
        parameter: extra.name, slot: SlotSpec.value.name, firstIndex: extra.range.lowerBound,
        elements: UnsafeBufferPointer(start: extra.pointer, count: extra.range.count))
    }
    for piece in ownPieces where isIncluded(piece.parameter) {
      let name = blueprint.parameters[piece.parameter].name
      for slot in slots where has(slot, piece.parameter) {
        own["\(name)/\(slot.name)", default: .zero] += Digest(
          parameter: name, slot: slot.name, firstIndex: piece.range.lowerBound,
          elements: UnsafeBufferPointer(start: pointer(slot.name, piece), count: piece.range.count))
      }
    }
    let lines = own.map { "\($0.key) \($0.value)" }.joined(separator: "\n")
    var sums: [String: Digest] = [:]
    for bytes in try communicator.allGather(bytes: Array(lines.utf8), label: "digests").wait() {
      for line in String(decoding: bytes, as: UTF8.self).split(separator: "\n") {
        guard let space = line.lastIndex(of: " "), let digest = Digest(String(line[line.index(after: space)...])) else {
          continue
        }
        sums[String(line[..<space]), default: .zero] += digest
      }
    }
    let names =
      blueprint.parameters.enumerated().filter { isIncluded($0.offset) }.flatMap { index, spec in
        slots.filter { has($0, index) }.map { "\(spec.name)/\($0.name)" }
      } + extras.map { "\($0.name)/\(SlotSpec.value.name)" }
    return StateDigests(slots: names.map { ($0, sums[$0] ?? .zero) })
  }
}

/// The digest of every slot, in the order of the tensors, and their sum.
package struct StateDigests: Sendable {
  package let slots: [(name: String, digest: Digest)]

  package init(slots: [(name: String, digest: Digest)]) { self.slots = slots }

  package var total: Digest { slots.reduce(.zero) { $0 + $1.digest } }

  /// One line a slot and `total HEX`: what `espalier digest` prints.
  package var lines: [String] { slots.map { "\($0.name) \($0.digest)" } + ["total \(total)"] }
}
