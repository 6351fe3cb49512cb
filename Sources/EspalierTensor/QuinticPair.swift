/// Two quintic steps of Newton–Schulz at once: one polynomial of A = XXᵀ of degree 12, in four products of symmetric matrices.
///
/// One after the other the steps take five: A², then Z₁² and A·Z₁² for the next A, its square, and Z₁·Z₂. As one polynomial p of s, which
/// runs from −1 to 1 as the eigenvalues of A run from 0 to the largest, they take s², s³ and
///
///     y = s³(s³ + u₅s² + u₄s)
///     p = k(y + τ + δ) · k′(y + τ − δ) + ρ
///
/// with cubics τ, δ and ρ. Completing the square gives y + τ by the coefficients from s¹² down to s⁶, −δ² those of s⁵ and s⁴, and what is
/// left is ρ. The leading coefficient of δ is free: it is the one that keeps the two factors smallest, and rounding with them. Powers of A
/// itself, not centred, would cancel until a tenth of the accuracy is left.
/// - Coefficients adapted beforehand, so that there are fewer products: Rabin and Winograd 1972, doi:10.1002/cpa.3160250405. The figures are
///   in docs/decisions/0021.
package struct QuinticPair: Sendable {
  /// s = scale · A − 1.
  let scale: Double
  /// s³ + u₅s² + u₄s. Cubics are four numbers, by rising powers.
  let inner: SIMD4<Double>
  /// What y is multiplied with in the two factors.
  let leads: (left: Double, right: Double)
  /// k(τ + δ), k′(τ − δ) and ρ.
  let left: SIMD4<Double>, right: SIMD4<Double>, rest: SIMD4<Double>

  /// - Parameter reach: the largest eigenvalue of A.
  package init(_ first: NewtonSchulz.Step, _ second: NewtonSchulz.Step, reach: Double) {
    let a = Polynomial([reach / 2, reach / 2]), z = Polynomial([first.a, first.b, first.c]).of(a)
    let whole = z * Polynomial([second.a, second.b, second.c]).of(a * z * z)
    let lead = whole[12], monic = 1 / lead * whole
    let square = monic[11] / 2
    let inner = Polynomial([0, (monic[10] - square * square) / 2, square, 1])
    let y = Polynomial([0, 0, 0, 1]) * inner
    var tau = Polynomial([])
    for power in [3, 2, 1, 0] {
      let error = monic - (y + tau) * (y + tau)
      tau = tau + Polynomial([Double](repeating: 0, count: power) + [error[power + 6] / 2])
    }
    func delta(_ free: Double) -> (centre: Polynomial, delta: Polynomial) {
      // −δ² has −free² at s⁶, which τ makes good.
      let centre = y + tau + Polynomial([free * free / 2]), error = centre * centre - monic
      let two = error[5] / (2 * free)
      return (centre, Polynomial([0, (error[4] - two * two) / (2 * free), two, free]))
    }
    let candidates = (-12...6).map { delta(Double(sign: .plus, exponent: $0, significand: 1)) }
    func size(_ candidate: (centre: Polynomial, delta: Polynomial)) -> Double {
      (candidate.centre + candidate.delta).largest * (candidate.centre - candidate.delta).largest
    }
    let best = candidates.min { size($0) < size($1) } ?? candidates[0]
    let plus = best.centre + best.delta, minus = best.centre - best.delta
    let root = abs(lead).squareRoot()
    scale = 2 / reach
    self.inner = inner.cubic
    leads = (root, lead / root)
    left = (root * plus).cubic
    right = (lead / root * minus).cubic
    rest = (lead * (monic - plus * minus)).cubic
  }
}

extension QuinticPair {
  /// p of one eigenvalue of A, in double.
  package func callAsFunction(_ eigenvalue: Double) -> Double {
    let s = scale * eigenvalue - 1, powers = SIMD4(1, s, s * s, s * s * s)
    func value(_ cubic: SIMD4<Double>) -> Double { (cubic * powers).sum() }
    let y = powers[3] * value(inner)
    return (leads.left * y + value(left)) * (leads.right * y + value(right)) + value(rest)
  }

  /// Square matrices that it works in.
  static let workCount = 4

  /// s, where `evaluate` looks for it.
  func centred(_ work: SquareRoom) -> PanelProducts.Destination {
    .init(matrix: work[0], lead: scale, cubic: [-1, 0, 0, 0])
  }

  /// p of the A whose s is there. `rest` is a matrix to work in.
  func evaluate(
    into result: UnsafeMutablePointer<Float>, rest free: UnsafeMutablePointer<Float>, work: SquareRoom,
    _ multiply: PanelProducts
  ) {
    let s = work[0], square = work[1], cube = work[2], other = work[3]
    multiply(s, s, into: .init(matrix: square))
    multiply(
      s, square, terms: .init(s, square), into: .init(matrix: cube),
      .init(matrix: other, lead: inner[3], cubic: [0, inner[1], inner[2], 0]))
    // y is nowhere as such: the factors take the places of s and s².
    multiply(
      cube, other, terms: .init(s, square, cube), into: .init(matrix: s, lead: leads.left, cubic: left),
      .init(matrix: square, lead: leads.right, cubic: right),
      .init(matrix: free, lead: 0, cubic: rest, isHalf: true))
    multiply(s, square, terms: .init(free), into: .init(matrix: result, cubic: [0, 1, 0, 0]))
  }
}
