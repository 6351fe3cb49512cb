import CKernels

/// One term of a loss: a scalar to sweep from, and what it is made of.
public struct LossTerm {
  /// The scalar sum / divisor, on the tape of the logits.
  public let tensor: Tensor
  /// The sum over this lane's targets that count, in nats.
  public let sum: Double
  /// How many targets of this lane count.
  public let weight: Int
  /// How many of them have the largest logit, the first of equal ones.
  public let correct: Int

  /// A term of its parts.
  public init(tensor: Tensor, sum: Double, weight: Int, correct: Int) {
    self.tensor = tensor
    self.sum = sum
    self.weight = weight
    self.correct = correct
  }
}

extension Tensor {
  /// Softmax cross-entropy: Σ over targets that count of (log Σ e^logit - logit[target]) / weight.
  ///
  /// logits [rows, classes], one target a row. The forward pass computes the gradient as well, while a row is in the cache; the
  /// pullback hands it on, scaled if the upstream gradient is not 1. A row whose target is `ignored` adds nothing and has
  /// gradient zero, whatever its logits. Logits of -∞ have probability 0; ∞ or NaN make the term and the row's gradient NaN.
  /// - Parameter weight: the divisor: how many targets count in the whole batch. 0 gives loss 0 and gradient 0.
  /// - Precondition: every other target is in 0 ..< classes.
  public func crossEntropy(targets: Indices, ignored: Int32, weight: Int) -> LossTerm {
    let (rows, classes) = (shape.rows, shape.columns)
    require(targets.count == rows, "\(targets.count) targets do not fit \(rows) rows of logits")
    require(weight >= 0, "the divisor of a loss counts targets, got \(weight)")
    var counted = 0
    for (position, target) in targets.values.enumerated() where target != ignored {
      require(
        target >= 0 && Int(target) < classes, "target \(target) at \(position) is outside \(classes) classes")
      counted += 1
    }
    let scale = weight == 0 ? 0 : Float(1 / Double(weight))
    let wantsGradient = tape.mode == .recording && node != nil
    let gradient = wantsGradient ? tape.pool.storage(count: count) : nil
    var correct: Int64 = 0
    let sum = ck_cross_entropy(
      pointer, targets.values, ignored, rows, classes, scale, gradient?.pointer, &correct)
    let output = tape.pool.storage(count: 1)
    output.pointer[0] = weight == 0 ? 0 : Float(sum / Double(weight))
    let logits = place
    let tensor = tape.record(output, [], inputs: [self]) { dy, gradients in
      guard let gradient else { return }
      let share = Tensor(shape: logits.shape, storage: gradient, tape: dy.tape, node: nil)
      if dy.value != 1 { ck_scale(share.pointer, dy.value, 0, share.pointer, share.count) }
      gradients.pass(share, to: logits)
    }
    return LossTerm(tensor: tensor, sum: sum, weight: counted, correct: Int(correct))
  }
}
