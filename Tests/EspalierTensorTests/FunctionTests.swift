import CKernels
import EspalierTesting
import Testing

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// The vector functions against the library's in double.
@Suite struct FunctionTests {
  private typealias Kernel = @convention(c) (UnsafePointer<Float>?, UnsafeMutablePointer<Float>?, Int) -> Void

  static let levels: [String] = ["default", "x86-64-v3", "x86-64-v4"].filter { (level: String) in
    ck_table_of(level) != nil
  }

  /// Finite numbers of every size and sign, dense where the functions bend.
  private static let arguments: [Float] = {
    var arguments: [Float] = [
      0, -0.0, 0.625, -0.625, 0.927734375, 87, -87, 88.72283, -103.97, .leastNonzeroMagnitude, -.leastNonzeroMagnitude,
      3e38, -3e38,
    ]
    for step in 0..<60_000 { arguments.append(Float(step) * 0.004 - 120) }
    for exponent in -148..<127 {
      for mantissa: Float in [1, 1.37, 1.99] {
        let size = mantissa * Float(sign: .plus, exponent: exponent, significand: 1)
        arguments += [size, -size]
      }
    }
    return arguments
  }()

  /// The distance from the truth in units of the last place of the truth as a float.
  private func units(_ actual: Float, _ truth: Double) -> Double {
    let rounded = Float(truth)
    if actual == rounded { return 0 }
    if !rounded.isFinite || !actual.isFinite { return .infinity }
    return abs(Double(actual) - truth) / Double(rounded.ulp)
  }

  private func check(_ kernel: Kernel?, _ truth: (Double) -> Double, within limit: Double) throws {
    let kernel = try #require(kernel)
    var results = [Float](repeating: 0, count: Self.arguments.count)
    kernel(Self.arguments, &results, results.count)
    var worst = (units: 0.0, argument: Float(0), result: Float(0))
    for (argument, result) in zip(Self.arguments, results) {
      let distance = units(result, truth(Double(argument)))
      if distance > worst.units { worst = (distance, argument, result) }
    }
    #expect(worst.units <= limit, "\(worst)")
  }

  @Test(arguments: levels) func `exp is right to 2 units, with gradual underflow and overflow`(_ level: String) throws {
    try check(ck_table_of(level).pointee.exp, exp, within: 2)
  }

  @Test(arguments: levels) func `tanh is right to 3 units`(_ level: String) throws {
    try check(ck_table_of(level).pointee.tanh, tanh, within: 3)
  }

  @Test(arguments: levels) func `erf is right to 3 units`(_ level: String) throws {
    try check(ck_table_of(level).pointee.erf, erf, within: 3)
  }

  @Test(arguments: levels) func `NaN and infinities go through as in the library`(_ level: String) {
    let table = ck_table_of(level).pointee
    let arguments: [Float] = [.nan, .infinity, -.infinity]
    for (kernel, truth) in [
      (table.exp, [.nan, .infinity, 0]), (table.tanh, [.nan, 1, -1]), (table.erf, [.nan, 1, -1]),
      (table.gelu_tanh, [.nan, .infinity, .nan]), (table.gelu_erf, [.nan, .infinity, .nan]),
      (table.relu, [.nan, .infinity, 0]),
      (table.silu, [.nan, .infinity, .nan]),
    ] as [(Kernel?, [Double])] {
      var results = [Float](repeating: 7, count: 3)
      kernel?(arguments, &results, 3)
      #expect(difference("result", results, truth, Tolerance(absolute: 0, relative: 0)) == nil)
    }
  }
}
