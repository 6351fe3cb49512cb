import CKernels
import EspalierTensor
import EspalierTesting
import Testing

/// Symmetric products, on every level of processor that this one has, against sums in double.
@Suite struct SymmetricProductTests {
  /// Below and above a tile, a block of rows and a block of the inner side.
  static let shapes = [[1, 3], [5, 1], [16, 16], [33, 40], [70, 130], [97, 400], [130, 770], [96, 512]]

  @Test(arguments: FunctionTests.levels, shapes)
  func `a product goes to every matrix that it is part of, both halves of it`(_ level: String, _ shape: [Int]) {
    let (size, inner) = (shape[0], shape[1])
    // A is what B is, times two, so that the product is symmetric; laid out by rows and by columns.
    let b = values(1, size * inner)
    let terms = (2...4).map { seed in symmetric(UInt64(seed), size) }
    for (isTall, termCount) in [(false, 0), (false, 3), (true, 1), (true, 3)] {
      let a = b.map { 2 * $0 }
      let (row, column) = isTall ? (1, size) : (inner, 1)
      func element(_ i: Int, _ p: Int) -> Double { Double(b[i * row + p * column]) }
      let work = ck_symmetric_depth * (size + ck_symmetric_tile + ck_symmetric_rows)
      var (first, second) = ([Float](repeating: .nan, count: size * size), terms[0])
      var panels = [Float](repeating: .nan, count: work)
      first.withUnsafeMutableBufferPointer { first in
        second.withUnsafeMutableBufferPointer { second in
          terms[1].withUnsafeBufferPointer { one in
            terms[2].withUnsafeBufferPointer { two in
              // The second output is a term as well.
              var result = ck_symmetric_result(
                terms: (UnsafePointer(second.baseAddress), one.baseAddress, two.baseAddress),
                outputs: (
                  ck_symmetric_output(out: first.baseAddress, lead: 0.5, factors: (1, 2, -3), diagonal: 7),
                  ck_symmetric_output(out: second.baseAddress, lead: -1, factors: (0.5, 0, 1), diagonal: 0),
                  ck_symmetric_output()
                ), term_count: Int32(termCount), count: 2)
              ck_table_of(level).pointee.symmetric_product(
                size, inner, a, row, column, b, row, column, &result, &panels)
            }
          }
        }
      }
      var (expectedFirst, expectedSecond): ([Double], [Double]) = ([], [])
      for i in 0..<size {
        for j in 0..<size {
          let product = (0..<inner).reduce(0.0) { $0 + 2 * element(i, $1) * element(j, $1) }
          let added = (0..<3).map { $0 < termCount ? Double(terms[$0][i * size + j]) : 0 }
          expectedFirst.append(0.5 * product + added[0] + 2 * added[1] - 3 * added[2] + (i == j ? 7 : 0))
          expectedSecond.append(-product + 0.5 * added[0] + added[2])
        }
      }
      let limit = Tolerance(absolute: 1e-5 * Double(inner).squareRoot() * 4, relative: 1e-5)
      #expect(difference("first \(isTall) \(termCount)", first, expectedFirst, limit) == nil)
      #expect(difference("second \(isTall) \(termCount)", second, expectedSecond, limit) == nil)
      #expect((0..<size * size).allSatisfy { first[$0] == first[$0 % size * size + $0 / size] }, "not symmetric")
    }
  }

  @Test(arguments: shapes) func `levels with fused multiply-add give the same bits`(_ shape: [Int]) {
    let (size, inner) = (shape[0], shape[1])
    let (x, term) = (values(5, size * inner), symmetric(6, size))
    let found = FunctionTests.levels.filter { $0 != "default" }.map { level in
      var (out, panels) = (
        [Float](repeating: 0, count: size * size),
        [Float](repeating: 0, count: ck_symmetric_depth * (size + ck_symmetric_tile + ck_symmetric_rows))
      )
      out.withUnsafeMutableBufferPointer { out in
        term.withUnsafeBufferPointer { term in
          var result = ck_symmetric_result(
            terms: (term.baseAddress, nil, nil),
            outputs: (
              ck_symmetric_output(out: out.baseAddress, lead: 0.3, factors: (1.7, 0, 0), diagonal: 0.1),
              ck_symmetric_output(), ck_symmetric_output()
            ), term_count: 1, count: 1)
          ck_table_of(level).pointee.symmetric_product(size, inner, x, inner, 1, x, inner, 1, &result, &panels)
        }
      }
      return out
    }
    #expect(found.allSatisfy { $0 == found.first && $0.contains { $0 != 0 } })
  }

  private func symmetric(_ seed: UInt64, _ size: Int) -> [Float] {
    let x = values(seed, size * size)
    return (0..<size * size).map { x[min($0, $0 % size * size + $0 / size)] }
  }

  private func values(_ seed: UInt64, _ count: Int) -> [Float] {
    let key = RandomKey(seed: seed)
    return (0..<count).map { Float(key.uniform(at: UInt64($0)) - 0.5) }
  }
}
