import CKernels
import EspalierNN
import EspalierTensor

/// Where slots can be read from: a checkpoint, or another store.
package protocol SlotSource {
  /// The shape of a parameter, or nil where the source has none of that name.
  func shape(of parameter: String) -> [Int]?
  func has(slot: String, of parameter: String) -> Bool
  /// Whether a parameter was frozen there, and so has no slot but its value.
  func isFrozen(_ parameter: String) -> Bool
  /// Reads logical elements `range` of one slot of one parameter.
  func read(_ parameter: String, slot: String, range: Range<Int>, into destination: UnsafeMutablePointer<Float>) throws
}

extension SlotSource {
  package func isFrozen(_ parameter: String) -> Bool { false }
}

/// State under one layout to state under another. Every element of the destination comes from the element of the same name and
/// index in the source, whatever either's ranks and stage.
package struct Relayout {
  let source: any SlotSource

  package init(from source: any SlotSource) { self.source = source }

  /// Fills the named slots of what this rank owns; other slots keep what they have. `Store.share` makes it known to the others.
  /// A weight that was frozen in the source and is trained now begins with slots of zeros.
  /// - Parameter extras: also fills what is saved with the weights and is none.
  /// - Throws: `RelayoutError` before anything is written, with everything that does not fit.
  package func read(into store: Store, slots: [SlotSpec], extras: Bool = false) throws {
    var problems: [String] = []
    for (index, spec) in store.blueprint.parameters.enumerated() {
      guard let shape = source.shape(of: spec.name) else {
        problems.append("'\(spec.name)' is missing")
        continue
      }
      if shape != spec.shape.dimensions {
        problems.append("'\(spec.name)' has shape \(shape) and the model asks for \(spec.shape.dimensions)")
      }
      for slot in slots
      where store.has(slot, index) && found(slot, spec.name) == nil && !begins(slot, spec.name) {
        problems.append("slot '\(slot.name)' of '\(spec.name)' is missing")
      }
    }
    if extras {
      for extra in store.extras where source.shape(of: extra.name) != extra.shape {
        let found = source.shape(of: extra.name).map { "has shape \($0)" } ?? "is missing"
        problems.append("'\(extra.name)' \(found) and the recipe asks for \(extra.shape)")
      }
    }
    guard problems.isEmpty else { throw RelayoutError(problems: problems) }
    if extras {
      for extra in store.extras where !extra.range.isEmpty {
        try source.read(extra.name, slot: SlotSpec.value.name, range: extra.range, into: extra.pointer)
      }
    }
    for piece in store.ownPieces {
      let name = store.blueprint.parameters[piece.parameter].name
      for slot in slots where store.has(slot, piece.parameter) {
        let destination = store.pointer(slot.name, piece)
        if let (kept, factor) = found(slot, name) {
          try source.read(name, slot: kept, range: piece.range, into: destination)
          if factor != 1 { ck_scale(destination, factor, 0, destination, piece.range.count) }
        } else {
          destination.update(repeating: 0, count: piece.range.count)
        }
      }
    }
  }

  /// The slot of the source that a slot is read from, and what its elements are multiplied with.
  private func found(_ slot: SlotSpec, _ parameter: String) -> (name: String, factor: Float)? {
    if source.has(slot: slot.name, of: parameter) { return (slot.name, 1) }
    return slot.conversions.sorted { $0.key < $1.key }.first { source.has(slot: $0.key, of: parameter) }
      .map { ($0.key, $0.value) }
  }

  /// Whether a slot that the source lacks begins with zeros.
  private func begins(_ slot: SlotSpec, _ parameter: String) -> Bool { slot != .value && source.isFrozen(parameter) }
}

/// A source that does not hold what the destination needs.
package struct RelayoutError: Error, CustomStringConvertible, Equatable {
  package let problems: [String]

  package var description: String {
    let shown = problems.prefix(5).joined(separator: "; ")
    return "the state does not fit the model: \(shown)"
      + (problems.count > 5 ? "; and \(problems.count - 5) more" : "")
      + "; resume with the recipe that made it, or start a new run with 'start: { from: … }'"
  }
}

extension CheckpointReader: SlotSource {
  package func shape(of parameter: String) -> [Int]? { tensors.first { $0.name == parameter }?.shape }

  package func has(slot: String, of parameter: String) -> Bool {
    manifest.tensors.first { $0.record.name == parameter }?.slots.contains { $0.name == slot } ?? false
  }

  package func isFrozen(_ parameter: String) -> Bool {
    tensors.first { $0.name == parameter }?.trainable == false
  }

  package func read(
    _ parameter: String, slot: String, range: Range<Int>, into destination: UnsafeMutablePointer<Float>
  ) throws {
    try read(tensor: parameter, slot: slot, range: range, into: destination)
  }
}
