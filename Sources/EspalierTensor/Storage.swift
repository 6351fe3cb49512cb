/// Memory that a tensor reads: a buffer of the pool, or a window that its owner binds and unbinds.
///
/// A window is the same object for as long as its parameter lives. It is bound to memory while its segment is gathered and
/// unbound after; touching it unbound traps with its name. So an operation may capture a weight in its pullback without knowing
/// whether the weight is still there when the sweep arrives: its owner sees to it, and a mistake has a name.
public final class Storage {
  /// The number of elements.
  public let count: Int
  private var address: UnsafeMutablePointer<Float>?
  private let pool: Pool?
  private let name: String

  /// A buffer that returns to `pool` when the last tensor that reads it is gone.
  package init(_ address: UnsafeMutablePointer<Float>, count: Int, pool: Pool) {
    self.address = address
    self.count = count
    self.pool = pool
    self.name = ""
  }

  /// An unbound window.
  package init(windowNamed name: String, count: Int) {
    self.address = nil
    self.count = count
    self.pool = nil
    self.name = name
  }

  deinit {
    if let pool, let address { pool.take(back: address, count: count) }
  }

  /// The first element.
  /// - Precondition: a window is bound.
  public var pointer: UnsafeMutablePointer<Float> {
    guard let address else { fatalError("'\(name)' was read while its segment was released") }
    return address
  }

  package var isBound: Bool { address != nil }

  package func bind(_ address: UnsafeMutablePointer<Float>) {
    require(pool == nil, "only a window can be bound")
    self.address = address
  }

  package func unbind() {
    require(pool == nil, "only a window can be unbound")
    address = nil
  }
}
