/// How LAPACK's routines are called: twice, first for the memory that they want.
enum LAPACK {
  typealias Call = (
    _ work: UnsafeMutablePointer<Double>, _ size: UnsafeMutablePointer<Int32>,
    _ integers: UnsafeMutablePointer<Int32>, _ integerSize: UnsafeMutablePointer<Int32>,
    _ info: UnsafeMutablePointer<Int32>
  ) -> Void

  /// Asks a routine for the memory that it wants, and calls it with that.
  /// - Throws: `DecompositionFailure`
  static func call(_ name: String, _ count: Int, _ routine: Call) throws {
    var (size, integerSize, info) = (Int32(-1), Int32(-1), Int32(0))
    var (work, integers) = ([0.0], [Int32(0)])
    routine(&work, &size, &integers, &integerSize, &info)
    try check(info, name, count)
    (size, integerSize) = (max(Int32(work[0]), 1), max(integers[0], 1))
    work = Array(repeating: 0, count: Int(size))
    integers = Array(repeating: 0, count: Int(integerSize))
    ProgressCounter.tick()
    routine(&work, &size, &integers, &integerSize, &info)
    try check(info, name, count)
  }

  static func check(_ info: Int32, _ name: String, _ count: Int) throws {
    guard info != 0 else { return }
    throw DecompositionFailure(
      description: "a matrix of \(count) · \(count) was not decomposed (LAPACK's \(name) says \(info))")
  }
}

/// LAPACK did not come to an end, or was given numbers that are not finite.
public struct DecompositionFailure: Error, CustomStringConvertible {
  /// One sentence.
  public let description: String
}
