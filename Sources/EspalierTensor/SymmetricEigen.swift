import COpenBLAS

/// Eigenvalues and eigenvectors of a symmetric matrix, by LAPACK in double precision.
///
/// One convention everywhere: values descend, and the element of a vector that is largest in magnitude (the first of them) is positive.
/// - Anderson et al. 1999, LAPACK Users' Guide (dsyevd, divide and conquer).
public struct SymmetricEigen: Sendable {
  /// In descending order.
  public let values: [Double]
  /// Row i is the vector of value i.
  public let vectors: DoubleMatrix

  /// LAPACK did not come to an end.
  public struct Failure: Error, CustomStringConvertible {
    /// One sentence.
    public let description: String
  }

  /// - Throws: `Failure` for elements that are not finite, or where LAPACK does not converge.
  /// - Precondition: the matrix is square; its upper triangle is read.
  public init(_ matrix: DoubleMatrix) throws {
    let count = matrix.rows
    require(matrix.columns == count, "\(count) · \(matrix.columns) is not square")
    guard count > 0 else {
      (values, vectors) = ([], matrix)
      return
    }
    guard matrix.values.allSatisfy(\.isFinite) else {
      throw Failure(description: "a matrix of \(count) · \(count) has elements that are not finite")
    }
    // The row-major upper triangle is what LAPACK calls the lower one, and its columns come back as our rows.
    var (a, w) = (matrix.values, [Double](repeating: 0, count: count))
    var (n, info) = (Int32(count), Int32(0))
    var (workSize, integerSize) = (Int32(-1), Int32(-1))
    var (work, integers) = ([0.0], [Int32(0)])
    for _ in 0..<2 {
      ProgressCounter.tick()
      dsyevd_("V", "L", &n, &a, &n, &w, &work, &workSize, &integers, &integerSize, &info)
      guard info == 0 else {
        throw Failure(
          description:
            "the eigenvectors of a matrix of \(count) · \(count) were not found (LAPACK's dsyevd says \(info))")
      }
      guard workSize < 0 else { break }
      (workSize, integerSize) = (Int32(work[0]), integers[0])
      work = Array(repeating: 0, count: Int(workSize))
      integers = Array(repeating: 0, count: Int(integerSize))
    }
    var descending: [Double] = []
    descending.reserveCapacity(count * count)
    for row in (0..<count).reversed() {
      let vector = a[row * count..<(row + 1) * count]
      var largest = vector.startIndex
      for index in vector.indices where abs(vector[index]) > abs(vector[largest]) { largest = index }
      descending += vector[largest] < 0 ? vector.map { -$0 } : Array(vector)
    }
    values = w.reversed()
    vectors = DoubleMatrix(rows: count, columns: count, descending)
  }
}
