import CKernels
import EspalierTensor
import EspalierTesting
import Testing

/// Products of matrices in panels, on every level of processor that this one has, against sums in double.
@Suite struct PanelProductsTests {
  /// Below and above a tile, a panel, a block of rows and a part of the inner side, whole numbers of them and not.
  static let shapes = [[1, 3], [5, 1], [16, 16], [33, 40], [48, 20], [70, 130], [97, 400], [210, 33]]

  @Test(arguments: FunctionTests.levels, shapes)
  func `a matrix comes back from its panels, whose padding is zero`(_ level: String, _ shape: [Int]) {
    let (size, inner) = (shape[0], shape[1]), table = ck_table_of(level).pointee
    let x = values(1, size * inner)
    for (row, column) in [(inner, 1), (1, size)] {
      let panels = packed(level, x, size, inner, row: row, column: column, factor: 0.5)
      for (index, value) in panels.enumerated() {
        let panel = index / ck_panel(inner), p = index % ck_panel(inner) / 16, i = panel * 16 + index % 16
        #expect(value == (i < size && p < inner ? 0.5 * x[i * row + p * column] : 0))
      }
      var back = [Float](repeating: .nan, count: size * inner)
      table.from_panels(size, inner, panels, &back, row, column)
      #expect(back == x.map { 0.5 * $0 })
    }
  }

  @Test(arguments: FunctionTests.levels, shapes)
  func `a symmetric product goes to every matrix that it is part of, both halves of it`(
    _ level: String, _ shape: [Int]
  ) {
    let (size, inner) = (shape[0], shape[1]), table = ck_table_of(level).pointee
    // A is what B is, times two, so that the product is symmetric.
    let b = values(1, size * inner)
    let right = packed(level, b, size, inner), left = right.map { 2 * $0 }
    let terms = (2...4).map { symmetric(UInt64($0), size) }
    let products = (0..<size * size).map { index in
      let (i, j) = (index / size, index % size)
      return (0..<inner).reduce(0.0) { $0 + 2 * Double(b[i * inner + $1]) * Double(b[j * inner + $1]) }
    }
    for termCount in 0...3 {
      let packedTerms = terms.map { packed(level, $0, size, size) }
      let count = packedTerms[0].count
      var first = [Float](repeating: .nan, count: count), half = first
      var second = packedTerms[0]  // which is a term as well
      first.withUnsafeMutableBufferPointer { first in
        second.withUnsafeMutableBufferPointer { second in
          half.withUnsafeMutableBufferPointer { half in
            packedTerms[1].withUnsafeBufferPointer { one in
              packedTerms[2].withUnsafeBufferPointer { two in
                var result = ck_symmetric_result(
                  terms: (UnsafePointer(second.baseAddress), one.baseAddress, two.baseAddress),
                  outputs: (
                    ck_symmetric_output(
                      out: first.baseAddress, lead: 0.5, factors: (1, 2, -3), diagonal: 7, is_half: 0),
                    ck_symmetric_output(
                      out: second.baseAddress, lead: -1, factors: (0.5, 0, 1), diagonal: 0, is_half: 0),
                    ck_symmetric_output(out: half.baseAddress, lead: 0, factors: (0, 1, 0), diagonal: 1, is_half: 1)
                  ), term_count: Int32(termCount), count: 3)
                table.symmetric_product(size, inner, left, right, &result)
              }
            }
          }
        }
      }
      let limit = Tolerance(absolute: 1e-5 * Double(inner).squareRoot() * 4, relative: 1e-5)
      func added(_ term: Int, _ index: Int) -> Double { term < termCount ? Double(terms[term][index]) : 0 }
      let found = unpacked(level, first, size)
      #expect(
        difference(
          "first", found,
          (0..<size * size).map { index in
            0.5 * products[index] + added(0, index) + 2 * added(1, index) - 3 * added(2, index)
              + (index / size == index % size ? 7 : 0)
          }, limit) == nil)
      #expect((0..<size * size).allSatisfy { found[$0] == found[$0 % size * size + $0 / size] }, "not symmetric")
      #expect(
        difference(
          "second", unpacked(level, second, size),
          (0..<size * size).map { -products[$0] + 0.5 * added(0, $0) + added(2, $0) }, limit) == nil)
      // Half of a matrix: on and above the diagonal, and nowhere below it but in the squares across it.
      let upper = unpacked(level, half, size)
      for index in 0..<size * size {
        let (i, j) = (index / size, index % size)
        if i <= j { #expect(upper[index] == Float(added(1, index) + (i == j ? 1 : 0))) }
        if i / 16 > j / 16 { #expect(upper[index].isNaN) }
      }
    }
  }

