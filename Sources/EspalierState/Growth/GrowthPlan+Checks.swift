import EspalierNN
import EspalierTensor

/// What every plan must be, whoever made it.
extension GrowthPlan {
  /// Every weight of the new model has an origin of its shape, from weights that exist.
  func checkCover() throws {
    let shapes = Dictionary(uniqueKeysWithValues: old.parameters.map { ($0.name, $0.shape.dimensions) })
    for spec in new.parameters {
      guard let origin = origins[spec.name] else {
        throw GrowthError(
          .notCovered, spec.name, "the plan says nothing of it", remedy: "give every weight of the new model an origin")
      }
      for term in origin.terms {
        guard let shape = shapes[term.source] else {
          throw GrowthError(
            .notCovered, spec.name, "it comes from '\(term.source)', which the old model does not have",
            remedy: "name a weight of the old model")
        }
        guard term.maps.map(\.oldCount) == shape, term.maps.map(\.count) == spec.shape.dimensions else {
          throw GrowthError(
            .shapeDisagrees, spec.name,
            "its maps lead from \(term.maps.map(\.oldCount)) to \(term.maps.map(\.count)), and the weights are \(shape) "
              + "and \(spec.shape.dimensions)", remedy: "map each axis of the old weight to that of the new one")
        }
      }
    }
    let names = Set(new.parameters.map(\.name))
    if let stray = origins.keys.sorted().first(where: { !names.contains($0) }) {
      throw GrowthError(
        .notCovered, stray, "the new model has no such weight", remedy: "give origins to weights of the new model alone"
      )
    }
  }

  /// Whoever writes, reads or scales the coordinates of a label agrees where they come from.
  ///
  /// A coordinate that is new for one weight is new for all of them, and one that is copied is the copy of one and the same;
  /// a new one is not zero on both sides of a product, for then nothing would ever move it.
  func checkPairs() throws {
    /// The old coordinate that each new one copies; nil for a new one.
    struct Sighting {
      let sources: [Int?]
      let parameter: String
    }
    var seen: [String: Sighting] = [:]
    var written: [String: [AxisMap.Entry]] = [:], read: [String: [AxisMap.Entry]] = [:]
    for spec in new.parameters {
      guard let origin = origins[spec.name], origin.terms.count == 1 else { continue }
      for (axis, map) in zip(spec.axes, origin.terms[0].maps) {
        var first = 0, firstOld = 0
        for part in axis.parts {
          // All taps of a coordinate come from one old coordinate; the first stands for them.
          let entries = stride(from: first, to: first + part.count, by: part.taps).map { map.entries[$0] }
          let oldPart = (old.part(part.label)?.size ?? part.size) * part.taps
          let sources = entries.map { entry -> Int? in
            if case .copy(let index, _, _) = entry { (index - firstOld) / part.taps } else { nil }
          }
          if let sighting = seen[part.label], sighting.sources != sources {
            throw GrowthError(
              .axesDisagree, part.label,
              "'\(sighting.parameter)' and '\(spec.name)' take its coordinates from different old ones",
              remedy: "grow every weight that names an axis by the same entries")
          }
          seen[part.label] = Sighting(sources: sources, parameter: spec.name)
          if axis.role == .output { written[part.label] = entries }
          if axis.role == .input { read[part.label] = entries }
          first += part.count
          firstOld += oldPart
        }
      }
    }
    for (label, producers) in written.sorted(by: { $0.key < $1.key }) {
      guard let consumers = read[label] else { continue }
      for (producer, consumer) in zip(producers, consumers) where producer == .zero && consumer == .zero {
        throw GrowthError(
          .axesDisagree, label, "new coordinates are zero where they are written and where they are read",
          remedy: "leave one side random, or no gradient ever reaches them")
      }
    }
  }
}
