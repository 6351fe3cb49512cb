import EspalierNN

/// Which parameters a recipe freezes.
extension RunSettings {
  /// Whether one of the `freeze` patterns matches a parameter.
  package func isFrozen(_ name: String) -> Bool { freeze.contains { NamePattern($0).matches(name) } }

  /// Refuses patterns that match no parameter, and a model of which nothing is left to train.
  /// - Throws: `SettingsError`.
  func checkFreeze(of blueprint: Blueprint) throws {
    let names = blueprint.parameters.map(\.name)
    for (index, pattern) in freeze.enumerated() where !names.contains(where: NamePattern(pattern).matches) {
      let near = NearestName.find(pattern.filter { $0 != "*" && $0 != "?" }, in: names + blueprint.segments.map(\.name))
      throw SettingsError(
        .badValue, subject: "freeze.\(index)", reason: "freeze pattern '\(pattern)' matches no parameter",
        remedy: near.map { "did you mean '\($0)'?" } ?? "parameters are called \(Self.examples(names))")
    }
    guard blueprint.trainedCount == 0, let pattern = freeze.first else { return }
    throw SettingsError(
      .badValue, subject: "freeze",
      reason: "nothing is left to train: freeze matches every parameter (as '\(pattern)')",
      remedy: "freeze fewer of \(Self.examples(names))")
  }

  /// A few names of a long list.
  private static func examples(_ names: [String]) -> String {
    let shown = names.count > 6 ? names.prefix(3) + ["…"] + names.suffix(2) : names[...]
    return shown.joined(separator: ", ")
  }
}
