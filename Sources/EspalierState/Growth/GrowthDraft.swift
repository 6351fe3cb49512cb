package import EspalierNN

/// What becomes of one repeat of a stack.
package enum LayerOrigin: Hashable, Sendable {
  /// The old repeat of that place.
  case copy(Int)
  /// A copy, or a new layer for nil, whose residual branches write nothing yet.
  case silent(of: Int?)
  /// As in a new model.
  case random

  var source: Int? {
    switch self {
    case .copy(let old): old
    case .silent(let old): old
    case .random: nil
    }
  }
}

/// A growth by labels and stacks, and how it turns into the origin of every weight.
package struct GrowthDraft {
  let old: Blueprint
  let new: Blueprint
  /// By label; what is not named keeps its coordinates.
  package var axes: [String: AxisGrowth] = [:]
  /// By stack; what is not named keeps its repeats.
  package var layers: [String: [LayerOrigin]] = [:]
  /// What the gain and the bias of the last norm are multiplied by.
  package var lastNormFactor = 1.0
  /// What the factor on the logits is multiplied by.
  package var logitFactor = 1.0
  /// Shrinks every product's weight, and adds normal noise of that part of its initial spread.
  package var shrink = 1.0
  package var noise = 0.0
  package var fidelity = Fidelity.exact

  package init(from old: Blueprint, to new: Blueprint) {
    self.old = old
    self.new = new
  }

  /// - Throws: `GrowthError` where the draft does not lead to the new model.
  package func plan() throws -> GrowthPlan {
    var origins: [String: ParameterOrigin] = [:], constants: [String: Double] = [:]
    try checkAsked()
    let known = Set(old.parameters.map(\.name))
    let oldConstants = Dictionary(uniqueKeysWithValues: old.constants.map { ($0.name, $0) })
    let places = segmentPlaces()
    for segment in new.segments {
      let place = places[segment.name]
      for spec in new.parameters(of: segment) {
        let source = place?.source.map { $0 + String(spec.name.dropFirst(segment.name.count)) }
        if let source, !known.contains(source) {
          throw GrowthError(
            .notCovered, spec.name, "the old model has no '\(source)' to make it from",
            remedy: "change widths and depth alone; options such as bias, tied and normalization stay")
        }
        origins[spec.name] = try origin(
          of: spec, from: source, isNew: place?.isNew ?? true, isSilent: place?.isSilent ?? false)
      }
    }
    for constant in new.constants {
      let segment = new.segments.first { constant.name.hasPrefix($0.name + ".") }
      let source = segment.flatMap { segment in
        places[segment.name]?.source.map { $0 + String(constant.name.dropFirst(segment.name.count)) }
      }
      guard
        let before = oldConstants[source ?? constant.name]
          ?? old.constants.first(where: { $0.kind == constant.kind && $0.label == constant.label })
      else { continue }
      constants[constant.name] = before.value * factor(of: constant)
    }
    return try GrowthPlan(from: old, to: new, origins: origins, constants: constants, fidelity: fidelity)
  }

  /// Whatever differs between the models, the operator has said something of.
  private func checkAsked() throws {
    for stack in Set((old.segments + new.segments).compactMap(\.stack)).sorted() where layers[stack] == nil {
      let before = old.segments.count { $0.stack == stack }, after = new.segments.count { $0.stack == stack }
      guard before != after else { continue }
      throw GrowthError(
        .unknownStack, stack, "it has \(before) layers and would have \(after), and this operator leaves depth alone",
        remedy: "deepen in a grow phase of its own, by a depth operator, or use widthAndDepth")
    }
    for label in Set(new.parameters.flatMap { $0.axes.flatMap { $0.parts.map(\.label) } }).sorted()
    where axes[label] == nil {
      guard let before = old.part(label)?.size, let after = new.part(label)?.size, before != after else { continue }
      throw GrowthError(
        .unsupportedAxis, label,
        "it has \(before) coordinates and would have \(after), and this operator leaves widths alone",
        remedy: "widen in a grow phase of its own, by a width operator, or use widthAndDepth")
    }
  }

  /// The old segment that each new one comes from.
  private struct Place {
    let source: String?
    let isNew: Bool
    let isSilent: Bool
  }

  private func segmentPlaces() -> [String: Place] {
    var places: [String: Place] = [:]
    for stack in Set(new.segments.compactMap(\.stack)) {
      let before = old.segments.filter { $0.stack == stack }, after = new.segments.filter { $0.stack == stack }
      let origins = layers[stack] ?? before.indices.map { .copy($0) }
      var used: Set<Int> = []
      for (segment, origin) in zip(after, origins) {
        let isSilent = if case .silent = origin { true } else { false }
        var isNew = isSilent || origin.source == nil
        if case .copy(let index) = origin, !used.insert(index).inserted { isNew = true }
        places[segment.name] = Place(source: origin.source.map { before[$0].name }, isNew: isNew, isSilent: isSilent)
      }
    }
    for segment in new.segments where segment.stack == nil {
      places[segment.name] = Place(source: segment.name, isNew: false, isSilent: false)
    }
    return places
  }

  private func origin(
    of spec: ParameterSpec, from source: String?, isNew: Bool, isSilent: Bool
  ) throws -> ParameterOrigin {
    if isSilent, spec.tags.contains(.residualOutput) { return ParameterOrigin([], remainder: .zeros, isNew: true) }
    guard let source else { return ParameterOrigin([], remainder: spec.initializer, isNew: true) }
    let isGain = spec.tags.contains(.rmsGain) || spec.tags.contains(.layerGain)
    let maps = spec.axes.map { axis in
      AxisMap.joined(
        axis.parts.map { part in
          guard let growth = axes[part.label] else { return .identity(part.count) }
          return growth.spread(over: part.taps).map(for: axis.role, gainFactor: isGain ? gainFactor(growth) : 1)
        })
    }
    if !spec.isTrainable, maps.contains(where: { $0.entries.contains(.fresh) }) {
      throw GrowthError(
        .unsupportedAxis, spec.name, "it is frozen, and random entries of a frozen weight would never learn",
        remedy: "grow by an operator that copies, such as duplicate")
    }
    var factor = spec.tags.contains(.lastNorm) ? lastNormFactor : 1
    var remainder = spec.initializer, added: ParameterOrigin.Noise?
    if case .normal(let deviation) = spec.initializer {
      if shrink != 1 || noise > 0 {
        factor *= shrink
        let spread = Float(Double(deviation) * noise)
        remainder = .normal(standardDeviation: spread)
        added = ParameterOrigin.Noise(deviation: spread, onlyOnNew: false)
      } else if spec.tags.contains(.embedding), spec.axes[0].parts.contains(where: { axes[$0.label] != nil }) {
        added = ParameterOrigin.Noise(deviation: deviation / 10, onlyOnNew: true)
      }
    }
    return ParameterOrigin(
      [ParameterOrigin.Term(source, coefficient: factor, maps: maps)], remainder: remainder, noise: added, isNew: isNew)
  }

  /// √(d/D): the norm of a padded row is smaller by that.
  private func gainFactor(_ growth: AxisGrowth) -> Double {
    isPadded(growth) ? (Double(growth.oldCount) / Double(growth.entries.count)).squareRoot() : 1
  }

  private func isPadded(_ growth: AxisGrowth) -> Bool {
    (growth.fill == .zero || growth.fill == .mean) && growth.entries.contains(.new)
  }

  private func factor(of constant: ConstantSpec) -> Double {
    switch constant.kind {
    case .logitScale: return logitFactor
    case .epsilon:
      guard let growth = axes[constant.label], isPadded(growth) else { return 1 }
      return Double(growth.oldCount) / Double(growth.entries.count)
    }
  }
}
