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
