/// - Throws: `MethodError` for a count below 1.
func require(positive value: Int, _ option: String) throws {
  guard value > 0 else {
    throw MethodError(option, "\(value) is not positive", remedy: "write a whole number of at least 1")
  }
}

/// - Throws: `MethodError` for a factor that is negative or not finite.
func require(factor value: Double, _ option: String) throws {
  guard value >= 0, value.isFinite else {
    throw MethodError(option, "\(value) is no factor", remedy: "write 0 or more")
  }
}

/// - Throws: `MethodError` for anything but 0 … 1.
func require(share value: Double, _ option: String) throws {
  guard (0...1).contains(value) else { throw MethodError(option, "\(value) is no share", remedy: "write 0 … 1") }
}
