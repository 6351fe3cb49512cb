internal import Foundation

/// Float memory that can be lent to the communicator: on a 64-byte edge, zero at birth, freed when nobody holds it.
///
/// `@unchecked Sendable`: a slab belongs to the thread that made it; from the moment a collective is asked for until its `Pending.wait`
/// returns, the ranges in the request belong to the communication thread.
///
/// Its memory lives as long as the slab or a `SlabRange` of it is held; whoever works on `pointer` alone keeps one alive
/// (`withExtendedLifetime`), because Swift may release a variable after its last use.
public final class Slab: @unchecked Sendable {
  /// Elements.
  public let count: Int
  /// The first element, on a 64-byte edge.
  public let pointer: UnsafeMutablePointer<Float>
  /// Where the memory lies that the ranks of this host can all reach; nil if it is this rank's alone.
  let window: SharedWindow?
  private let poisons: Bool
  private let ledger: Monitor<CommunicationStatistics>

  /// Slabs come from `Communicator.slab(count:)` and `Communicator.slabs(counts:label:)`.
  ///
  /// - Parameter place: elements before the slab in this rank's part of a window; nil for memory of its own.
  init(
    count: Int, in place: (window: SharedWindow, offset: Int)? = nil, poisons: Bool,
    ledger: Monitor<CommunicationStatistics>
  ) {
    precondition(count >= 0, "a slab of \(count) elements")
    self.count = count
    self.poisons = poisons
    self.ledger = ledger
    window = place?.window
    if let place {
      pointer = place.window.floats(at: place.window.memory.place) + place.offset
    } else {
      pointer = alignedFloats(count: count)
    }
    // Also where the memory is known to be zero: pages are had when they are touched, and on the memory of this rank's processor.
    memset(pointer, 0, alignedBytes(count: count))
    ledger.update {
      $0.slabBytes += alignedBytes(count: count)
      $0.highWaterSlabBytes = max($0.highWaterSlabBytes, $0.slabBytes)
    }
  }

  deinit {
    if let window {
      if poisons { window.whileOpen { poison(pointer, count: count) } }
    } else {
      if poisons { poison(pointer, count: count) }
      free(pointer)
    }
    let bytes = alignedBytes(count: count)
    ledger.update { $0.slabBytes -= bytes }
  }

  /// Whether neighbours can reach it.
  public var isShared: Bool { window != nil }

  /// The whole slab as a range.
  public var range: SlabRange { SlabRange(slab: self, offset: 0, count: count) }
}

/// A stretch of a slab; holding it keeps the slab alive.
public struct SlabRange: Sendable {
  public let slab: Slab
  /// Elements before the stretch.
  public let offset: Int
  /// Elements of the stretch.
  public let count: Int

  /// - Precondition: the stretch lies inside the slab.
  public init(slab: Slab, offset: Int, count: Int) {
    precondition(
      offset >= 0 && count >= 0 && offset + count <= slab.count,
      "elements \(offset) ..< \(offset + count) of a slab of \(slab.count)")
    self.slab = slab
    self.offset = offset
    self.count = count
  }

  /// The first element.
  public var pointer: UnsafeMutablePointer<Float> { slab.pointer + offset }
}

/// Bytes that `count` floats occupy: whole cache lines, at least one.
func alignedBytes(count: Int) -> Int { max(64, (count * 4 + 63) & ~63) }

/// Memory for `count` floats on a 64-byte edge with undefined contents; to be freed with `free`.
func alignedFloats(count: Int) -> UnsafeMutablePointer<Float> {
  var raw: UnsafeMutableRawPointer?
  let status = posix_memalign(&raw, 64, alignedBytes(count: count))
  guard status == 0, let raw else { preconditionFailure("no memory for a slab of \(alignedBytes(count: count)) bytes") }
  return raw.bindMemory(to: Float.self, capacity: alignedBytes(count: count) / 4)
}

/// Fills memory with signalling NaN.
func poison(_ pointer: UnsafeMutablePointer<Float>, count: Int) {
  pointer.update(repeating: Float(nan: 0xBAD, signaling: true), count: count)
}
