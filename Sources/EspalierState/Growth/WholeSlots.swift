import EspalierComm
import EspalierNN
import EspalierTensor

/// Whole slots of whole weights, whatever the layout: what growth reads.
package protocol WholeSlots: AnyObject {
  func shape(of parameter: String) -> [Int]?
  func has(slot: String, of parameter: String) -> Bool
  func isFrozen(_ parameter: String) -> Bool
  /// All elements of one slot of some weights, row-major. Valid until the next call; no more than these are held.
  ///
  /// All ranks ask for the same in the same order.
  func whole(_ parameters: [String], slot: String) throws -> [String: UnsafePointer<Float>]
}

/// Of a live store: gathered from the ranks that own the parts. Collective.
package final class GatheredSlots: WholeSlots {
  private let store: Store
  private let communicator: Communicator
  private let numbers: [String: Int]
  private var held: [Slab] = []

  /// - Precondition: no pass is under way.
  package init(_ store: Store) {
    self.store = store
    communicator = store.communicator
    numbers = Dictionary(uniqueKeysWithValues: store.blueprint.parameters.enumerated().map { ($1.name, $0) })
  }

  package func shape(of parameter: String) -> [Int]? {
    numbers[parameter].map { store.blueprint.parameters[$0].shape.dimensions }
  }

  package func has(slot: String, of parameter: String) -> Bool {
    guard let number = numbers[parameter], let slot = store.slots.first(where: { $0.name == slot }) else {
      return false
    }
    return store.has(slot, number)
  }

  package func isFrozen(_ parameter: String) -> Bool {
    numbers[parameter].map { !store.blueprint.parameters[$0].isTrainable } ?? false
  }

  package func whole(_ parameters: [String], slot: String) throws -> [String: UnsafePointer<Float>] {
    held = []
    var found: [String: UnsafePointer<Float>] = [:]
    for name in parameters {
      guard let number = numbers[name] else { continue }
      let slab = communicator.slab(count: store.blueprint.parameters[number].count)
      held.append(slab)
      found[name] = UnsafePointer(slab.pointer)
      for piece in store.ownPieces(of: number) {
        (slab.pointer + piece.range.lowerBound).update(from: store.pointer(slot, piece), count: piece.range.count)
      }
      guard communicator.size > 1, slab.count > 0 else { continue }
      try communicator.allGather(
        slab.range, boundaries: store.layout.boundaries(of: number, store.blueprint), label: "\(slot) of \(name)"
      ).wait()
    }
    return found
  }
}

/// Of a checkpoint: read from its files, each rank for itself.
package final class StoredSlots: WholeSlots {
  private let reader: CheckpointReader
  private var held: [UnsafeMutableBufferPointer<Float>] = []

  package init(_ reader: CheckpointReader) { self.reader = reader }

  deinit { release() }

  package func shape(of parameter: String) -> [Int]? { reader.shape(of: parameter) }
  package func has(slot: String, of parameter: String) -> Bool { reader.has(slot: slot, of: parameter) }
  package func isFrozen(_ parameter: String) -> Bool { reader.isFrozen(parameter) }

  package func whole(_ parameters: [String], slot: String) throws -> [String: UnsafePointer<Float>] {
    release()
    var found: [String: UnsafePointer<Float>] = [:]
    for name in parameters {
      let count = (reader.shape(of: name) ?? []).reduce(1, *)
      let buffer = UnsafeMutableBufferPointer<Float>.allocate(capacity: max(count, 1))
      buffer.initialize(repeating: 0)
      held.append(buffer)
      guard let start = buffer.baseAddress else { continue }
      try reader.read(tensor: name, slot: slot, range: 0..<count, into: start)
      found[name] = UnsafePointer(start)
    }
    return found
  }

  private func release() {
    for buffer in held { buffer.deallocate() }
    held = []
  }
}

extension Layout {
  /// Where the elements of one parameter change owners: `rankCount + 1` ascending positions.
  func boundaries(of parameter: Int, _ blueprint: Blueprint) -> [Int] {
    let count = blueprint.parameters[parameter].count
    guard let segment = blueprint.segments.firstIndex(where: { $0.parameters.contains(parameter) }) else { return [] }
    var boundaries = [0]
    for rank in 0..<rankCount {
      let own = pieces(of: rank, segment: segment, blueprint).filter { $0.parameter == parameter }
      boundaries.append(max(own.last?.range.upperBound ?? 0, boundaries[rank]))
    }
    boundaries[rankCount] = count
    return boundaries
  }
}

extension Store {
  /// The stretches of one parameter that this rank owns.
  func ownPieces(of parameter: Int) -> [LayoutPiece] {
    guard let segment = blueprint.segments.firstIndex(where: { $0.parameters.contains(parameter) }) else { return [] }
    return layout.pieces(of: communicator.rank, segment: segment, blueprint).filter { $0.parameter == parameter }
  }
}
