#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// A polynomial of one variable, for coefficients that are worked out once.
struct Polynomial: Sendable {
  /// By rising powers.
  let coefficients: [Double]
  init(_ coefficients: [Double]) { self.coefficients = coefficients }

  /// The coefficient of a power, 0 beyond the degree.
  subscript(power: Int) -> Double { power < coefficients.count ? coefficients[power] : 0 }

  /// What it is up to the third power.
  var cubic: SIMD4<Double> { SIMD4(self[0], self[1], self[2], self[3]) }

  /// The value, by Horner's rule.
  func callAsFunction(_ x: Double) -> Double { coefficients.reversed().reduce(0) { $0 * x + $1 } }

  /// This polynomial of another one.
  func of(_ inner: Polynomial) -> Polynomial {
    coefficients.reversed().reduce(Polynomial([])) { $0 * inner + Polynomial([$1]) }
  }

  /// The largest absolute value on −1 … 1, at points that lie as densely as a polynomial of this degree wants them.
  var largest: Double {
    let points = 16 * coefficients.count
    return (0...points).map { abs(self(cos(.pi * Double($0) / Double(points)))) }.max() ?? 0
  }

  static func + (a: Polynomial, b: Polynomial) -> Polynomial {
    Polynomial((0..<max(a.coefficients.count, b.coefficients.count)).map { a[$0] + b[$0] })
  }

  static func - (a: Polynomial, b: Polynomial) -> Polynomial { a + -1 * b }

  static func * (factor: Double, a: Polynomial) -> Polynomial { Polynomial(a.coefficients.map { factor * $0 }) }

  static func * (a: Polynomial, b: Polynomial) -> Polynomial {
    var product = [Double](repeating: 0, count: max(0, a.coefficients.count + b.coefficients.count - 1))
    for (i, x) in a.coefficients.enumerated() {
      for (j, y) in b.coefficients.enumerated() { product[i + j] += x * y }
    }
    return Polynomial(product)
  }
}
