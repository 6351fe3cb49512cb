import CKernels

/// The steps with general products alone: what the two forms are measured against.
extension NewtonSchulz {
  /// Floats of working memory.
  package static func plainScratchCount(rows: Int, columns: Int) -> Int {
    let short = min(rows, columns)
    return rows * columns + 2 * short * short
  }

  /// Floating-point operations of `plain`.
  package func plainOperations(rows: Int, columns: Int) -> Double {
    let (m, n) = (Double(min(rows, columns)), Double(max(rows, columns)))
    return Double(steps.count) * (4 * m * m * n + 2 * m * m * m)
  }

  /// Replaces `x`, which is not taller than wide; `scratch` holds `plainScratchCount` floats.
  package func plain(
    _ x: UnsafeMutablePointer<Float>, rows: Int, columns: Int, scratch: UnsafeMutablePointer<Float>
  ) {
    let next = scratch, a = scratch + rows * columns, square = a + rows * rows
    let norm = ck_sum_of_squares(x, rows * columns).squareRoot()
    ck_scale(x, Float(1 / (multiplier * norm + epsilon)), 0, x, rows * columns)
    for step in steps {
      let wide = MatrixPlace(x, stride: columns), small = MatrixPlace(a, stride: rows)
      multiply(rows, rows, columns, wide, wide, bTransposed: true, beta: 0, into: small)
      multiply(rows, rows, rows, small, small, beta: 0, into: MatrixPlace(square, stride: rows))
      ck_scale(square, Float(step.c), 0, square, rows * rows)
      ck_scale(a, Float(step.b), 1, square, rows * rows)
      multiply(
        rows, columns, rows, MatrixPlace(square, stride: rows), wide, beta: 0, into: MatrixPlace(next, stride: columns))
      ck_scale(x, Float(step.a), 1, next, rows * columns)
      x.update(from: next, count: rows * columns)
    }
  }

  /// One product of [short, short] and [short, long]: the rate that the forms can hope for.
  package static func product(
    rows: Int, columns: Int, _ square: UnsafeMutablePointer<Float>, _ x: UnsafeMutablePointer<Float>,
    into result: UnsafeMutablePointer<Float>
  ) {
    multiply(
      rows, columns, rows, MatrixPlace(square, stride: rows), MatrixPlace(x, stride: columns), beta: 0,
      into: MatrixPlace(result, stride: columns))
  }
}
