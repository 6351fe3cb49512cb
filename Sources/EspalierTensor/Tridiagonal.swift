import COpenBLAS

/// A symmetric matrix in tridiagonal form, T = Qᵀ A Q, as LAPACK keeps it.
struct Tridiagonal {
  private let count: Int
  /// Below and beside the diagonal the reflections whose product is Q, with their factors.
  private let reflections: [Double]
  private let factors: [Double]
  private let diagonal: [Double]
  /// Beside the diagonal; one more element than there are.
  private let beside: [Double]

  /// - Throws: `DecompositionFailure`
  /// - Precondition: not empty, square; the upper triangle is read.
  init(_ matrix: DoubleMatrix) throws {
    count = matrix.rows
    // The row-major upper triangle is what LAPACK calls the lower one.
    var a = matrix.values, n = Int32(count)
    var (d, e) = ([Double](repeating: 0, count: count), [Double](repeating: 0, count: count))
    var tau = e
    try LAPACK.call("dsytrd", count) { work, size, _, _, info in
      dsytrd_("L", &n, &a, &n, &d, &e, &tau, work, size, info)
    }
    (reflections, factors, diagonal, beside) = (a, tau, d, e)
  }

  /// All eigenvalues, in ascending order.
  func values() throws -> [Double] {
    var (d, e, n, info) = (diagonal, beside, Int32(count), Int32(0))
    ProgressCounter.tick()
    dsterf_(&n, &d, &e, &info)
    try LAPACK.check(info, "dsterf", count)
    return d
  }

  /// The eigenvectors of the matrix of the `number` largest values, one after the other, that of the largest last.
  func vectors(_ number: Int) throws -> [Double] {
    if number == 0 { return [] }
    var found = try 2 * number <= count ? few(number) : Array(all()[(count - number) * count..<count * count])
    var (a, tau, n, columns) = (reflections, factors, Int32(count), Int32(number))
    try LAPACK.call("dormtr", count) { work, size, _, _, info in
      dormtr_("L", "L", "N", &n, &columns, &a, &n, &tau, &found, &n, work, size, info)
    }
    return found
  }

  /// Of the tridiagonal matrix, by relatively robust representations.
  private func few(_ number: Int) throws -> [Double] {
    var (d, e, n) = (diagonal, beside, Int32(count))
    var (first, last, columns, met) = (Int32(count - number + 1), Int32(count), Int32(number), Int32(0))
    var (none, isTried) = (0.0, Int32(1))
    var values = [Double](repeating: 0, count: count), support = [Int32](repeating: 0, count: 2 * number)
    var vectors = [Double](repeating: 0, count: number * count)
    try LAPACK.call("dstemr", count) { work, size, integers, integerSize, info in
      dstemr_(
        "V", "I", &n, &d, &e, &none, &none, &first, &last, &met, &values, &vectors, &n, &columns, &support, &isTried,
        work, size, integers, integerSize, info)
    }
    return vectors
  }

  /// Of the tridiagonal matrix, by divide and conquer.
  private func all() throws -> [Double] {
    var (d, e, n) = (diagonal, beside, Int32(count))
    var vectors = [Double](repeating: 0, count: count * count)
    try LAPACK.call("dstedc", count) { work, size, integers, integerSize, info in
      dstedc_("I", &n, &d, &e, &vectors, &n, work, size, integers, integerSize, info)
    }
    return vectors
  }
}
