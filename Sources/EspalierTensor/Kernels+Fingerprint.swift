import CKernels
import COpenBLAS

extension Kernels {
  /// The processor whose matrix kernels OpenBLAS uses, as `OPENBLAS_CORETYPE` would name it.
  package static var coreName: String { String(cString: openblas_get_corename()) }

  /// A hash of what this process computes from fixed numbers: functions, sums over rows, one matrix product.
  ///
  /// Ranks that agree on it give the same bits for the same work; ranks that differ run on other levels, other matrix kernels or
  /// other numbers of threads.
  /// - Parameter level: whose kernels to run; nil is returned if this processor lacks it.
  package static func fingerprint(level: String = Kernels.level) -> UInt64? {
    guard let table = ck_table_of(level)?.pointee else { return nil }
    let (rows, columns) = (67, 300)
    let count = rows * columns
    let key = RandomKey(seed: 0).child("fingerprint")
    let x = (0..<count).map { Float(key.uniform(at: UInt64($0)) * 8 - 4) }
    var output = [Float](repeating: 0, count: count)
    var (low, high): (UInt64, UInt64) = (0, 0)
    var name: UInt64 = 0
    func add(_ values: [Float]) {
      name += 1
      ck_digest(RandomKey.mix(name), 0, values.map(\.bitPattern), values.count, &low, &high)
    }
    for function in [table.exp, table.tanh, table.erf, table.gelu_tanh, table.gelu_erf, table.silu] {
      function?(x, &output, count)
      add(output)
    }
    var inverse = [Float](repeating: 0, count: rows)
    var logSums = inverse
    table.rms_norm(x, x, 1e-5, rows, columns, &output, &inverse)
    add(output + inverse)
    output = x
    table.attention_softmax(&output, rows, columns, columns, 1, 40, 0.3, &logSums, &inverse, nil)
    add(output + logSums)
    var product = [Float](repeating: 0, count: rows * rows)
    let (m, k) = (Int32(rows), Int32(columns))
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, m, m, k, 1, x, k, output, k, 0, &product, m)
    add(product)
    return low ^ RandomKey.mix(high)
  }
}
