public import EspalierNN
import EspalierState

/// Which parameters are orthogonalised: by what the model declares of them, never by the number of their dimensions alone.
extension Muon {
  /// The shortest side of a block that is worth it.
  static let leastSide = 8

  /// Whether a parameter is updated as matrices.
  func isMatrix(_ spec: ParameterSpec) -> Bool {
    if matches(options.exclude, spec.name) { return false }
    if Self.refusal(spec) != nil { return false }
    return matches(options.include, spec.name) || isHidden(spec)
  }

  /// Why a parameter cannot be updated as matrices, whatever a recipe says; nil if it can.
  static func refusal(_ spec: ParameterSpec) -> String? {
    if spec.tags.contains(.embedding) {
      return "is an embedding: its rows are looked up one by one, and orthogonalising the table trains badly"
    }
    if spec.tags.contains(.head) {
      return "is a head: its rows are classes, and orthogonalising them trains badly"
    }
    if spec.axes.count < 2 { return "has one axis and is no matrix" }
    return nil
  }

  /// A projection of hidden features to hidden features.
  private func isHidden(_ spec: ParameterSpec) -> Bool {
    if !spec.tags.isDisjoint(with: [.noDecay, .rawInput]) { return false }
    let roles = spec.axes.suffix(2).map(\.role)
    guard roles == [.output, .input] else { return false }
    return blocks(of: spec).allSatisfy { min($0.rows, $0.columns) >= Self.leastSide }
  }

  private func matches(_ patterns: [String], _ name: String) -> Bool {
    patterns.contains { NamePattern($0).matches(name) }
  }

  /// Patterns must name something, and nothing that is refused.
  /// - Throws: `OptimizerError`
  public func check(_ blueprint: Blueprint) throws {
    for (option, patterns) in [("include", options.include), ("exclude", options.exclude)] {
      for pattern in patterns {
        let found = blueprint.parameters.filter { NamePattern(pattern).matches($0.name) }
        guard !found.isEmpty else {
          throw OptimizerError(option, "has '\(pattern)', which is the name of no parameter; espalier plan names them")
        }
        guard option == "include" else { continue }
        for spec in found where spec.isTrainable && !matches(options.exclude, spec.name) {
          if let reason = Self.refusal(spec) {
            throw OptimizerError(option, "has '\(pattern)', but '\(spec.name)' \(reason); leave it to AdamW")
          }
        }
      }
    }
  }
}
