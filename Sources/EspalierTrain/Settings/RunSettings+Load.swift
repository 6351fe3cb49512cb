extension RunSettings {
  /// The settings of a recipe, with everything that it leaves open decided.
  /// - Parameter choices: the known models, optimizers and data sets, by the keys `model`, `optimizer` and `data`.
  /// - Parameter note: is told what a person should know of what is written there.
  /// - Throws: `SettingsError`.
  public init(
    recipe: SettingsFile, overrides: [String] = [], choices: ChoiceTables, note: (String) -> Void = { _ in }
  ) throws {
    self = try recipe.load(RunSettings.self, overrides: overrides, choices: choices, note: note)
    batch.lanes = batch.resolvedLanes
  }

  /// The same settings as one line of JSON, with sorted keys: equal settings give equal text.
  public func canonicalJSON() throws -> String { try SettingValue(encoding: self).canonicalJSON }

  /// Reads what `canonicalJSON` wrote, also when it was written before some of the options existed: those have their defaults.
  /// - Throws: `SettingsError` for options that this build does not know.
  public init(canonicalJSON: String, name: String, choices: ChoiceTables) throws {
    // JSON is YAML in flow style.
    try self.init(recipe: SettingsFile(text: canonicalJSON, name: name), choices: choices)
  }
}
