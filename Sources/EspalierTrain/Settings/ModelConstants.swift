package import EspalierNN

/// Numbers that a model computes with and no gradient moves, by their names in the blueprint: the ε of a norm, the factor on the
/// logits. Growth changes them; what is not named has the model's own value.
public struct ModelConstants: Codable, Sendable, Equatable {
  public var values: [String: Double]

  public init(_ values: [String: Double] = [:]) { self.values = values }

  public init(from decoder: any Decoder) throws {
    values = try decoder.singleValueContainer().decode([String: Double].self)
  }

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(values)
  }

  /// What a blueprint has otherwise than its model would have by itself.
  package init(of grown: Blueprint, beside plain: Blueprint) {
    let standard = Dictionary(uniqueKeysWithValues: plain.constants.map { ($0.name, $0.value) })
    values = Dictionary(
      uniqueKeysWithValues: grown.constants.filter { standard[$0.name] != $0.value }.map { ($0.name, $0.value) })
  }

  /// - Throws: `SettingsError` for a name that the model does not have.
  func check(of blueprint: Blueprint) throws {
    let known = blueprint.constants.map(\.name)
    for name in values.keys.sorted() where !known.contains(name) {
      throw SettingsError(
        .badValue, subject: "constants", reason: "the model has no constant '\(name)'",
        remedy: NearestName.hint(name, in: known))
    }
  }
}
