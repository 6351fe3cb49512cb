import CKernels

/// The steps with general products alone: what the two forms are measured against.
extension NewtonSchulz {
  /// Floats of working memory.
  package static func plainScratchCount(rows: Int, columns: Int) -> Int {
    let short = min(rows, columns)
    return rows * columns + 3 * short * short
  }

  /// Floating-point operations of `plain`.
  package func plainOperations(rows: Int, columns: Int) -> Double {
    let (m, n) = (Double(min(rows, columns)), Double(max(rows, columns)))
    return steps.reduce(0) { $0 + 4 * m * m * n + ($1.isQuintic ? 2 : 4) * m * m * m }
  }

  /// Replaces `x`, which is not taller than wide; `scratch` holds `plainScratchCount` floats.
  package func plain(
    _ x: UnsafeMutablePointer<Float>, rows: Int, columns: Int, scratch: UnsafeMutablePointer<Float>
  ) {
    let next = scratch, count = rows * rows, a = scratch + rows * columns
    var square = a + count, spare = square + count
    func multiplySmall(
      _ a: UnsafeMutablePointer<Float>, _ b: UnsafeMutablePointer<Float>, _ c: UnsafeMutablePointer<Float>
    ) {
      multiply(
        rows, rows, rows, MatrixPlace(a, stride: rows), MatrixPlace(b, stride: rows), beta: 0,
        into: MatrixPlace(c, stride: rows))
    }
    let norm = ck_sum_of_squares(x, rows * columns).squareRoot()
    ck_scale(x, Float(1 / (multiplier * norm + epsilon)), 0, x, rows * columns)
    for step in steps {
      let wide = MatrixPlace(x, stride: columns), small = MatrixPlace(a, stride: rows)
      multiply(rows, rows, columns, wide, wide, bTransposed: true, beta: 0, into: small)
      multiplySmall(a, a, square)
      if step.isQuintic {
        ck_scale(square, Float(step.c), 0, square, count)
      } else {
        // A²(cI + dA + eA²), the bracket in `next`, which is free until X is multiplied.
        ck_scale(square, Float(step.e), 0, next, count)
        ck_scale(a, Float(step.d), 1, next, count)
        for index in 0..<rows { next[index * (rows + 1)] += Float(step.c) }
        multiplySmall(square, next, spare)
        swap(&square, &spare)
      }
      ck_scale(a, Float(step.b), 1, square, count)
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
