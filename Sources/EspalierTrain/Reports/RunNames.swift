/// What runs are called beside each other.
enum RunNames {
  /// What tells paths apart: the last parts, as many as it takes.
  static func short(_ paths: [String]) -> [String] {
    let parts = paths.map { $0.split(separator: "/").map(String.init) }
    let most = parts.map(\.count).max() ?? 1
    for count in 1...max(most, 1) {
      let names = parts.map { $0.suffix(count).joined(separator: "/") }
      if Set(names).count == names.count { return names }
    }
    return paths
  }
}
