import CKernels
import COpenBLAS

/// The matrix with the singular vectors of another and singular values near 1, by an odd polynomial applied a few times.
///
/// X = u / (c·‖u‖ + ε), then X ← aX + bAX + cA²X (+ dA³X + eA⁴X) with A = XXᵀ for each step of the polynomial; for tall matrices the
/// same with A = XᵀX from the right, so nothing is ever transposed. XXᵀ and the powers of A are symmetric and cost half of a product.
/// In the Gram form the steps are taken on A alone, and X is multiplied once at the end.
/// - Jordan et al. 2024, kellerjordan.github.io/posts/muon; Amsel et al. 2025, arXiv:2505.16932; Gram form: Dao AI Lab,
///   gram-newton-schulz.
package struct NewtonSchulz: Sendable {
  /// a … e of aX + bX³ + cX⁵ + dX⁷ + eX⁹; a quintic has neither d nor e.
  package struct Step: Sendable, Hashable {
    package let a, b, c, d, e: Double
    package init(_ a: Double, _ b: Double, _ c: Double, _ d: Double = 0, _ e: Double = 0) {
      (self.a, self.b, self.c, self.d, self.e) = (a, b, c, d, e)
    }

    package var isQuintic: Bool { d == 0 && e == 0 }
  }

  /// How the steps are computed: the same map in exact arithmetic, other bits.
  package enum Form: String, Sendable, Codable {
    case standard, gram

    /// The form for a shape: a function of the shape alone, so that every rank and every run takes the same.
    ///
    /// Gram costs 3m²n + 17m³ and standard 15m²n + 5m³ for five quintic steps on m × n, even at n = m (3m²n + 12m³ and 9m²n + 6m³ for
    /// three of degree 9, even there too); the standard form is the more exact one, so that Gram is taken only where it saves a fifth
    /// (of degree 9 a sixth), at n = 1.5 m. Below a side of 64 time does not matter.
    package static func chosen(rows: Int, columns: Int) -> Form {
      let (short, long) = (min(rows, columns), max(rows, columns))
      return short >= 64 && 2 * long >= 3 * short ? .gram : .standard
    }
  }

  package let steps: [Step]
  /// c above: what the norm is multiplied with.
  package let multiplier: Double
  /// ε above.
  package let epsilon: Double

  package init(steps: [Step], multiplier: Double, epsilon: Double) {
    self.steps = steps
    self.multiplier = multiplier
    self.epsilon = epsilon
  }

  /// Floats of working memory.
  package func scratchCount(rows: Int, columns: Int, form: Form) -> Int {
    let short = min(rows, columns)
    let squares = (form == .gram ? 4 : 2) + (steps.allSatisfy(\.isQuintic) ? 0 : Step.workCount)
    return Self.aligned(rows * columns) + squares * Self.aligned(short * short)
  }

  /// Floating-point operations that are done, multiplications and additions counted.
  package func operations(rows: Int, columns: Int, form: Form) -> Double {
    let (m, n) = (Double(min(rows, columns)), Double(max(rows, columns)))
    let half = m * m * n, whole = 2 * half  // XXᵀ, and a product of X with a square
    let square = m * m * m, symmetric = Symmetric.operations(min(rows, columns))
    let polynomials = steps.reduce(0) { $0 + square + ($1.isQuintic ? 0 : symmetric) }
    let count = Double(steps.count)
    return switch form {
    case .standard: polynomials + count * (half + whole)
    case .gram: polynomials + half + (count - 1) * (square + 2 * symmetric) + whole
    }
  }

  /// Replaces `x` [rows, columns]; `scratch` holds `scratchCount` floats.
  package func callAsFunction(
    _ x: UnsafeMutablePointer<Float>, rows: Int, columns: Int, form: Form? = nil, scratch: UnsafeMutablePointer<Float>
  ) {
    let count = rows * columns
    if count == 0 { return }
    // By chunks and in double: no underflow, and the order of the sum is fixed.
    let squares = stride(from: 0, to: count, by: 4096).reduce(0.0) {
      $0 + ck_sum_of_squares(x + $1, min(4096, count - $1))
    }
    ck_scale(x, Float(1 / (multiplier * squares.squareRoot() + epsilon)), 0, x, count)
    let other = scratch, small = scratch + Self.aligned(count)
    let shape = Matrix(rows: rows, columns: columns)
    switch form ?? Form.chosen(rows: rows, columns: columns) {
    case .standard: standard(x, other, small, shape)
    case .gram: gram(x, other, small, shape)
    }
  }

  private func standard(
    _ x: UnsafeMutablePointer<Float>, _ other: UnsafeMutablePointer<Float>, _ small: UnsafeMutablePointer<Float>,
    _ shape: Matrix
  ) {
    var (from, to) = (x, other)
    let size = shape.short, room = Self.aligned(size * size), a = small, polynomial = small + room
    for step in steps {
      shape.gram(of: from, into: a)
      ck_mirror_upper(a, size)
      step.polynomial(of: a, size, into: polynomial, work: small + 2 * room)
      shape.multiply(polynomial, from, into: to)
      swap(&from, &to)
    }
    if from != x { x.update(from: from, count: shape.rows * shape.columns) }
  }

  private func gram(
    _ x: UnsafeMutablePointer<Float>, _ other: UnsafeMutablePointer<Float>, _ small: UnsafeMutablePointer<Float>,
    _ shape: Matrix
  ) {
    let size = shape.short, room = Self.aligned(size * size)
    var r = small, q = small + room, z = small + 2 * room, spare = small + 3 * room
    shape.gram(of: x, into: r)
    ck_mirror_upper(r, size)
    for (index, step) in steps.enumerated() {
      step.polynomial(of: r, size, into: z, work: small + 4 * room)
      let isLast = index == steps.count - 1
      // Polynomials of one symmetric matrix commute, so their products are symmetric: half of each is computed.
      if index == 0 {
        q.update(from: z, count: size * size)
      } else {
        Symmetric.product(q, z, size, into: spare)
        swap(&q, &spare)
      }
      if !isLast {
        Symmetric.square(z, size, into: spare)
        Symmetric.product(r, spare, size, into: z)
        swap(&r, &z)
      }
    }
    shape.multiply(q, x, into: other)
    x.update(from: other, count: shape.rows * shape.columns)
  }

  /// Elements with padding to 64 bytes.
  fileprivate static func aligned(_ count: Int) -> Int { (count + 15) / 16 * 16 }
}

