package import EspalierMethods
package import EspalierNN
import EspalierState

extension Catalogue {
  /// The tables that a model of the catalogue has, as its options decide.
  /// - Throws: `SettingsError` for an unknown model or options.
  package func nameTables(_ choice: Choice) throws -> [NameTable] {
    guard let type = models.first(where: { $0.name == choice.name }) else { return [] }
    func tables<M: NamedElsewhere>(_ type: M.Type) throws -> [NameTable] {
      M.nameTables(try choice.settings(as: M.Configuration.self))
    }
    guard let type = type as? any NamedElsewhere.Type else { return [] }
    return try tables(type)
  }

  /// The table of a name; nil for the one that changes nothing.
  /// - Throws: `InterchangeError` where the model has none of this name or its options do not allow it.
  package func nameTable(_ name: String, _ choice: Choice) throws -> NameTable? {
    guard name != NameTable.identityName else { return nil }
    let tables = try nameTables(choice)
    let remedy = "use the names of Espalier: --names \(NameTable.identityName)"
    guard let table = tables.first(where: { $0.name == name }) else {
      let known = [NameTable.identityName] + tables.map(\.name)
      throw InterchangeError(
        .tableDoesNotApply, file: "--names \(name)",
        reason: "the model '\(choice.name)' has no table of this name, only \(known.joined(separator: ", "))",
        remedy: remedy)
    }
    if let refusal = table.refusal {
      throw InterchangeError(
        .tableDoesNotApply, file: "--names \(name)",
        reason: "the table '\(name)' does not describe this \(choice.name): \(refusal)", remedy: remedy)
    }
    return table
  }
}
