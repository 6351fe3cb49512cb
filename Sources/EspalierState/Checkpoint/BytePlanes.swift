internal import CKernels

/// The filter before compression: the bytes of 32-bit elements sorted by their significance.
///
/// Each element is first rotated left by one bit, which moves the sign below the mantissa and leaves the exponent alone
/// in the top byte. Plane p then holds byte p (least significant first) of every element. The exponent plane compresses
/// to 36–39 % of its size in trained weights; the other three hardly at all.
/// - Hershcovitch et al. 2024, ZipNN: lossless compression for AI models, arXiv:2411.05239.
enum BytePlanes {
  /// `destination` gets 4 planes of `count` bytes. The two must not overlap.
  static func split(_ source: UnsafeRawPointer, into destination: UnsafeMutableRawPointer, count: Int) {
    ck_planes_split(source, destination, count, 4, 1)
  }

  /// Undoes `split`.
  static func join(_ source: UnsafeRawPointer, into destination: UnsafeMutableRawPointer, count: Int) {
    ck_planes_join(source, destination, count, 4, 1)
  }
}
