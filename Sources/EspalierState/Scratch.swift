/// Working memory that an update borrows: it grows to the largest request and stays, so that steps allocate nothing.
public final class Scratch {
  private var memory = UnsafeMutableRawBufferPointer(start: nil, count: 0)

  /// None yet.
  public init() {}

  deinit { memory.deallocate() }

  /// The most that was ever asked for.
  package var byteCount: Int { memory.count }

  /// Room for `count` floats on a 64-byte edge, filled with whatever was there; valid until the next request.
  public func floats(_ count: Int) -> UnsafeMutablePointer<Float> {
    let bytes = 4 * max(count, 1)
    if bytes > memory.count {
      memory.deallocate()
      memory = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes, alignment: 64)
    }
    guard let start = memory.baseAddress else { fatalError("\(bytes) bytes of working memory have no address") }
    return start.assumingMemoryBound(to: Float.self)
  }
}
