package import EspalierNN

/// Which labels grow between two blueprints, and how each kind of label follows a rule of widening.
package struct WidthPlanner {
  /// What an operator wants of the coordinates that are added.
  package struct Rule: Sendable {
    package enum Stream: Sendable { case duplicate, zero, mean, preserveSize(copies: Bool), shrink }
    package enum TiedHead: String, Codable, Sendable, CaseIterable { case gain, logitScale }

    package var stream: Stream
    /// Of each copy; nil for equal shares.
    package var copyShare: Double?
    /// Which coordinates of a layer's inner width are copied; empty for all in turn.
    package var units: [Int] = []
    /// Where the factor goes that a tied head needs.
    package var tiedHead = TiedHead.logitScale
    /// Whether what is not exact is done and told, or refused.
    package var allowsLossy = false

    package init(_ stream: Stream) { self.stream = stream }

    var copies: Bool {
      switch stream {
      case .duplicate, .preserveSize(copies: true): true
      default: false
      }
    }
  }

  let old: Blueprint
  let new: Blueprint
  let rule: Rule

  package init(from old: Blueprint, to new: Blueprint, _ rule: Rule) {
    self.old = old
    self.new = new
    self.rule = rule
  }

  /// Adds the growth of every label that differs.
  /// - Throws: `GrowthError` where the rule cannot lead there, or not exactly although it must.
  package func widen(_ draft: inout GrowthDraft) throws {
    let grown = try grownLabels()
    try widenHeads(&draft)
    for label in grown where !Self.headLabels.contains(label) {
      let facts = LabelFacts(label, old)
      guard let before = old.part(label)?.size, let after = new.part(label)?.size else { continue }
      if facts.isIndex {
        draft.axes[label] = try .appended(before, to: after, copying: nil, copyShare: nil, fill: .mean, label: label)
        if facts.isLogits { draft.fidelity = draft.fidelity.and(.exactOnOldLogits) }
        continue
      }
      guard facts.isWritten else {
        throw GrowthError(
          .unsupportedAxis, label, "it counts what the data bring, and no weight of the model writes it",
          remedy: "leave it at \(before)")
      }
      if facts.isNormed {
        try widenStream(label, before, after, facts, &draft)
      } else {
        try widenInner(label, before, after, &draft)
      }
    }
    if case .shrink = rule.stream {
      draft.fidelity = draft.fidelity.and(.lossy(["every product's weight shrinks and is disturbed"]))
    }
  }

  static let headLabels: Set<String> = ["query", "key", "value"]

  /// Labels whose size differs, in order.
  private func grownLabels() throws -> [String] {
    let labels = Set(new.parameters.flatMap { $0.axes.flatMap { $0.parts.map(\.label) } })
    return try labels.sorted().filter { label in
      guard let before = old.part(label), let after = new.part(label) else { return false }
      guard after.block == before.block else {
        throw GrowthError(
          .headWidth, label, "its heads are \(before.block) wide and would be \(after.block)",
          remedy: "keep the width of a head (headWidth: \(before.block)) and grow the number of heads: rotary "
            + "frequencies depend on the width")
      }
      guard after.size >= before.size else {
        throw GrowthError(
          .shrinks, label, "it has \(before.size) coordinates and would have \(after.size)",
          remedy: "write \(before.size) or more")
      }
      return after.size > before.size
    }
  }

  /// A layer's inner width: any coordinate may be copied, whatever the activation.
  private func widenInner(_ label: String, _ before: Int, _ after: Int, _ draft: inout GrowthDraft) throws {
    switch rule.stream {
    case .duplicate:
      if let wrong = rule.units.first(where: { !(0..<before).contains($0) }) {
        throw GrowthError(
          .option, label, "unit \(wrong) is none of \(before)", remedy: "name units 0 ... \(before - 1)")
      }
      let units = rule.units.isEmpty ? Array(0..<before) : rule.units
      draft.axes[label] = try .appended(
        before, to: after, copying: units, copyShare: rule.copyShare, fill: .silent, label: label)
    case .zero, .mean:
      draft.axes[label] = try .appended(before, to: after, copying: nil, copyShare: nil, fill: .silent, label: label)
    case .preserveSize(let copies): try preserveSize(label, before, after, copies, &draft)
    case .shrink:
      draft.axes[label] = try .appended(before, to: after, copying: nil, copyShare: nil, fill: .fresh, label: label)
    }
  }

  /// The residual stream: norms take their statistics over it.
  private func widenStream(
    _ label: String, _ before: Int, _ after: Int, _ facts: LabelFacts, _ draft: inout GrowthDraft
  ) throws {
    switch rule.stream {
    case .duplicate:
      let isEven = after.isMultiple(of: before)
      if facts.isTied, rule.copyShare.map({ $0 != Double(before) / Double(after) }) == true {
        throw GrowthError(
          .notExact, label, "a tied head reads every copy with the same weights, so shares cannot differ",
          remedy: "leave out the share, or untie the head")
      }
      if !isEven {
        try lossy(
          label, "\(before) to \(after) copies some coordinates more often than others, which changes the norms",
          remedy: "grow to a multiple of \(before), or use zeroPad (RMSNorm) or meanPad (LayerNorm)", &draft)
      }
      draft.axes[label] = try .appended(
        before, to: after, copying: Array(0..<before), copyShare: rule.copyShare, fill: .zero, label: label)
      if facts.isTied {
        let factor = Double(before) / Double(after)
        if rule.tiedHead == .gain { draft.lastNormFactor = factor } else { draft.logitFactor = factor }
      }
    case .zero:
      if facts.hasLayerNorm {
        try lossy(
          label, "zeros change the mean and the variance that LayerNorm takes", remedy: "use meanPad", &draft)
      }
      draft.axes[label] = try .appended(before, to: after, copying: nil, copyShare: nil, fill: .zero, label: label)
    case .mean:
      if facts.hasRootMeanSquare {
        try lossy(label, "the mean adds to the mean square that RMSNorm takes", remedy: "use zeroPad", &draft)
      }
      draft.axes[label] = try .appended(before, to: after, copying: nil, copyShare: nil, fill: .mean, label: label)
    case .preserveSize(let copies):
      try preserveSize(label, before, after, copies, &draft)
      if facts.isTied, let factor = draft.axes[label]?.readerFactor { draft.logitFactor = factor }
    case .shrink:
      draft.axes[label] = try .appended(before, to: after, copying: nil, copyShare: nil, fill: .fresh, label: label)
    }
  }

  /// The factors of SPARKLING (arXiv:2602.02472, §4): with c = (D − d)/d, readers are multiplied by 1/√(1 + 3c) up to c = 1 and by
  /// 1/(1 + c) beyond it where both sides are copied, and by √(d/D) where one is random.
  private func preserveSize(
    _ label: String, _ before: Int, _ after: Int, _ copies: Bool, _ draft: inout GrowthDraft
  ) throws {
    let growth = Double(after - before) / Double(before)
    let factor =
      copies
      ? (growth <= 1 ? 1 / (1 + 3 * growth).squareRoot() : 1 / (1 + growth)) : 1 / (1 + growth).squareRoot()
    let plain = try AxisGrowth.appended(
      before, to: after, copying: copies ? Array(0..<before) : nil, copyShare: nil, fill: .fresh, label: label)
    draft.axes[label] = AxisGrowth(plain.entries, oldCount: before, fill: .fresh, readerFactor: factor)
    if !copies || !after.isMultiple(of: before) {
      draft.fidelity = draft.fidelity.and(
        .lossy(["'\(label)' from \(before) to \(after) keeps the size of what is computed, not its values"]))
    }
  }

  func lossy(_ label: String, _ reason: String, remedy: String, _ draft: inout GrowthDraft) throws {
    guard rule.allowsLossy else {
      throw GrowthError(
        .notExact, label, reason, remedy: remedy + ", or write 'allowLossy: true' to accept a jump of the loss")
    }
    draft.fidelity = draft.fidelity.and(.lossy(["'\(label)': \(reason)"]))
  }
}

