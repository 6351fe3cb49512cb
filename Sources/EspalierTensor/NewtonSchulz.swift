import CKernels

/// The matrix with the singular vectors of another and singular values near 1, by an odd polynomial applied a few times.
///
/// X = u / (c·‖u‖ + ε), then X ← aX + bAX + cA²X (+ dA³X + eA⁴X) with A = XXᵀ for each step of the polynomial; for matrices that are no
/// wider than tall the same with A = XᵀX from the right, so nothing is ever transposed. XXᵀ and polynomials of A are symmetric and cost
/// half of a product. Two quintics are one polynomial of A (`QuinticPair`). In the Gram form the steps are taken on A alone, one by one,
/// and X is multiplied once at the end.
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
    /// Gram costs 3m²n + 17m³ and standard 9m²n + 9m³ for five quintic steps on m × n, even at n = 4/3 m (3m²n + 12m³ and 9m²n + 6m³ for
    /// three of degree 9, even at n = m); the standard form is the more exact one, so that Gram is taken only where it is
    /// cheaper for certain, at n = 1.5 m. Below a side of 64 time does not matter.
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
  /// The steps, in the order and the groups in which X is multiplied.
  private let stages: [Stage]
  /// The steps one by one.
  private let singles: [Stage]

  package init(steps: [Step], multiplier: Double, epsilon: Double) {
    self.steps = steps
    self.multiplier = multiplier
    self.epsilon = epsilon
    singles = steps.map { $0.isQuintic ? .quintic($0) : .nonic($0) }
    stages = Stage.grouped(steps, reach: 1 / (multiplier * multiplier))
  }

  /// Floats of working memory.
  package func scratchCount(rows: Int, columns: Int, form: Form) -> Int {
    let short = min(rows, columns), squares = (form == .gram ? 4 : 2) + (stages.map(\.workCount).max() ?? 0)
    return Self.aligned(rows * columns) + squares * SquareRoom.stride(short) + SymmetricProduct.workCount(short)
  }

  /// Floating-point operations that are done, multiplications and additions counted; of symmetric products the half that is needed.
  package func operations(rows: Int, columns: Int, form: Form) -> Double {
    let short = min(rows, columns), long = max(rows, columns)
    // XXᵀ, and a product of X with a square.
    let gram = SymmetricProduct.operations(short, inner: long), whole = 2 * gram
    let square = SymmetricProduct.operations(short, inner: short)
    let stages = form == .gram ? singles : stages
    let polynomials = Double(stages.reduce(0) { $0 + $1.productCount }) * square
    let count = Double(stages.count)
    return switch form {
    case .standard: polynomials + count * (gram + whole)
    case .gram: polynomials + gram + (count - 1) * 3 * square + whole
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
    let short = min(rows, columns), panels = scratch + Self.aligned(count)
    let operands = Operands(
      rows: rows, columns: columns, multiply: SymmetricProduct(size: short, work: panels),
      room: SquareRoom(panels + SymmetricProduct.workCount(short), size: short))
    switch form ?? Form.chosen(rows: rows, columns: columns) {
    case .standard: standard(x, scratch, operands)
    case .gram: gram(x, scratch, operands)
    }
  }

  private func standard(_ x: UnsafeMutablePointer<Float>, _ other: UnsafeMutablePointer<Float>, _ operands: Operands) {
    var (from, to) = (x, other)
    let a = operands.room[0], polynomial = operands.room[1], work = operands.room.from(2)
    for stage in stages {
      operands.gram(of: from, into: stage.destinations(a, work, keepsA: false))
      stage.polynomial(of: a, into: polynomial, work: work, operands.multiply)
      operands.multiply(polynomial, from, into: to)
      swap(&from, &to)
    }
    if from != x { x.update(from: from, count: operands.rows * operands.columns) }
  }

  private func gram(_ x: UnsafeMutablePointer<Float>, _ other: UnsafeMutablePointer<Float>, _ operands: Operands) {
    // One step after the other: pairs cost a near-rank-one matrix the accuracy that this form still has.
    let stages = singles, multiply = operands.multiply, work = operands.room.from(4)
    var r = operands.room[0], q = operands.room[1], z = operands.room[2], spare = operands.room[3]
    operands.gram(of: x, into: [.init(matrix: r)])
    for (index, stage) in stages.enumerated() {
      // Polynomials of one symmetric matrix commute, so that their products are symmetric.
      stage.polynomial(of: r, into: index == 0 ? q : z, work: work, multiply)
      if index > 0 {
        multiply(q, z, into: [.init(matrix: spare)])
        swap(&q, &spare)
      }
      guard index + 1 < stages.count else { break }
      let polynomial = index == 0 ? q : z
      multiply(polynomial, polynomial, into: [.init(matrix: spare)])
      multiply(r, spare, into: [.init(matrix: z)])
      swap(&r, &z)
    }
    operands.multiply(q, x, into: other)
    x.update(from: other, count: operands.rows * operands.columns)
  }

  /// Elements with padding to 64 bytes.
  private static func aligned(_ count: Int) -> Int { (count + 15) / 16 * 16 }
}

/// A shape, seen from its short side, and where its products are computed.
private struct Operands {
  let rows: Int
  let columns: Int
  let multiply: SymmetricProduct
  let room: SquareRoom

  /// XXᵀ, or XᵀX where X is no wider than tall.
  func gram(of x: UnsafeMutablePointer<Float>, into destinations: [SymmetricProduct.Destination]) {
    multiply.gram(x, rows: rows, columns: columns, into: destinations)
  }

  /// P·X, or X·P where X is no wider than tall.
  func multiply(
    _ p: UnsafeMutablePointer<Float>, _ x: UnsafeMutablePointer<Float>, into result: UnsafeMutablePointer<Float>
  ) {
    let short = min(rows, columns), isWide = columns > rows
    let symmetric = MatrixPlace(p, stride: short), whole = MatrixPlace(x, stride: columns)
    EspalierTensor.multiply(
      rows, columns, short, isWide ? symmetric : whole, isWide ? whole : symmetric, beta: 0,
      into: MatrixPlace(result, stride: columns))
  }
}
