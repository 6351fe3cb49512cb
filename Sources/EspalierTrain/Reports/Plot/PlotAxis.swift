/// What a loss is drawn against.
package enum PlotAxis: String, CaseIterable, Sendable {
  case operations, tokens, seconds

  var isLogarithmic: Bool { self == .operations }

  var heading: String {
    switch self {
    case .operations: "Loss against work"
    case .tokens: "Loss against tokens"
    case .seconds: "Loss against wall time"
    }
  }

  func value(_ point: RunCurves.Point) -> Double {
    switch self {
    case .operations: point.operations
    case .tokens: point.tokens
    case .seconds: point.seconds
    }
  }

  /// The unit in which `most` has one to four digits, with its name.
  func unit(upTo most: Double) -> (size: Double, title: String) {
    switch self {
    case .operations:
      let (size, prefix) = Self.prefix(of: most, ["", "k", "M", "G", "T", "P", "E"])
      return (size, "floating-point operations of products, \(prefix)FLOP, logarithmic")
    case .tokens:
      let (size, name) = Self.prefix(of: most, ["", "thousand", "million", "billion", "trillion"])
      return (size, "targets learned from" + (name.isEmpty ? "" : ", \(name)"))
    case .seconds:
      let (size, name) =
        most < 180
        ? (1.0, "seconds")
        : most < 3 * 3600
          ? (60.0, "minutes")
          : most < 3 * 86_400
            ? (3600.0, "hours") : (86_400.0, "days")
      return (size, "wall time of training, \(name)")
    }
  }

  private static func prefix(of most: Double, _ names: [String]) -> (Double, String) {
    var size = 1.0, index = 0
    while most / size >= 1000, index < names.count - 1 { (size, index) = (size * 1000, index + 1) }
    return (size, names[index])
  }
}
