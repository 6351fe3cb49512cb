internal import CKernels

/// The filter before compression: the bytes of elements sorted by their significance.
///
/// Each element is first rotated left by one bit, which moves the sign below the mantissa and leaves the exponent alone
/// in the top byte. Plane p then holds byte p (least significant first) of every element. The exponent plane compresses
/// to a third of its size in trained weights; the others hardly at all.
/// - Hershcovitch et al. 2024, ZipNN: lossless compression for AI models, arXiv:2411.05239.
enum BytePlanes {
  /// `destination` gets `size` planes of `count` bytes. The two must not overlap.
  static func split(_ source: UnsafeRawPointer, into destination: UnsafeMutableRawPointer, count: Int, size: Int) {
    ck_planes_split(source, destination, count, Int32(size), 1)
  }

  /// Undoes `split`.
  static func join(_ source: UnsafeRawPointer, into destination: UnsafeMutableRawPointer, count: Int, size: Int) {
    ck_planes_join(source, destination, count, Int32(size), 1)
  }
}
