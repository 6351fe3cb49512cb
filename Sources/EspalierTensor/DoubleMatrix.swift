import COpenBLAS

/// A row-major matrix in double precision: for statistics and decompositions, never for the arithmetic of a step.
public struct DoubleMatrix: Hashable, Codable, Sendable {
  /// Its shape.
  public let rows, columns: Int
  /// Row after row.
  public private(set) var values: [Double]

  /// A matrix of its elements.
  /// - Precondition: as many as the shape has.
  public init(rows: Int, columns: Int, _ values: [Double]) {
    require(values.count == rows * columns, "\(values.count) values are no matrix of \(rows) · \(columns)")
    (self.rows, self.columns, self.values) = (rows, columns, values)
  }

  /// All zeros.
  public init(rows: Int, columns: Int) {
    self.init(rows: rows, columns: columns, Array(repeating: 0, count: rows * columns))
  }

  /// Ones on the diagonal.
  public static func identity(_ count: Int) -> DoubleMatrix {
    var matrix = DoubleMatrix(rows: count, columns: count)
    for index in 0..<count { matrix[index, index] = 1 }
    return matrix
  }

  public subscript(_ row: Int, _ column: Int) -> Double {
    get { values[row * columns + column] }
    set { values[row * columns + column] = newValue }
  }

  /// The sum of the diagonal.
  public var trace: Double { (0..<min(rows, columns)).reduce(0) { $0 + self[$1, $1] } }

  /// Some rows.
  public func rows(_ range: Range<Int>) -> DoubleMatrix {
    DoubleMatrix(
      rows: range.count, columns: columns, Array(values[range.lowerBound * columns..<range.upperBound * columns]))
  }

  /// The rows of this one, then those of the other.
  public func above(_ other: DoubleMatrix) -> DoubleMatrix {
    require(other.columns == columns || other.rows == 0, "rows of \(other.columns) below rows of \(columns)")
    return DoubleMatrix(rows: rows + other.rows, columns: columns, values + other.values)
  }

  /// The product, with either side transposed.
  public func times(_ other: DoubleMatrix, transposed: Bool = false, otherTransposed: Bool = false) -> DoubleMatrix {
    let (m, k) = transposed ? (columns, rows) : (rows, columns)
    let (inner, n) = otherTransposed ? (other.columns, other.rows) : (other.rows, other.columns)
    require(k == inner, "a product of \(m) · \(k) and \(inner) · \(n)")
    var result = DoubleMatrix(rows: m, columns: n)
    guard m > 0, n > 0, k > 0 else { return result }
    ProgressCounter.tick()
    cblas_dgemm(
      CblasRowMajor, transposed ? CblasTrans : CblasNoTrans, otherTransposed ? CblasTrans : CblasNoTrans, Int32(m),
      Int32(n), Int32(k), 1, values, Int32(columns), other.values, Int32(other.columns), 0, &result.values, Int32(n))
    return result
  }

  /// Element by element.
  public static func - (first: DoubleMatrix, second: DoubleMatrix) -> DoubleMatrix {
    DoubleMatrix(rows: first.rows, columns: first.columns, zip(first.values, second.values).map { $0 - $1 })
  }

  /// Element by element.
  public static func + (first: DoubleMatrix, second: DoubleMatrix) -> DoubleMatrix {
    DoubleMatrix(rows: first.rows, columns: first.columns, zip(first.values, second.values).map { $0 + $1 })
  }

  /// Adds xᵀ x of rows, `[count, columns]`.
  /// - Precondition: the matrix is square.
  mutating func addOuterProducts(ofRows x: UnsafePointer<Double>, count: Int) {
    guard count > 0, rows > 0 else { return }
    ProgressCounter.tick()
    cblas_dsyrk(
      CblasRowMajor, CblasUpper, CblasTrans, Int32(rows), Int32(count), 1, x, Int32(rows), 1, &values, Int32(rows))
  }

  /// Adds x xᵀ, x `[rows, count]`.
  /// - Precondition: the matrix is square.
  mutating func addOuterProducts(ofColumns x: UnsafePointer<Double>, count: Int) {
    guard count > 0, rows > 0 else { return }
    ProgressCounter.tick()
    cblas_dsyrk(
      CblasRowMajor, CblasUpper, CblasNoTrans, Int32(rows), Int32(count), 1, x, Int32(count), 1, &values, Int32(rows))
  }

  /// The upper triangle, row by row: all that a symmetric matrix says.
  public var upperTriangle: [Double] {
    (0..<rows).flatMap { values[$0 * columns + $0..<($0 + 1) * columns] }
  }

  /// A symmetric matrix of its upper triangle.
  public init(upperTriangle: [Double], count: Int) {
    self.init(rows: count, columns: count)
    require(upperTriangle.count == count * (count + 1) / 2, "\(upperTriangle.count) values are no triangle of \(count)")
    var next = 0
    for row in 0..<count {
      for column in row..<count {
        self[row, column] = upperTriangle[next]
        self[column, row] = upperTriangle[next]
        next += 1
      }
    }
  }
}
