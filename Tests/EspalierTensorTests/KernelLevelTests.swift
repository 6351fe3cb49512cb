import CKernels
import EspalierTensor
import EspalierTesting
import Testing

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// The variants of the kernels: x86-64-v3 and x86-64-v4 to the bit, the default one closely.
@Suite struct KernelLevelTests {
  @Test("on a processor with wide vectors OpenBLAS does not fall back to the matrix kernels of one without")
  func matrixCore() {
    guard Kernels.level != "default", getenv("OPENBLAS_CORETYPE") == nil else { return }
    #expect(!["Prescott", "Core2", "Nehalem"].contains(Kernels.coreName))
  }

  /// Every kernel that computes with floats, on every length up to 70 or rows of 37: what it writes, under its name.
  private func outputs(_ table: ck_table) -> [(String, [Float])] {
    var results: [(String, [Float])] = []
    let key = RandomKey(seed: 11)
    func values(_ name: String, _ count: Int, scale: Double = 8) -> [Float] {
      (0..<count).map { Float((key.child(name).uniform(at: UInt64($0)) - 0.5) * scale) }
    }
    func collect(_ name: String, _ count: Int, _ body: (inout [Float]) -> Void) {
      var buffer = values(name, count)
      body(&buffer)
      results.append((name, buffer))
    }
    for count in 0..<70 {
      let (x, dy) = (values("x\(count)", count), values("dy\(count)", count))
      collect("add", count) { table.add(x, dy, &$0, count) }
      collect("scale", count) { table.scale(x, 1.7, 1, &$0, count) }
      collect("exp", count) { table.exp(x, &$0, count) }
      collect("tanh", count) { table.tanh(x, &$0, count) }
      collect("erf", count) { table.erf(x, &$0, count) }
      collect("gelu tanh", count) { table.gelu_tanh(x, &$0, count) }
      collect("gelu tanh backward", count) { table.gelu_tanh_backward(x, dy, 1, &$0, count) }
      collect("gelu erf", count) { table.gelu_erf(x, &$0, count) }
      collect("gelu erf backward", count) { table.gelu_erf_backward(x, dy, 1, &$0, count) }
      collect("relu", count) { table.relu(x, &$0, count) }
      collect("relu backward", count) { table.relu_backward(x, dy, 1, &$0, count) }
      collect("silu", count) { table.silu(x, &$0, count) }
      collect("silu backward", count) { table.silu_backward(x, dy, 1, &$0, count) }
      collect("dropout", count) { table.dropout(x, 5, 1 << 62, 1.25, 1, &$0, count) }
      collect("sum of squares", 1) { $0[0] = Float(table.sum_of_squares(x, count)) }
      collect("adamw", count) { value in
        var (m, v) = (values("m", count), values("v", count).map(abs))
        table.adamw(&value, x, &m, &v, count, 0.01, 0.9, 0.999, 1e-8, 0.1, 0.1, 0.001, 0.5)
      }
      collect("sgd", count) { value in
        var buffer = dy
        table.sgd(&value, x, &buffer, count, 0.01, 0.9, 1, 0.1, 0.5)
      }
      collect("momentum", count) { direction in
        var buffer = dy
        table.momentum(x, &buffer, &direction, count, 0.95, 0.05, 1, 0.5)
      }
    }
    let (rows, columns) = (19, 37)
    let (x, dy) = (values("rows", rows * columns), values("upstream", rows * columns))
    let (gain, bias) = (values("gain", columns), values("bias", columns))
    var (mean, inverse) = ([Float](repeating: 0, count: rows), [Float](repeating: 0, count: rows))
    var (first, second) = ([Double](repeating: 0, count: columns), [Double](repeating: 0, count: columns))
    collect("rms norm", rows * columns) { table.rms_norm(x, gain, 1e-5, rows, columns, &$0, &inverse) }
    collect("rms norm backward", rows * columns) {
      table.rms_norm_backward(x, gain, inverse, dy, rows, columns, 1, &$0, &first)
    }
    results.append(("gain sums", first.map { Float($0) }))
    collect("layer norm", rows * columns) { table.layer_norm(x, gain, bias, 1e-5, rows, columns, &$0, &mean, &inverse) }
    collect("layer norm backward", rows * columns) {
      table.layer_norm_backward(x, gain, mean, inverse, dy, rows, columns, 1, &$0, &first, &second)
    }
    results.append(("gain sums", first.map { Float($0) }))
    results.append(("bias sums", second.map { Float($0) }))
    table.column_sums(x, rows, columns, &first)
    collect("column sums", columns) { table.store_sums(first, columns, 1, &$0) }
    collect("swiglu", rows * 18) { table.swiglu(x, rows, 18, &$0) }
    collect("swiglu backward", rows * 36) { table.swiglu_backward(x, dy, rows, 18, 1, &$0) }
    var (sums, factors) = ([Float](repeating: 0, count: rows), [Float](repeating: 0, count: rows))
    var largest = -Float.infinity
    collect("attention softmax", rows * columns) {
      table.attention_softmax(&$0, rows, 31, columns, 1, 12, 0.3, &sums, &factors, &largest)
    }
    results.append(("largest logit", [largest]))
    collect("attention backward", rows * columns) {
      var panel = x
      table.attention_backward(&panel, &$0, rows, 31, columns, 1, 12, 0.3, sums, factors)
    }
    results.append(("log sum exp", sums))
    collect("scale rows", rows * columns) { table.scale_rows(&$0, factors, rows, 30, columns) }
    collect("row dots", rows) { table.row_dots(x, dy, rows, 30, columns, &$0) }
    collect("rotary", 6 * 36) { table.rotary(x, values("table", 18), 2, 3, 4, 6, 36, 1, 1, &$0) }
    collect("cross-entropy", rows * columns) {
      var correct: Int64 = 0
      let targets = (0..<rows).map { Int32($0 * 5 % columns) }
      let loss = table.cross_entropy(x, targets, -1, rows, columns, 0.25, &$0, &correct)
      results.append(("loss", [Float(loss), Float(correct)]))
    }
    let shape = ck_patch_shape(
      samples: 3, channels: 2, height: 7, width: 37, kernel: 3, stride: 2, padding: 1, out_height: 4, out_width: 19)
    let (images, patches) = (3 * 2 * 7 * 37, 18 * 3 * 4 * 19)
    let (image, upstream) = (values("image", images), values("patches", patches))
    collect("patches", patches) { table.patches(image, shape, &$0) }
    var scratch = upstream
    collect("patches backward", images) { table.patches_backward(&scratch, shape, 1, &$0) }
    let same = ck_patch_shape(
      samples: 3, channels: 2, height: 7, width: 37, kernel: 5, stride: 1, padding: 2, out_height: 7, out_width: 37)
    var moved = values("moved patches", 25 * images)
    collect("patches of the same size", 25 * images) { table.patches(image, same, &$0) }
    collect("patches of the same size backward", images) { table.patches_backward(&moved, same, 1, &$0) }
    collect("swap planes", images) { table.swap_planes(image, 3, 2, 259, &$0) }
    collect("channel statistics", 2) { table.channel_statistics(image, 3, 2, 259, &$0, &inverse) }
    results.append(("channel variances", Array(inverse[..<2])))
    collect("channel norm", images) { table.channel_norm(image, mean, inverse, gain, bias, 3, 2, 259, &$0) }
    table.channel_norm_sums(image, mean, inverse, upstream, 3, 2, 259, &first, &second)
    results.append(("channel sums", (first[..<2] + second[..<2]).map { Float($0) }))
    collect("channel norm backward", images) {
      table.channel_norm_backward(image, mean, inverse, gain, upstream, first, second, 3, 2, 259, 1, &$0)
    }
    collect("plane means", 6) { table.plane_means(image, 6, 259, &$0) }
    collect("plane means backward", images) { table.plane_means_backward(upstream, 6, 259, 1, &$0) }
    let windows = ck_pool_shape(
      planes: 6, height: 7, width: 37, size: 3, stride: 2, padding: 1, out_height: 4, out_width: 19)
    collect("max pool", 6 * 4 * 19) { table.max_pool(image, windows, &$0) }
    collect("max pool backward", images) { table.max_pool_backward(image, upstream, windows, 1, &$0) }
    collect("scatter", 4 * columns) { table.scatter_add_rows(x, (0..<19).map { $0 % 4 }, 19, columns, &$0) }
    return results
  }

