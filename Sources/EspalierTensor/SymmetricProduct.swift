import CKernels

/// Products of matrices that commute and are symmetric, or of a matrix with itself: symmetric again, and computed by half.
///
/// A result goes to several matrices at once, each with terms added, while it is in registers: what a polynomial does with a product
/// costs no pass over memory of its own.
struct SymmetricProduct {
  /// Where a product is written to: lead · product + polynomial, of which the constant is for the diagonal.
  struct Destination {
    let matrix: UnsafeMutablePointer<Float>
    var lead = 1.0
    /// Its coefficients from the first power on are the factors of the terms.
    var polynomial = Polynomial([])
  }

  /// [size, size] each.
  let size: Int
  /// `workCount` floats.
  let work: UnsafeMutablePointer<Float>

  /// Floats in which operands are laid out.
  static func workCount(_ size: Int) -> Int {
    ck_symmetric_depth * (size + ck_symmetric_tile + ck_symmetric_rows)
  }

  /// Floating-point operations of XXᵀ, X [size, inner]: the half that is needed.
  static func operations(_ size: Int, inner: Int) -> Double { Double(size) * Double(size) * Double(inner) }

  /// a · b of two symmetric matrices that commute. A destination may be a term, but neither a nor b.
  func callAsFunction(
    _ a: UnsafePointer<Float>, _ b: UnsafePointer<Float>, terms: [UnsafePointer<Float>] = [],
    into destinations: [Destination]
  ) {
    // Symmetric, so that rows and columns may be taken for each other: as the kernel reads each operand best.
    let isPacked = size.isMultiple(of: 512)
    compute(
      Operand(a, row: isPacked ? 1 : size, column: isPacked ? size : 1), Operand(b, row: 1, column: size), inner: size,
      terms, destinations)
  }

  /// XXᵀ, or XᵀX where X [rows, columns] is no wider than tall.
  func gram(_ x: UnsafePointer<Float>, rows: Int, columns: Int, into destinations: [Destination]) {
    let x = columns > rows ? Operand(x, row: columns, column: 1) : Operand(x, row: 1, column: columns)
    compute(x, x, inner: max(rows, columns), [], destinations)
  }

  /// A matrix [size, inner], of which the element (i, p) is at start[i · row + p · column].
  private struct Operand {
    let start: UnsafePointer<Float>
    let row: Int
    let column: Int
    init(_ start: UnsafePointer<Float>, row: Int, column: Int) {
      (self.start, self.row, self.column) = (start, row, column)
    }
  }

  private func compute(
    _ a: Operand, _ b: Operand, inner: Int, _ terms: [UnsafePointer<Float>], _ destinations: [Destination]
  ) {
    ProgressCounter.tick()
    func output(_ index: Int) -> ck_symmetric_output {
      guard index < destinations.count else { return ck_symmetric_output() }
      let destination = destinations[index], factors = destination.polynomial
      return ck_symmetric_output(
        out: destination.matrix, lead: Float(destination.lead),
        factors: (Float(factors[1]), Float(factors[2]), Float(factors[3])), diagonal: Float(factors[0]))
    }
    func term(_ index: Int) -> UnsafePointer<Float>? { index < terms.count ? terms[index] : nil }
    var result = ck_symmetric_result(
      terms: (term(0), term(1), term(2)), outputs: (output(0), output(1), output(2)), term_count: Int32(terms.count),
      count: Int32(destinations.count))
    ck_symmetric_product(
      size, inner, a.start, a.row, a.column, b.start, b.row, b.column, &result, work)
  }
}
