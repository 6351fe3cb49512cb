/// The largest logit of every head of an attention, over all passes since it was cleared.
///
/// Costs nothing: the softmax knows the largest logit of each row. A NaN is not noted. Belongs to the thread of its rank.
public final class LogitPeaks {
  private let largest: UnsafeMutableBufferPointer<Float>

  /// Cleared ones.
  public init(heads: Int) {
    largest = .allocate(capacity: heads)
    clear()
  }

  deinit { largest.deallocate() }

  /// Query heads.
  public var headCount: Int { largest.count }

  /// By head; −∞ where there was no pass.
  public var values: [Float] { Array(largest) }

  /// Forgets all passes.
  public func clear() { largest.update(repeating: -.infinity) }

  func pointer(to head: Int) -> UnsafeMutablePointer<Float>? { largest.baseAddress.map { $0 + head } }
}
