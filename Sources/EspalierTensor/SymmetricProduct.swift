import CKernels

/// Products of matrices that commute and are symmetric, or of a matrix with itself: symmetric again, and computed by half.
///
/// A result goes to several matrices at once, each with terms added, while it is in registers: what a polynomial does with a product
/// costs no pass over memory of its own.
struct SymmetricProduct {
  /// Where a product is written to: lead · product + cubic, by rising powers: the constant is for the diagonal, the others are the factors
  /// of the terms.
  struct Destination {
    let matrix: UnsafeMutablePointer<Float>
    var lead = 1.0
    var cubic = SIMD4<Double>.zero

    fileprivate var output: ck_symmetric_output {
      ck_symmetric_output(
        out: matrix, lead: Float(lead), factors: (Float(cubic[1]), Float(cubic[2]), Float(cubic[3])),
        diagonal: Float(cubic[0]))
    }
  }

  /// Up to three matrices that are added to a product.
  struct Terms {
    fileprivate let matrices: (UnsafePointer<Float>?, UnsafePointer<Float>?, UnsafePointer<Float>?)
    fileprivate let count: Int32

    init(
      _ first: UnsafePointer<Float>? = nil, _ second: UnsafePointer<Float>? = nil, _ third: UnsafePointer<Float>? = nil
    ) {
      matrices = (first, second, third)
      count = (first == nil ? 0 : 1) + (second == nil ? 0 : 1) + (third == nil ? 0 : 1)
    }
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
    _ a: UnsafePointer<Float>, _ b: UnsafePointer<Float>, terms: Terms = Terms(), into first: Destination,
    _ second: Destination? = nil, _ third: Destination? = nil
  ) {
    // Symmetric, so that rows and columns may be taken for each other: as the kernel reads or copies each operand best.
    let byRows = Operand(a, row: size, column: 1), byColumns = Operand(a, row: 1, column: size)
    compute(
      size.isMultiple(of: ck_symmetric_alias) ? byColumns : byRows, Operand(b, row: 1, column: size), inner: size,
      terms, (first, second, third))
  }

  /// XXᵀ, or XᵀX where X [rows, columns] is no wider than tall.
  func gram(_ x: UnsafePointer<Float>, rows: Int, columns: Int, into destination: Destination) {
    let x = columns > rows ? Operand(x, row: columns, column: 1) : Operand(x, row: 1, column: columns)
    compute(x, x, inner: max(rows, columns), Terms(), (destination, nil, nil))
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
    _ a: Operand, _ b: Operand, inner: Int, _ terms: Terms, _ destinations: (Destination, Destination?, Destination?)
  ) {
    ProgressCounter.tick()
    var result = ck_symmetric_result(
      terms: terms.matrices,
      outputs: (
        destinations.0.output, destinations.1?.output ?? ck_symmetric_output(),
        destinations.2?.output ?? ck_symmetric_output()
      ),
      term_count: terms.count, count: 1 + (destinations.1 == nil ? 0 : 1) + (destinations.2 == nil ? 0 : 1))
    ck_symmetric_product(size, inner, a.start, a.row, a.column, b.start, b.row, b.column, &result, work)
  }
}