extension NewtonSchulz.Step {
  /// Square matrices in which a polynomial of degree 9 works.
  static let workCount = 2

  /// aI + bR + cR² + dR³ + eR⁴ of a symmetric matrix.
  fileprivate func polynomial(
    of r: UnsafeMutablePointer<Float>, _ size: Int, into result: UnsafeMutablePointer<Float>,
    work: UnsafeMutablePointer<Float>
  ) {
    if isQuintic {
      result.update(from: r, count: size * size)
      Symmetric.square(r, size, scale: c, beta: b, into: result)
    } else {
      // aI + bR + R²(cI + dR + eR²): two symmetric products where powers one by one take three.
      let square = work, factor = work + NewtonSchulz.aligned(size * size), count = size * size
      Symmetric.square(r, size, into: square)
      ck_scale(square, Float(e), 0, factor, count)
      ck_scale(r, Float(d), 1, factor, count)
      Self.add(c, toDiagonalOf: factor, size)
      ck_scale(r, Float(b), 0, result, count)
      Symmetric.product(square, factor, size, beta: 1, into: result)
    }
    Self.add(a, toDiagonalOf: result, size)
  }

  private static func add(_ value: Double, toDiagonalOf matrix: UnsafeMutablePointer<Float>, _ size: Int) {
    for index in 0..<size { matrix[index * (size + 1)] += Float(value) }
  }
}

/// A shape, seen from its short side.
private struct Matrix {
  let rows: Int
  let columns: Int
  var short: Int { min(rows, columns) }
  var isTall: Bool { rows > columns }

  /// The upper half of XXᵀ, or of XᵀX where X is tall.
  func gram(of x: UnsafeMutablePointer<Float>, into result: UnsafeMutablePointer<Float>) {
    ProgressCounter.tick()
    cblas_ssyrk(
      CblasRowMajor, CblasUpper, isTall ? CblasTrans : CblasNoTrans, Int32(short), Int32(max(rows, columns)), 1, x,
      Int32(columns), 0, result, Int32(short))
  }

  /// P·X, or X·P where X is tall.
  func multiply(
    _ p: UnsafeMutablePointer<Float>, _ x: UnsafeMutablePointer<Float>, into result: UnsafeMutablePointer<Float>
  ) {
    let symmetric = MatrixPlace(p, stride: short), whole = MatrixPlace(x, stride: columns)
    EspalierTensor.multiply(
      rows, columns, short, isTall ? whole : symmetric, isTall ? symmetric : whole, beta: 0,
      into: MatrixPlace(result, stride: columns))
  }
}
