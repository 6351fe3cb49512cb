import CKernels

/// What Newton–Schulz multiplies: symmetric matrices that commute, [size, size], and X, seen from its short side: [size, inner].
///
/// A symmetric product is computed by half, and goes to several matrices at once, each with terms added, while it is in registers: what a
/// polynomial does with a product costs no pass over memory of its own. All matrices lie in panels (`ck_to_panels`), so that no product
/// copies its operands.
struct PanelProducts {
  /// Where a product is written to: lead · product + cubic, by rising powers: the constant is for the diagonal, the others are the factors
  /// of the terms.
  struct Destination {
    let matrix: UnsafeMutablePointer<Float>
    var lead = 1.0
    var cubic = SIMD4<Double>.zero
    /// Whether what lies below the diagonal is left out: enough for what is a term afterwards and nothing else.
    var isHalf = false

    fileprivate var output: ck_symmetric_output {
      ck_symmetric_output(
        out: matrix, lead: Float(lead), factors: (Float(cubic[1]), Float(cubic[2]), Float(cubic[3])),
        diagonal: Float(cubic[0]), is_half: isHalf ? 1 : 0)
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

  let size: Int
  let inner: Int

  /// Floats of a symmetric matrix.
  var squareCount: Int { (size + 15) / 16 * ck_panel(size) }

  /// Floats of X.
  var rectangleCount: Int { (size + 15) / 16 * ck_panel(inner) }

  /// Floating-point operations of a symmetric product: the half that is needed.
  var squareOperations: Double { Double(size) * Double(size) * Double(size) }

  /// Those of XXᵀ, by half as well; P·X takes twice as many.
  var gramOperations: Double { Double(size) * Double(size) * Double(inner) }

  /// a · b of two symmetric matrices that commute. A destination may be a term, but neither a nor b.
  func callAsFunction(
    _ a: UnsafePointer<Float>, _ b: UnsafePointer<Float>, terms: Terms = Terms(), into first: Destination,
    _ second: Destination? = nil, _ third: Destination? = nil
  ) {
    symmetric(a, b, inner: size, terms, (first, second, third))
  }

  /// XXᵀ.
  func gram(_ x: UnsafePointer<Float>, into destination: Destination) {
    symmetric(x, x, inner: inner, Terms(), (destination, nil, nil))
  }

  /// P·X of a symmetric P.
  func apply(_ p: UnsafePointer<Float>, to x: UnsafePointer<Float>, into result: UnsafeMutablePointer<Float>) {
    ProgressCounter.tick()
    ck_panel_product(size, inner, p, x, result)
  }

  private func symmetric(
    _ a: UnsafePointer<Float>, _ b: UnsafePointer<Float>, inner: Int, _ terms: Terms,
    _ destinations: (Destination, Destination?, Destination?)
  ) {
    ProgressCounter.tick()
    var result = ck_symmetric_result(
      terms: terms.matrices,
      outputs: (
        destinations.0.output, destinations.1?.output ?? ck_symmetric_output(),
        destinations.2?.output ?? ck_symmetric_output()
      ),
      term_count: terms.count, count: 1 + (destinations.1 == nil ? 0 : 1) + (destinations.2 == nil ? 0 : 1))
    ck_symmetric_product(size, inner, a, b, &result)
  }
}