/// What a blueprint says of a label.
struct LabelFacts {
  /// Entries that are looked up or told apart: rows of an embedding or a head.
  let isIndex: Bool
  let isLogits: Bool
  let isWritten: Bool
  let hasRootMeanSquare: Bool
  let hasLayerNorm: Bool
  /// The head shares its table with the embedding.
  let isTied: Bool

  var isNormed: Bool { hasRootMeanSquare || hasLayerNorm }

  init(_ label: String, _ blueprint: Blueprint) {
    func named(_ role: Axis.Role) -> [ParameterSpec] {
      blueprint.parameters.filter { spec in
        spec.axes.contains { axis in axis.role == role && axis.parts.contains { $0.label == label } }
      }
    }
    let index = named(.index), scaled = named(.elementwise)
    let isHeadless = !blueprint.parameters.contains { $0.tags.contains(.head) }
    isIndex = !index.isEmpty
    isLogits = index.contains { spec in
      spec.tags.contains(.head) || (isHeadless && spec.tags.contains(.embedding) && !spec.tags.contains(.noDecay))
    }
    isWritten = !named(.output).isEmpty
    hasRootMeanSquare = scaled.contains { $0.tags.contains(.rmsGain) }
    hasLayerNorm = scaled.contains { $0.tags.contains(.layerGain) }
    isTied = isHeadless && named(.output).contains { $0.tags.contains(.embedding) }
  }
}

extension Blueprint {
  /// The part of a label, from the first weight that names it.
  package func part(_ label: String) -> Axis.Part? {
    for spec in parameters {
      for part in spec.axes.flatMap(\.parts) where part.label == label { return part }
    }
    return nil
  }
}
