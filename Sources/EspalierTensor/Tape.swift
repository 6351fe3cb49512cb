/// The record of one forward pass on one rank, swept backwards once.
///
/// Operations run when they are written and each leaves one node. The sweep visits nodes in strict reverse order, drops every
/// pullback when it has run, and runs a marker's action when it reaches it: a marker set before a segment fires exactly when
/// the segment's backward is complete.
///
/// Not Sendable, on purpose: a tape, its pool and its tensors live on the thread of their rank.
public final class Tape {
  /// What a tape keeps of what runs on it.
  public enum Mode: Sendable {
    /// Keeps pullbacks for a sweep.
    case recording
    /// Runs operations as in training and keeps nothing: the first run of a segment that is computed again later.
    case unrecorded
    /// Runs operations as in evaluation, without dropout, and keeps nothing.
    case inference
  }

  public typealias Pullback = (Tensor, Gradients) -> Void

  private enum Node {
    case operation(Pullback)
    case leaf(GradientTarget)
    case variable
    case marker(() -> Void)
    case swept
  }

  /// Where the storage of its tensors comes from.
  public let pool: Pool
  /// What it keeps.
  public let mode: Mode
  /// The stream of this step; dropout draws from its children.
  public let key: RandomKey
  /// The global indices of the samples of this batch, in row order; what makes dropout independent of who computes a sample.
  public let samples: [UInt64]
  /// Samples of each part of the batch, in order: norms over samples take their statistics part by part. Empty = one part.
  public var groups: [Int] = []
  /// What part of the step's samples this batch is: its weight in statistics that are kept from step to step.
  public var share: Double = 1
  /// The task that the batch is of, in the order of learning, where that is known and layers differ by it; nil for the newest.
  public var task: Int?
  /// Told by layers what they read; nil for nobody. Segments that are computed again do not tell twice.
  public var inputObserver: ((_ layer: String, _ input: LayerInput) -> Void)?
  private var nodes: [Node] = []

  /// An empty tape.
  /// - Parameters:
  ///   - key: the stream of the step, for dropout.
  ///   - samples: the global index of each sample, in row order.
  public init(pool: Pool, mode: Mode, key: RandomKey = RandomKey(seed: 0), samples: [UInt64] = []) {
    self.pool = pool
    self.mode = mode
    self.key = key
    self.samples = samples
  }

  /// Whether layers that act in training alone, such as dropout, pass their input through.
  public var isEvaluating: Bool { mode == .inference }

  /// The number of nodes recorded.
  public var nodeCount: Int { nodes.count }

  // MARK: Making tensors

  /// A tensor through which no gradient flows, with a copy of `values`.
  public func constant(_ values: [Float], _ shape: Shape) -> Tensor {
    require(values.count == shape.count, "\(values.count) values do not fill the shape \(shape)")
    let storage = pool.storage(count: shape.count)
    storage.pointer.update(from: values, count: values.count)
    return Tensor(shape: shape, storage: storage, tape: self, node: nil)
  }

  /// A tensor whose gradient can be asked for after the sweep (see `backward(from:seed:wanting:)`).
  public func variable(_ values: [Float], _ shape: Shape) -> Tensor { variable(constant(values, shape)) }

  /// The same memory as `tensor`, of any tape, as a variable of this one.
  package func variable(_ tensor: Tensor) -> Tensor {
    let node = mode == .recording ? append(.variable) : nil
    return Tensor(shape: tensor.shape, storage: tensor.storage, tape: self, node: node)
  }

  /// The same memory as `tensor`, of any tape, as a constant of this one.
  package func lent(_ tensor: Tensor) -> Tensor {
    Tensor(shape: tensor.shape, storage: tensor.storage, tape: self, node: nil)
  }

  /// A weight: its window, and where its gradient goes; `target` is nil for a frozen weight.
  package func leaf(_ window: Storage, _ shape: Shape, target: GradientTarget?) -> Tensor {
    let node = mode == .recording ? target.map { append(.leaf($0)) } : nil
    return Tensor(shape: shape, storage: window, tape: self, node: node)
  }

  /// The result of an operation. Kept on the tape only if a gradient flows to one of `inputs`, or `always`.
  /// - Parameter pullback: receives the gradient of the result and hands shares to the inputs.
  public func record(
    _ output: Storage, _ shape: Shape, inputs: [Tensor], always: Bool = false, pullback: @escaping Pullback
  ) -> Tensor {
    ProgressCounter.tick()
    for input in inputs {
      require(input.tape === self, "an operation mixes tensors of two tapes (one has shape \(input.shape))")
    }
    guard mode == .recording, always || inputs.contains(where: { $0.node != nil }) else {
      return Tensor(shape: shape, storage: output, tape: self, node: nil)
    }
    return Tensor(shape: shape, storage: output, tape: self, node: append(.operation(pullback)))
  }

  /// Runs `action` when the reverse sweep reaches this point of the program.
  public func mark(_ action: @escaping () -> Void) {
    if mode == .recording { _ = append(.marker(action)) }
  }

  /// Drops all that was recorded. A tape that is never swept must be cleared: its pullbacks hold tensors that hold the tape.
  public func clear() { nodes = [] }

  private func append(_ node: Node) -> Int {
    nodes.append(node)
    return nodes.count - 1
  }

  func target(of node: Int) -> GradientTarget? {
    if case .leaf(let target) = nodes[node] { target } else { nil }
  }

  // MARK: The reverse sweep

  /// Sweeps from a scalar, with gradient 1.
  public func backward(from loss: Tensor) {
    require(loss.count == 1, "backward starts from a scalar, not from \(loss.shape)")
    _ = backward(from: loss, seed: constant([1], loss.shape), wanting: [])
  }

  /// Sweeps from `output` with the gradient `seed`.
  /// - Returns: the gradients of the variables in `wanting`, nil where none arrived.
  public func backward(from output: Tensor, seed: Tensor, wanting variables: [Tensor]) -> [Tensor?] {
    require(output.tape === self && mode == .recording, "this tape did not record the tensor to sweep from")
    let gradients = Gradients(tape: self)
    if let node = output.node { gradients.set(node, seed.storage) }
    let wanted = Set(variables.compactMap(\.node))
    for index in nodes.indices.reversed() {
      switch nodes[index] {
      case .operation(let pullback):
        nodes[index] = .swept
        ProgressCounter.tick()
        if let storage = gradients.take(index) {
          pullback(Tensor(shape: [storage.count], storage: storage, tape: self, node: nil), gradients)
        }
      case .marker(let action):
        nodes[index] = .swept
        action()
      case .variable:
        if !wanted.contains(index) { _ = gradients.take(index) }
      case .leaf:
        nodes[index] = .swept
      case .swept:
        break
      }
    }
    return variables.map { variable in
      guard let node = variable.node, let storage = gradients.take(node) else { return nil }
      return Tensor(shape: variable.shape, storage: storage, tape: self, node: nil)
    }
  }
}
