import CKernels
import COpenBLAS

/// Products of symmetric matrices that are symmetric themselves: the upper half is computed and mirrored.
enum Symmetric {
  /// Sides up to which all of a product is computed in one call, and half of it thrown away.
  private static let leaf = 64

  /// scale · a² + beta · result.
  static func square(
    _ a: UnsafeMutablePointer<Float>, _ size: Int, scale: Double = 1, beta: Double = 0,
    into result: UnsafeMutablePointer<Float>
  ) {
    ProgressCounter.tick()
    cblas_ssyrk(
      CblasRowMajor, CblasUpper, CblasNoTrans, Int32(size), Int32(size), Float(scale), a, Int32(size), Float(beta),
      result, Int32(size))
    ck_mirror_upper(result, size)
  }

  /// a · b + beta · result. The square above the diagonal is one product, and the two triangles beside it are halved in turn: at 384
  /// rows 95 GFLOP/s of what is needed, where panels of 128 rows reach 77 and sgemm 106 (one core of Zen 4).
  static func product(
    _ a: UnsafeMutablePointer<Float>, _ b: UnsafeMutablePointer<Float>, _ size: Int, beta: Float = 0,
    into result: UnsafeMutablePointer<Float>
  ) {
    triangle(0, size, a, b, size, beta, into: result)
    ck_mirror_upper(result, size)
  }

  /// The upper half of `count` rows and columns from `first` on.
  private static func triangle(
    _ first: Int, _ count: Int, _ a: UnsafeMutablePointer<Float>, _ b: UnsafeMutablePointer<Float>, _ size: Int,
    _ beta: Float, into result: UnsafeMutablePointer<Float>
  ) {
    func block(_ rows: Int, _ left: Int, _ columns: Int) {
      multiply(
        rows, columns, size, MatrixPlace(a + first * size, stride: size), MatrixPlace(b + left, stride: size),
        beta: beta,
        into: MatrixPlace(result + first * size + left, stride: size))
    }
    guard let top = half(count) else { return block(count, first, count) }
    block(top, first + top, count - top)
    triangle(first, top, a, b, size, beta, into: result)
    triangle(first + top, count - top, a, b, size, beta, into: result)
  }

  /// Where a triangle is halved: on a multiple of 16; nil for one that is computed whole.
  private static func half(_ count: Int) -> Int? {
    count > leaf ? (count / 2 + 15) / 16 * 16 : nil
  }

  /// What `product` does.
  static func operations(_ size: Int) -> Double {
    func elements(_ count: Int) -> Int {
      guard let top = half(count) else { return count * count }
      return top * (count - top) + elements(top) + elements(count - top)
    }
    return 2 * Double(size) * Double(elements(size))
  }
}
