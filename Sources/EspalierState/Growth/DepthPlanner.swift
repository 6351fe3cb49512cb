import EspalierNN

/// Which old repeat of a stack each new one comes from.
package enum DepthOrder: Hashable, Sendable {
  /// The whole stack again; a remainder repeats the bottom layers (StackBERT, G_stack) or the top ones (bert2BERT, MSG).
  case stack(topRemainder: Bool)
  /// Each layer repeated in place.
  case interleave
  /// The top layers once more.
  case gradualTop
  /// The last layer again and again.
  case copyLast

  /// The source of each of `count` layers among `old`.
  /// - Throws: `GrowthError` where the order does not reach that far.
  package func sources(_ old: Int, to count: Int) throws -> [Int] {
    guard old > 0 else {
      throw GrowthError(
        .unknownStack, "depth", "there is no layer to copy", remedy: "start from no layer with shallowStart")
    }
    switch self {
    case .stack(topRemainder: false): return (0..<count).map { $0 % old }
    case .stack(topRemainder: true):
      return (0..<count / old * old).map { $0 % old } + Array(old - count % old..<old)
    case .interleave: return (0..<count).map { $0 * old / count }
    case .copyLast: return Array(0..<old) + Array(repeating: old - 1, count: count - old)
    case .gradualTop:
      guard count <= 2 * old else {
        throw GrowthError(
          .option, "depth", "the top \(count - old) of \(old) layers are not there",
          remedy: "grow to at most \(2 * old) layers at once")
      }
      return Array(0..<old) + Array(2 * old - count..<old)
    }
  }
}

/// Deepens every stack that differs.
package struct DepthPlanner {
  package enum Rule: Hashable, Sendable {
    case order(DepthOrder)
    /// New layers behind the old ones they stand next to, silent at first; from a neighbour or from the initializer.
    case identity(fromNeighbour: Bool)
    /// New layers on top, as in a new model.
    case random
    /// From no layer at all, or from a single one that is kept at the bottom or repeated.
    case shallow(repeats: Bool)
  }

  let rule: Rule

  package init(_ rule: Rule) { self.rule = rule }

  /// Adds the growth of every stack that differs.
  /// - Throws: `GrowthError` where the rule cannot lead there.
  package func deepen(_ draft: inout GrowthDraft) throws {
    for stack in Set((draft.old.segments + draft.new.segments).compactMap(\.stack)).sorted() {
      let before = draft.old.segments.count { $0.stack == stack }
      let after = draft.new.segments.count { $0.stack == stack }
      guard before != after else { continue }
      guard after > before else {
        throw GrowthError(
          .shrinks, stack, "it has \(before) layers and would have \(after)", remedy: "write \(before) or more")
      }
      let layers = try origins(before, after, stack)
      draft.layers[stack] = layers
      // Every old layer once and in its order, and silent ones between: the stream passes as before.
      let heard = layers.compactMap { origin -> Int? in
        if case .copy(let old) = origin { old } else { nil }
      }
      let isExact = heard == Array(0..<before) && !layers.contains(.random)
      if !isExact {
        draft.fidelity = draft.fidelity.and(
          .lossy(["'\(stack)' from \(before) to \(after) layers adds layers that act"]))
      }
    }
  }

  private func origins(_ before: Int, _ after: Int, _ stack: String) throws -> [LayerOrigin] {
    switch rule {
    case .order(let order): return try order.sources(before, to: after).map { .copy($0) }
    case .random: return (0..<after).map { $0 < before ? .copy($0) : .random }
    case .identity(let fromNeighbour):
      guard before > 0 else { return Array(repeating: .silent(of: nil), count: after) }
      // Spread evenly: the repeats of a layer that `interleave` would make are the silent ones.
      var last = -1
      return (0..<after).map { index in
        let source = index * before / after
        defer { last = source }
        return source == last ? .silent(of: fromNeighbour ? source : nil) : .copy(source)
      }
    case .shallow(let repeats):
      guard before <= 1 else {
        throw GrowthError(
          .unknownStack, stack, "a shallow start has no layer or one, and there are \(before)",
          remedy: "use stack, interleave, identity or randomLayers")
      }
      return (0..<after).map { $0 < before || (repeats && before == 1) ? .copy(0) : .random }
    }
  }
}
