import CKernels
import COpenBLAS

/// A row-major matrix inside a larger one: the first element and the distance between rows.
struct MatrixPlace {
  let start: UnsafeMutablePointer<Float>
  let stride: Int

  init(_ start: UnsafeMutablePointer<Float>, stride: Int) {
    self.start = start
    self.stride = stride
  }
}

/// c [m, n] = a [m, k] · b [k, n] + β · c; `aTransposed` says that `a` lies as [k, m], `bTransposed` that `b` lies as [n, k].
///
/// Always one call of OpenBLAS. With β = 0 what was in `c` is not read; an empty sum (k = 0) is zero.
func multiply(
  _ m: Int, _ n: Int, _ k: Int, _ a: MatrixPlace, aTransposed: Bool = false, _ b: MatrixPlace,
  bTransposed: Bool = false,
  beta: Float, into c: MatrixPlace
) {
  if m == 0 || n == 0 { return }
  if k == 0 {
    if beta == 0 { for row in 0..<m { (c.start + row * c.stride).update(repeating: 0, count: n) } }
    return
  }
  ProgressCounter.tick()
  ck_note_operations(Int64(2 * m * n * k))
  cblas_sgemm(
    CblasRowMajor, aTransposed ? CblasTrans : CblasNoTrans, bTransposed ? CblasTrans : CblasNoTrans,
    Int32(m), Int32(n), Int32(k), 1, a.start, Int32(a.stride), b.start, Int32(b.stride), beta, c.start, Int32(c.stride))
}

/// Rows x of a matrix become their projection onto a space, or what that leaves of them, in place.
/// - Parameters:
///   - rows, stride: of the matrix; columns behind `dimension` stay as they are.
///   - basis: `[count, dimension]`, orthonormal rows.
///   - keeps: whether the projection is what stays.
///   - parts: working memory of rows · count.
public func projectRows(
  _ matrix: UnsafeMutablePointer<Float>, rows: Int, stride: Int, onto basis: UnsafeBufferPointer<Float>, count: Int,
  dimension: Int, keeps: Bool, parts: inout [Float]
) {
  guard count > 0, let vectors = basis.baseAddress else {
    if keeps { for row in 0..<rows { (matrix + row * stride).update(repeating: 0, count: dimension) } }
    return
  }
  ProgressCounter.tick()
  let (m, n, k) = (Int32(rows), Int32(count), Int32(dimension))
  cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, m, n, k, 1, matrix, Int32(stride), vectors, k, 0, &parts, n)
  cblas_sgemm(
    CblasRowMajor, CblasNoTrans, CblasNoTrans, m, k, n, keeps ? 1 : -1, parts, n, vectors, k, keeps ? 0 : 1, matrix,
    Int32(stride))
}

extension Tensor {
  /// The tensor's place on the tape without its memory: what a pullback captures that hands a gradient to an input whose values
  /// it does not read, so that those values can be freed.
  var place: Tensor {
    Tensor(
      shape: shape, storage: Storage(windowNamed: "values that no pullback keeps", count: count), tape: tape, node: node
    )
  }

  /// The first element as `rows` rows that lie `columns` apart.
  func matrix(_ columns: Int) -> MatrixPlace { MatrixPlace(pointer, stride: max(1, columns)) }
}
