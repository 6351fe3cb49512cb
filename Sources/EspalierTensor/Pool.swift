#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// The memory of one rank's activations: buffers on 64-byte edges, kept for reuse by their size.
///
/// A training step asks for the same sizes again and again, so after the first step nothing more is asked of the system.
/// A pool and all storage from it belong to one thread.
public final class Pool {
  /// What a pool has counted since it was made.
  public struct Statistics: Sendable, Equatable {
    /// Buffers asked of the system; stands still once the step is in its steady state.
    public var systemAllocations = 0
    /// Bytes held from the system, in use or not.
    public var bytesHeld = 0
    /// Bytes that live storage occupies now.
    public var bytesInUse = 0
    /// The largest value that `bytesInUse` has had.
    public var highWaterBytes = 0
  }

  public private(set) var statistics = Statistics()
  private var free: [Int: [UnsafeMutablePointer<Float>]] = [:]
  private let poisons: Bool
  /// Tables of rotary positions that this rank's operations have asked for.
  var rotaryTables: [RotaryTable: [Float]] = [:]

  /// - Parameter poisons: fill returned buffers with signalling NaN, so that a use after return shows (`checks: memory`).
  public init(poisons: Bool = false) { self.poisons = poisons }

  deinit { drain() }

  /// A buffer of `count` elements with undefined contents.
  public func storage(count: Int) -> Storage {
    let bytes = Self.bytes(of: count)
    statistics.bytesInUse += bytes
    statistics.highWaterBytes = max(statistics.highWaterBytes, statistics.bytesInUse)
    if let address = free[bytes]?.popLast() { return Storage(address, count: count, pool: self) }
    var raw: UnsafeMutableRawPointer?
    let status = posix_memalign(&raw, 64, bytes)
    guard status == 0, let raw else {
      preconditionFailure("no memory for \(bytes) bytes; \(statistics.bytesHeld) bytes are held already")
    }
    statistics.systemAllocations += 1
    statistics.bytesHeld += bytes
    return Storage(raw.bindMemory(to: Float.self, capacity: bytes / 4), count: count, pool: self)
  }

  /// Gives every buffer that is not in use back to the system.
  public func drain() {
    for (bytes, addresses) in free {
      for address in addresses {
        release(address)
        statistics.bytesHeld -= bytes
      }
    }
    free = [:]
  }

  func take(back address: UnsafeMutablePointer<Float>, count: Int) {
    let bytes = Self.bytes(of: count)
    statistics.bytesInUse -= bytes
    if poisons { Self.poison(address, count: bytes / 4) }
    free[bytes, default: []].append(address)
  }

  /// Fills memory with signalling NaN.
  package static func poison(_ address: UnsafeMutablePointer<Float>, count: Int) {
    address.update(repeating: Float(nan: 0xBAD, signaling: true), count: count)
  }

  private static func bytes(of count: Int) -> Int { max(64, (count * 4 + 63) & ~63) }
}

/// `free`, under a name that the pool's own list does not hide.
private func release(_ address: UnsafeMutablePointer<Float>) { free(address) }
