import CKernels

/// Where the gradient of one parameter is born: the window on its segment's flat gradient buffer, and whether this lane has
/// written there yet.
public final class GradientTarget {
  package let window: Storage
  /// False until the first pullback of a lane has written; the first write does not read what was there.
  package var isWritten = false

  package init(_ window: Storage) { self.window = window }
}

/// The gradients that are alive during one reverse sweep.
///
/// A pullback hands its share to each input with `add(to:)`, which calls it with the place to write and a factor β: the new
/// gradient is β · what is there + the share. β is 0 for the first share (what is there is undefined) and 1 afterwards. For a
/// weight the place lies inside the buffer that is about to be reduced, so weight gradients need no copy and no clearing.
public final class Gradients {
  private let tape: Tape
  private var values: [Int: Storage] = [:]

  init(tape: Tape) { self.tape = tape }

  /// Whether a gradient is wanted for `tensor`; pullbacks skip the arithmetic where it is not.
  public func wants(_ tensor: Tensor) -> Bool { tensor.node != nil }

  /// Lets `write` add a share to the gradient of `tensor`; does nothing where none is wanted.
  /// - Parameter write: receives the destination (`tensor.count` elements) and β, 0 or 1.
  public func add(to tensor: Tensor, _ write: (UnsafeMutablePointer<Float>, Float) -> Void) {
    guard let node = tensor.node else { return }
    require(tensor.tape === tape, "a tensor of shape \(tensor.shape) belongs to another tape")
    if let target = tape.target(of: node) {
      write(target.window.pointer, target.isWritten ? 1 : 0)
      target.isWritten = true
      return
    }
    guard var storage = values.removeValue(forKey: node) else {
      let storage = tape.pool.storage(count: tensor.count)
      write(storage.pointer, 0)
      values[node] = storage
      return
    }
    if !isKnownUniquelyReferenced(&storage) {  // shared by `pass`: somebody may still read it
      let copy = tape.pool.storage(count: tensor.count)
      copy.pointer.update(from: storage.pointer, count: tensor.count)
      storage = copy
    }
    write(storage.pointer, 1)
    values[node] = storage
  }

  /// Hands a finished gradient to `tensor` unchanged, without a copy where nothing is there yet.
  public func pass(_ gradient: Tensor, to tensor: Tensor) {
    guard let node = tensor.node else { return }
    require(gradient.count == tensor.count, "a gradient of \(gradient.shape) does not fit \(tensor.shape)")
    if tape.target(of: node) == nil, values[node] == nil {
      values[node] = gradient.storage
    } else {
      add(to: tensor) { destination, beta in
        if beta == 0 {
          destination.update(from: gradient.pointer, count: gradient.count)
        } else {
          ck_add(destination, gradient.pointer, destination, Int(gradient.count))
        }
      }
    }
  }

  func take(_ node: Int) -> Storage? { values.removeValue(forKey: node) }
  func set(_ node: Int, _ storage: Storage) { values[node] = storage }
}