  private func table(_ level: String) -> ck_table? { ck_table_of(level)?.pointee }

  @Test(.enabled(if: ck_table_of("x86-64-v4") != nil, "this processor has no AVX-512"))
  func `x86-64-v3 and x86-64-v4 give the same bits`() throws {
    let (left, right) = (outputs(try #require(table("x86-64-v3"))), outputs(try #require(table("x86-64-v4"))))
    for ((name, expected), (_, actual)) in zip(left, right) {
      #expect(bitDifference("\(name) of \(expected.count)", actual, expected) == nil)
    }
  }

  @Test(.enabled(if: ck_table_of("x86-64-v3") != nil, "this processor has no AVX2"))
  func `the default kernels agree closely with x86-64-v3`() throws {
    let (left, right) = (outputs(try #require(table("x86-64-v3"))), outputs(try #require(table("default"))))
    for ((name, expected), (_, actual)) in zip(left, right) {
      let problem = difference(
        "\(name) of \(expected.count)", actual, expected.map(Double.init), Tolerance(absolute: 2e-5, relative: 2e-5))
      #expect(problem == nil)
    }
  }

  @Test func `the best level that the processor has is in use`() throws {
    if getenv("ESPALIER_KERNELS") == nil {
      let best = FunctionTests.levels.last
      #expect(Kernels.level == best)
      try Kernels.check()
    }
  }

  @Test(.enabled(if: ck_table_of("x86-64-v3") != nil, "this processor has no AVX2"))
  func `a processor with AVX2 does not run the default kernels`() {
    if getenv("ESPALIER_KERNELS") == nil { #expect(Kernels.level != "default") }
  }

  @Test func `there is no table for a level of another name`() {
    #expect(ck_table_of("x86-64-v5") == nil)
  }

  @Test(arguments: FunctionTests.levels) func `the environment can ask for any level that the processor has`(
    _ level: String
  ) throws {
    var reason: UnsafePointer<CChar>?
    #expect(String(cString: ck_level_for(level, &reason)) == level)
    #expect(reason == nil)
    try Kernels.check(level)
  }

  @Test func `no wish and an empty one give the best level`() {
    var reason: UnsafePointer<CChar>?
    #expect(String(cString: ck_level_for(nil, &reason)) == FunctionTests.levels.last)
    #expect(String(cString: ck_level_for("", &reason)) == FunctionTests.levels.last)
    #expect(reason == nil)
  }

  @Test func `a level that does not exist is an error that says what to do`() throws {
    let error = try #require(throws: Kernels.LevelError.self) { try Kernels.check("avx9") }
    #expect(
      error.description
        == "ESPALIER_KERNELS=avx9 cannot be used: there is no such level; unset the variable, or name default, x86-64-v3 or "
        + "x86-64-v4, whichever every node has")
  }

  @Test(.enabled(if: ck_table_of("x86-64-v4") != nil, "this processor has no AVX-512"))
  func `the fingerprint tells the default kernels from the others, and only those`() throws {
    let (plain, v3) = (
      try #require(Kernels.fingerprint(level: "default")), try #require(Kernels.fingerprint(level: "x86-64-v3"))
    )
    #expect(Kernels.fingerprint(level: "x86-64-v4") == v3)
    #expect(plain != v3)
    #expect(Kernels.fingerprint(level: "avx9") == nil)
  }
}
