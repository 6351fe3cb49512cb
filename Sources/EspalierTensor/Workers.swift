import COpenBLAS

/// The threads that matrix products of this process use. They belong to the result: another number gives other bits, so the
/// number is a setting, and in-process ranks always use 1.
public enum Workers {
  /// Sets the number of threads for every later product of the process.
  public static func use(_ threadCount: Int) { openblas_set_num_threads(Int32(threadCount)) }

  /// The number in use.
  public static var threadCount: Int { Int(openblas_get_num_threads()) }

  /// The processor family whose kernels OpenBLAS chose, "Zen" or "SkylakeX"; `OPENBLAS_CORETYPE` overrides it.
  public static var blasCore: String { openblas_get_corename().map { String(cString: $0) } ?? "unknown" }
}
