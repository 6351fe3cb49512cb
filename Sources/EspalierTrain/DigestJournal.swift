import EspalierNN
package import EspalierState

/// The digests of a run's state after a step: the total, and the sum over each segment's slots.
///
/// A digest adds up over slots, so the same state gives the same digests on any number of ranks and at any stage.
package struct StepDigests: Sendable, Equatable {
  package struct Segment: Sendable, Equatable {
    package let name: String
    package let digest: Digest

    package init(name: String, digest: Digest) {
      self.name = name
      self.digest = digest
    }
  }

  package let total: Digest
  /// In the order of the forward pass.
  package let segments: [Segment]

  package init(total: Digest, segments: [Segment]) {
    self.total = total
    self.segments = segments
  }

  /// Collective.
  package init(of store: Store) throws {
    let slots = try store.digests()
    var byParameter: [Substring: Digest] = [:]
    for slot in slots.slots {
      byParameter[slot.name[..<(slot.name.lastIndex(of: "/") ?? slot.name.endIndex)], default: .zero] += slot.digest
    }
    total = slots.total
    segments = store.blueprint.segments.map { segment in
      Segment(
        name: segment.name,
        digest: store.blueprint.parameters(of: segment).reduce(.zero) { $0 + (byParameter[$1.name[...]] ?? .zero) })
    }
  }
}

extension JournalEntry {
  /// The digests after a step.
  package static func digest(step: Int, _ digests: StepDigests) -> JournalEntry {
    JournalEntry(
      .digest, step: step,
      fields: [
        "total": .text("\(digests.total)"),
        "segments": .list(
          digests.segments.map { .mapping(["segment": .text($0.name), "digest": .text("\($0.digest)")]) }),
      ])
  }
}

extension StepDigests {
  /// Reads a line of the journal back; nil for any other.
  package init?(journal line: SettingValue) {
    guard case .text("digest") = line["kind"], case .text(let total) = line["total"], let total = Digest(total),
      case .list(let items) = line["segments"]
    else { return nil }
    let segments = items.compactMap { item -> Segment? in
      guard case .text(let name) = item["segment"], case .text(let text) = item["digest"], let digest = Digest(text)
      else { return nil }
      return Segment(name: name, digest: digest)
    }
    guard segments.count == items.count else { return nil }
    self.init(total: total, segments: segments)
  }
}
