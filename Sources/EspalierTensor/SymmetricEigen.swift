/// Eigenvalues of a symmetric matrix, and the eigenvectors of the largest of them, by LAPACK in double precision.
///
/// One convention everywhere: values descend, and the element of a vector that is largest in magnitude (the first of them) is positive.
/// The matrix is made tridiagonal, whose values are cheap; so a caller can look at them before it says how many vectors it wants, and
/// few cost half of all or less.
/// - Anderson et al. 1999, LAPACK Users' Guide (dsytrd, dsterf, dormtr; dstedc, divide and conquer, for many vectors; dstemr for few).
/// - Dhillon and Parlett 2004, doi:10.1016/j.laa.2003.12.028 (dstemr).
public struct SymmetricEigen: Sendable {
  /// All of them, in descending order.
  public let values: [Double]
  /// Row i is the vector of value i; as many rows as were wanted.
  public let vectors: DoubleMatrix

  /// - Parameter wanted: how many vectors, told from all values; all where it is not given.
  /// - Throws: `DecompositionFailure` for elements that are not finite, or where LAPACK does not converge.
  /// - Precondition: the matrix is square, its upper triangle is read; no more vectors are wanted than there are.
  public init(_ matrix: DoubleMatrix, vectors wanted: (_ values: [Double]) -> Int = { $0.count }) throws {
    let count = matrix.rows
    require(matrix.columns == count, "\(count) · \(matrix.columns) is not square")
    guard count > 0 else {
      (values, vectors) = ([], matrix)
      return
    }
    guard matrix.values.allSatisfy(\.isFinite) else {
      throw DecompositionFailure(description: "a matrix of \(count) · \(count) has elements that are not finite")
    }
    let tridiagonal = try Tridiagonal(matrix)
    let ascending = try tridiagonal.values()
    values = ascending.reversed()
    let number = wanted(values)
    require((0...count).contains(number), "\(number) vectors of \(count)")
    let found = try tridiagonal.vectors(number)
    var descending: [Double] = []
    descending.reserveCapacity(number * count)
    for row in (0..<number).reversed() {
      let vector = found[row * count..<(row + 1) * count]
      var largest = vector.startIndex
      for index in vector.indices where abs(vector[index]) > abs(vector[largest]) { largest = index }
      descending += vector[largest] < 0 ? vector.map { -$0 } : Array(vector)
    }
    vectors = DoubleMatrix(rows: number, columns: count, descending)
  }
}
