package import EspalierTensor

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// How a weight starts. Element *i* depends on the seed, the parameter's name and *i* alone, so every rank fills its own part
/// and any number of ranks agrees.
public enum Initializer: Hashable, Codable, Sendable {
  case constant(Float)
  /// Normal with mean 0, by Box–Muller in double precision.
  case normal(standardDeviation: Float)
  /// Uniform between −bound and bound.
  case uniform(bound: Float)

  /// All elements 0.
  public static let zeros = Initializer.constant(0)
  /// All elements 1.
  public static let ones = Initializer.constant(1)

  /// The "small" initialisation √(2 / (5·inputs)) of Nguyen and Salazar 2019, arXiv:1910.05895.
  public static func small(inputs: Int) -> Initializer {
    .normal(standardDeviation: Float((2 / (5 * Double(max(inputs, 1)))).squareRoot()))
  }

  /// The uniform initialisation ±√(6 / (inputs + outputs)) of Glorot and Bengio 2010, AISTATS.
  public static func xavierUniform(inputs: Int, outputs: Int) -> Initializer {
    .uniform(bound: Float((6 / Double(max(inputs + outputs, 1))).squareRoot()))
  }

  /// Uniform in ±1/√inputs.
  public static func uniform(inputs: Int) -> Initializer {
    .uniform(bound: Float(1 / Double(max(inputs, 1)).squareRoot()))
  }

  /// This distribution with its spread multiplied by `factor`.
  public func scaled(by factor: Float) -> Initializer {
    switch self {
    case .constant(let value): .constant(value * factor)
    case .normal(let deviation): .normal(standardDeviation: deviation * factor)
    case .uniform(let bound): .uniform(bound: bound * factor)
    }
  }

  /// Writes elements `range` of the parameter whose stream is `key`.
  package func fill(_ range: Range<Int>, of key: RandomKey, into destination: UnsafeMutablePointer<Float>) {
    switch self {
    case .constant(let value):
      destination.update(repeating: value, count: range.count)
    case .uniform(let bound):
      for (offset, element) in range.enumerated() {
        destination[offset] = Float(Double(bound) * (2 * key.uniform(at: UInt64(element)) - 1))
      }
    case .normal(let deviation):
      for (offset, element) in range.enumerated() {
        destination[offset] = Float(Double(deviation) * Self.normal(key, UInt64(element)))
      }
    }
  }

  private static func normal(_ key: RandomKey, _ element: UInt64) -> Double {
    let radius = (-2 * log(1 - key.uniform(at: 2 * element))).squareRoot()
    return radius * cos(2 * Double.pi * key.uniform(at: 2 * element + 1))
  }
}
