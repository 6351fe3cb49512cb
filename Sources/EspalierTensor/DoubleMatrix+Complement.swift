import COpenBLAS

extension DoubleMatrix {
  /// An orthonormal basis of what is perpendicular to the rows, as rows: as many as the columns are more than the rows.
  ///
  /// By Householder reflections, so that it is orthonormal to rounding whatever the rows are.
  /// - Anderson et al. 1999, LAPACK Users' Guide (dgeqrf, dormqr).
  /// - Throws: `DecompositionFailure`
  /// - Precondition: the rows are linearly independent.
  public func complement() throws -> DoubleMatrix {
    let left = columns - rows
    require(left >= 0, "\(rows) rows of \(columns) are not independent")
    var basis = DoubleMatrix(rows: left, columns: columns)
    // Our rows are LAPACK's columns. Units behind the first `rows` of them are turned into the rest of the space.
    for row in 0..<left { basis[row, rows + row] = 1 }
    if rows == 0 || left == 0 { return basis }
    var (a, tau) = (values, [Double](repeating: 0, count: rows)), c = basis.values
    var (length, count, rest) = (Int32(columns), Int32(rows), Int32(left))
    try LAPACK.call("dgeqrf", columns) { work, size, _, _, info in
      dgeqrf_(&length, &count, &a, &length, &tau, work, size, info)
    }
    try LAPACK.call("dormqr", columns) { work, size, _, _, info in
      dormqr_("L", "N", &length, &rest, &count, &a, &length, &tau, &c, &length, work, size, info)
    }
    return DoubleMatrix(rows: left, columns: columns, c)
  }
}
