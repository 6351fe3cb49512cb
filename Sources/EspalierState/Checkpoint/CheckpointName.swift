/// The names of folders beside each other in RUN/checkpoints.
enum CheckpointName {
  static let temporaryPrefix = ".tmp-"
  static let trashPrefix = ".trash-"
  private static let prefix = "step-"
  private static let digits = 10

  /// "step-0000000020"; more than ten digits where they are needed.
  static func of(step: Int) -> String {
    let number = String(step)
    return prefix + String(repeating: "0", count: max(0, digits - number.count)) + number
  }

  /// The step of a final name; nil for any other.
  static func step(of name: String) -> Int? {
    guard name.hasPrefix(prefix), let step = Int(name.dropFirst(prefix.count)), step >= 0, of(step: step) == name else {
      return nil
    }
    return step
  }

  static func temporary(_ saveID: SaveID) -> String { "\(temporaryPrefix)\(saveID)" }

  /// Never the same twice, so that an earlier deletion that failed cannot stand in the way.
  static func trash(of name: String) -> String {
    "\(trashPrefix)\(name)-\(hexadecimal(UInt64.random(in: .min ... .max)))"
  }
}
