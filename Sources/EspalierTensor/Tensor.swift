/// A dense, contiguous, row-major array of Float on one rank. Copying it copies a reference.
///
/// A tensor knows the tape that it stands on, so no operation takes a context, and tensors of two tapes cannot be mixed.
public struct Tensor {
  /// Its dimensions.
  public let shape: Shape
  package let storage: Storage
  /// The tape that it stands on.
  public let tape: Tape
  /// The place on the tape; nil for a constant, through which no gradient flows.
  package let node: Int?

  package init(shape: Shape, storage: Storage, tape: Tape, node: Int?) {
    self.shape = shape
    self.storage = storage
    self.tape = tape
    self.node = node
  }

  /// The number of elements.
  public var count: Int { shape.count }

  /// The first element. Valid while the tensor lives and, for a weight, while its segment is gathered.
  public var pointer: UnsafeMutablePointer<Float> { storage.pointer }

  /// A copy of all elements in row-major order.
  public var values: [Float] { Array(UnsafeBufferPointer(start: pointer, count: count)) }

  /// The only element of a scalar.
  /// - Precondition: `count == 1`.
  public var value: Float {
    require(count == 1, "a tensor of shape \(shape) is no scalar")
    return pointer[0]
  }
}

/// What a layer can take as input: anything that knows the tape to record on.
public protocol OnTape {
  var tape: Tape { get }
}

extension Tensor: OnTape {}
