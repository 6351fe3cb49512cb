import CKernels
import COpenBLAS

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// The arithmetic of this process: which kernels run, and on how many threads the matrix products.
public enum Kernels {
  /// Why the kernels that the environment asks for cannot run.
  public struct LevelError: Error, CustomStringConvertible {
    /// What kind of error this is.
    public let kind = "kernels"
    /// The level that was asked for.
    public let subject: String
    /// Why not.
    public let reason: String
    /// What to do instead.
    public let remedy: String

    /// One sentence.
    public var description: String {
      "ESPALIER_KERNELS=\(subject) cannot be used: \(reason); \(remedy)"
    }
  }

  /// The level in use: `default`, `x86-64-v3` or `x86-64-v4`.
  public static var level: String { String(cString: ck_level()) }

  /// The level asked for by the environment variable `ESPALIER_KERNELS` is in use, or none was asked for.
  /// - Throws: `LevelError` if the processor lacks that level or there is none of that name; the default kernels are in place then.
  public static func check() throws {
    if let wanted = getenv("ESPALIER_KERNELS") { try check(String(cString: wanted)) }
  }

  /// What `check()` does, for any value of the variable.
  package static func check(_ wanted: String) throws {
    var reason: UnsafePointer<CChar>?
    _ = ck_level_for(wanted, &reason)
    guard let reason else { return }
    throw LevelError(
      subject: wanted, reason: String(cString: reason),
      remedy: "unset the variable, or name default, x86-64-v3 or x86-64-v4, whichever every node has")
  }

  /// The number of threads of a matrix product. Part of the result: OpenBLAS gives other bits with another number.
  /// - Precondition: at least 1.
  public static var threads: Int {
    get { Int(openblas_get_num_threads()) }
    set {
      require(newValue >= 1, "\(newValue) threads compute nothing")
      openblas_set_num_threads(Int32(newValue))
    }
  }
}
