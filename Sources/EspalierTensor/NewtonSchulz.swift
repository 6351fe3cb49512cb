import CKernels

/// The matrix with the singular vectors of another and singular values near 1, by an odd polynomial applied a few times.
///
/// X = u / (c·‖u‖ + ε), then X ← aX + bAX + cA²X (+ dA³X + eA⁴X) with A = XXᵀ for each step of the polynomial; for matrices that are no
/// wider than tall the same of the transpose. XXᵀ and polynomials of A are symmetric and cost half of a product. Two quintics are one
/// polynomial of A (`QuinticPair`). In the Gram form the steps are taken on A alone, and X is multiplied once at the end.
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
    /// Gram costs 3m²n + 16m³ and standard 9m²n + 9m³ for five quintic steps on m × n, even at n = 7/6 m (3m²n + 12m³ and 9m²n + 6m³ for
    /// three of degree 9, even at n = m); the standard form is the more exact one, so that Gram is taken only where it saves
    /// something, from n = 1.5 m on. Below a side of 64 time does not matter.
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
  /// The steps as the standard form takes them: two at a time.
  private let standardStages: [Stage]
  /// The steps as the Gram form takes them: two at a time at the end alone. What centres A for a pair rounds its small eigenvalues, which
  /// here have nothing but A to come from, and have grown only by then.
  private let gramStages: [Stage]

  package init(steps: [Step], multiplier: Double, epsilon: Double) {
    self.steps = steps
    self.multiplier = multiplier
    self.epsilon = epsilon
    let reach = 1 / (multiplier * multiplier)
    standardStages = Stage.grouped(steps, pairsFrom: 0, reach: reach)
    gramStages = Stage.grouped(steps, pairsFrom: max(0, steps.count - 2), reach: reach)
  }

  private func stages(_ form: Form) -> [Stage] {
    switch form {
    case .standard: standardStages
    case .gram: gramStages
    }
  }

  /// Floats of working memory.
  package func scratchCount(rows: Int, columns: Int, form: Form) -> Int {
    let products = PanelProducts(rows: rows, columns: columns)
    let squares = (form == .gram ? 4 : 2) + (stages(form).map(\.workCount).max() ?? 0)
    return 2 * products.rectangleCount + squares * products.squareCount
  }

  /// Floating-point operations that are done, multiplications and additions counted; of symmetric products the half that is needed.
  package func operations(rows: Int, columns: Int, form: Form) -> Double {
    let products = PanelProducts(rows: rows, columns: columns)
    let square = products.squareOperations, gram = products.gramOperations, whole = 2 * gram
    let stages = stages(form)
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
    let factor = Float(1 / (multiplier * squares.squareRoot() + epsilon))
    let products = PanelProducts(rows: rows, columns: columns)
    let (row, column) = columns > rows ? (columns, 1) : (1, columns)
    let from = scratch, to = from + products.rectangleCount
    let room = SquareRoom(first: to + products.rectangleCount, stride: products.squareCount)
    ck_to_panels(products.size, products.inner, x, row, column, factor, from)
    let result =
      switch form ?? Form.chosen(rows: rows, columns: columns) {
      case .standard: standard(from, to, room, products)
      case .gram: gram(from, to, room, products)
      }
    ck_from_panels(products.size, products.inner, result, x, row, column)
  }

  /// Of the X in `first`, which of the two it is in at the end.
  private func standard(
    _ first: UnsafeMutablePointer<Float>, _ second: UnsafeMutablePointer<Float>, _ room: SquareRoom,
    _ multiply: PanelProducts
  ) -> UnsafeMutablePointer<Float> {
    var (x, other) = (first, second)
    let a = room[0], polynomial = room[1], work = room.from(2)
    for stage in standardStages {
      multiply.gram(x, into: stage.destination(a, work))
      stage.polynomial(of: a, into: polynomial, work: work, multiply)
      multiply.apply(polynomial, to: x, into: other)
      swap(&x, &other)
    }
    return x
  }

  private func gram(
    _ x: UnsafeMutablePointer<Float>, _ result: UnsafeMutablePointer<Float>, _ room: SquareRoom,
    _ multiply: PanelProducts
  ) -> UnsafeMutablePointer<Float> {
    let work = room.from(4)
    var r = room[0], q = room[1], z = room[2], spare = room[3]
    for (index, stage) in gramStages.enumerated() {
      // Polynomials of one symmetric matrix commute, so that their products are symmetric.
      if index == 0 {
        multiply.gram(x, into: stage.destination(r, work))
        stage.polynomial(of: r, into: q, work: work, multiply)
      } else {
        multiply(r, spare, into: stage.destination(z, work))
        swap(&r, &z)
        stage.polynomial(of: r, into: z, work: work, multiply)
        multiply(q, z, into: .init(matrix: spare))
        swap(&q, &spare)
      }
      guard index + 1 < gramStages.count else { break }
      let polynomial = index == 0 ? q : z
      multiply(polynomial, polynomial, into: .init(matrix: spare))
    }
    multiply.apply(q, to: x, into: result)
    return result
  }
}

extension PanelProducts {
  /// For X [rows, columns], or its transpose where it is no wider than tall.
  fileprivate init(rows: Int, columns: Int) {
    self.init(size: min(rows, columns), inner: max(rows, columns))
  }
}
