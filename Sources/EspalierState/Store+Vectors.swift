import EspalierComm
import EspalierNN
import EspalierTensor

/// One float for every trained weight.
package enum StoreVector: Hashable, Sendable {
  case gradient
  /// `value`, or another slot.
  case slot(String)
}

extension Store {
  /// The stretches of weights that this rank updates, with gradient and slots; groups are all ones. Statistics are no weights.
  package func forEachUpdated(_ body: (ParameterShard) -> Void) {
    forEachUpdated(Array(repeating: ParameterGroup(), count: blueprint.parameters.count)) { shard in
      if !shard.spec.isStatistic { body(shard) }
    }
  }

  /// One double for every chunk of this rank's part of two vectors: its dot product, in (segment, parameter, chunk) order; 0 for
  /// a statistic's.
  package func chunkProducts(_ a: StoreVector, _ b: StoreVector) -> [Double] {
    layout.trainedPieces(of: communicator.rank, blueprint).flatMap { piece -> [Double] in
      if blueprint.parameters[piece.parameter].isStatistic { return Array(repeating: 0, count: piece.chunkCount) }
      let x = own(a, piece), y = own(b, piece)
      return stride(from: 0, to: piece.range.count, by: Layout.chunk).map { chunk in
        var sum = 0.0
        for index in chunk..<min(chunk + Layout.chunk, piece.range.count) { sum += Double(x[index]) * Double(y[index]) }
        return sum
      }
    }
  }

  private func own(_ vector: StoreVector, _ piece: LayoutPiece) -> UnsafePointer<Float> {
    switch vector {
    case .gradient:
      let slice = layout.runs[piece.segment].slice(of: communicator.rank)
      return UnsafePointer(gradients.own(piece.segment).pointer + (piece.offset - slice.lowerBound))
    case .slot(let name): return UnsafePointer(pointer(name, piece))
    }
  }

  /// Copies what this rank owns of a slot of another store of the same layout over the weights, and its values of what has no such
  /// slot: frozen weights and statistics. `share` makes it known.
  package func takeValues(from other: Store, slot: String) {
    for piece in ownPieces {
      let source = other.table.has(slot, piece.parameter) ? slot : SlotSpec.value.name
      pointer(SlotSpec.value.name, piece).update(from: other.pointer(source, piece), count: piece.range.count)
    }
  }
}
