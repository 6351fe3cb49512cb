/// How much of a model is frozen, in a few words.
enum FrozenText {
  /// nil where nothing is.
  static func of(parameters: Int, trained: Int) -> String? {
    guard trained < parameters else { return nil }
    let share = Amount.fixed(100 * Double(parameters - trained) / Double(parameters), 1)
    return "\(Amount.grouped(parameters - trained)) parameters, \(share) %; \(Amount.grouped(trained)) are trained"
  }
}