  @Test(arguments: FunctionTests.levels, shapes)
  func `a symmetric matrix times another`(_ level: String, _ shape: [Int]) {
    let (size, inner) = (shape[0], shape[1]), table = ck_table_of(level).pointee
    let (p, x) = (symmetric(1, size), values(2, size * inner))
    let packedX = packed(level, x, size, inner)
    var product = [Float](repeating: .nan, count: packedX.count), found = [Float](repeating: .nan, count: x.count)
    table.panel_product(size, inner, packed(level, p, size, size), packedX, &product)
    table.from_panels(size, inner, product, &found, inner, 1)
    let expected = (0..<size * inner).map { index in
      (0..<size).reduce(0.0) {
        $0 + Double(p[index / inner * size + $1]) * Double(x[$1 * inner + index % inner])
      }
    }
    let limit = Tolerance(absolute: 1e-6 * Double(size).squareRoot() * 4, relative: 1e-5)
    #expect(difference("product", found, expected, limit) == nil)
    // What is multiplied next is padded with zeros again.
    let padding = product.indices.filter { index in
      index / ck_panel(inner) * 16 + index % 16 >= size || index % ck_panel(inner) / 16 >= inner
    }
    #expect(padding.allSatisfy { product[$0] == 0 })
  }

  @Test(arguments: shapes) func `levels with fused multiply-add give the same bits`(_ shape: [Int]) {
    let (size, inner) = (shape[0], shape[1])
    let (x, term) = (values(5, size * inner), symmetric(6, size))
    let found = FunctionTests.levels.filter { $0 != "default" }.map { level in
      let table = ck_table_of(level).pointee
      let panels = packed(level, x, size, inner), packedTerm = packed(level, term, size, size)
      var out = [Float](repeating: 0, count: packedTerm.count), whole = [Float](repeating: 0, count: panels.count)
      out.withUnsafeMutableBufferPointer { out in
        packedTerm.withUnsafeBufferPointer { term in
          var result = ck_symmetric_result(
            terms: (term.baseAddress, nil, nil),
            outputs: (
              ck_symmetric_output(out: out.baseAddress, lead: 0.3, factors: (1.7, 0, 0), diagonal: 0.1, is_half: 0),
              ck_symmetric_output(), ck_symmetric_output()
            ), term_count: 1, count: 1)
          table.symmetric_product(size, inner, panels, panels, &result)
        }
      }
      table.panel_product(size, inner, out, panels, &whole)
      return out + whole
    }
    #expect(found.allSatisfy { $0 == found.first && $0.contains { $0 != 0 } })
  }

  /// x [size, inner], element (i, p) at i · row + p · column, in panels.
  private func packed(
    _ level: String, _ x: [Float], _ size: Int, _ inner: Int, row: Int? = nil, column: Int = 1, factor: Float = 1
  ) -> [Float] {
    var panels = [Float](repeating: .nan, count: (size + 15) / 16 * ck_panel(inner))
    ck_table_of(level).pointee.to_panels(size, inner, x, row ?? inner, column, factor, &panels)
    return panels
  }

  private func unpacked(_ level: String, _ panels: [Float], _ size: Int) -> [Float] {
    var x = [Float](repeating: .nan, count: size * size)
    // The columns of a symmetric matrix are in panels: its rows are side by side.
    ck_table_of(level).pointee.from_panels(size, size, panels, &x, 1, size)
    return x
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
