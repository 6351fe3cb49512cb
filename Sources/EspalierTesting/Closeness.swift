#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// How far a number may lie from the truth: |actual - expected| ≤ absolute + relative · |expected|.
package struct Tolerance: Sendable, CustomStringConvertible {
  package let absolute, relative: Double

  package init(absolute: Double, relative: Double) {
    self.absolute = absolute
    self.relative = relative
  }

  package var description: String { "\(absolute) + \(relative) relative" }

  /// NaN agrees with NaN and an infinity with the same infinity, and with nothing else.
  package func allows(_ actual: Double, _ expected: Double) -> Bool {
    if actual.isNaN || expected.isNaN { return actual.isNaN && expected.isNaN }
    if actual.isInfinite || expected.isInfinite { return actual == expected }
    return abs(actual - expected) <= absolute + relative * abs(expected)
  }
}

/// The worst place at which `actual` leaves the tolerance around `expected`, in words; nil if there is none.
package func difference(
  _ name: String, _ actual: [Double], _ expected: [Double], _ tolerance: Tolerance
) -> String? {
  if actual.count != expected.count { return "\(name) has \(actual.count) elements, not \(expected.count)" }
  var worst: (index: Int, size: Double)?
  for index in actual.indices where !tolerance.allows(actual[index], expected[index]) {
    let size = abs(actual[index] - expected[index])
    if let worst, !(size > worst.size) { continue }
    worst = (index, size)
  }
  return worst.map { "\(name) at \($0.index): \(actual[$0.index]) ≠ \(expected[$0.index]) (tolerance \(tolerance))" }
}

/// As above, for single precision.
package func difference(
  _ name: String, _ actual: [Float], _ expected: [Double], _ tolerance: Tolerance
) -> String? {
  difference(name, actual.map(Double.init), expected, tolerance)
}

/// The first place at which two arrays differ in a bit, in words; nil if there is none.
package func bitDifference(_ name: String, _ actual: [Float], _ expected: [Float]) -> String? {
  if actual.count != expected.count { return "\(name) has \(actual.count) elements, not \(expected.count)" }
  for index in actual.indices where actual[index].bitPattern != expected[index].bitPattern {
    return "\(name) at \(index): \(actual[index]) has other bits than \(expected[index])"
  }
  return nil
}
