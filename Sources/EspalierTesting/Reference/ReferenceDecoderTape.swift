/// Reverse-mode differentiation of single numbers in double precision: every operation writes down its value and the slope to
/// each of its operands, and one sweep backwards multiplies and adds.
final class ScalarTape {
  /// A number on the tape.
  struct Scalar {
    let value: Double
    fileprivate let place: Int
  }

  /// For each number, where its operands begin in `operands` and `slopes`.
  private var firstOperand = [0]
  private var operands: [Int] = []
  private var slopes: [Double] = []

  /// A number that depends on nothing else on the tape.
  func leaf(_ value: Double) -> Scalar { record(value) { _ in } }

  /// f(x), given its value and its derivative at x.
  func map(_ x: Scalar, _ value: Double, slope: Double) -> Scalar { record(value) { $0(x, slope) } }

  func times(_ x: Scalar, _ factor: Double) -> Scalar { map(x, x.value * factor, slope: factor) }

  func product(_ a: Scalar, _ b: Scalar) -> Scalar {
    record(a.value * b.value) { add in
      add(a, b.value)
      add(b, a.value)
    }
  }

  func sum(_ terms: [Scalar]) -> Scalar {
    record(terms.reduce(0) { $0 + $1.value }) { add in
      for term in terms { add(term, 1) }
    }
  }

  /// Σ a[i] · b[i].
  func dot(_ a: ArraySlice<Scalar>, _ b: ArraySlice<Scalar>) -> Scalar {
    precondition(a.count == b.count, "a product of \(a.count) and \(b.count) numbers")
    return record(zip(a, b).reduce(0) { $0 + $1.0.value * $1.1.value }) { add in
      for (x, y) in zip(a, b) {
        add(x, y.value)
        add(y, x.value)
      }
    }
  }

  /// The derivative of `end` with respect to every number on the tape.
  func gradients(of end: Scalar) -> (Scalar) -> Double {
    var gradients = Array(repeating: 0.0, count: firstOperand.count - 1)
    gradients[end.place] = 1
    for place in gradients.indices.reversed() where gradients[place] != 0 {
      for edge in firstOperand[place]..<firstOperand[place + 1] {
        gradients[operands[edge]] += gradients[place] * slopes[edge]
      }
    }
    return { gradients[$0.place] }
  }

  private func record(_ value: Double, _ edges: ((Scalar, Double) -> Void) -> Void) -> Scalar {
    edges { operand, slope in
      operands.append(operand.place)
      slopes.append(slope)
    }
    firstOperand.append(operands.count)
    return Scalar(value: value, place: firstOperand.count - 2)
  }
}
