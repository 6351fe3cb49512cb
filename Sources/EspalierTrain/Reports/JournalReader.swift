import Foundation

/// A run's metrics.jsonl read back, for a run that is over or goes on: a line that is being written is left out.
package struct JournalReader: Sendable {
  /// Every whole line, in order.
  package let lines: [SettingValue]

  /// - Parameter run: the run directory; one without a journal has no lines.
  package init(run: String) {
    guard let bytes = try? Data(contentsOf: URL(filePath: run + "/metrics.jsonl")) else {
      lines = []
      return
    }
    lines = bytes.split(separator: UInt8(ascii: "\n")).compactMap {
      try? JSONDecoder().decode(SettingValue.self, from: $0)
    }
  }

  package func lines(of kind: JournalEntry.Kind) -> [SettingValue] {
    lines.filter { $0["kind"] == .text(kind.rawValue) }
  }

  /// A field of every line of a kind, by step; a resumed run's newest line of a step counts.
  package func curve(_ kind: JournalEntry.Kind, _ field: String) -> [Int: Double] {
    Dictionary(
      lines(of: kind).compactMap { line in
        guard let step = line.step, let value = line[field]?.double else { return nil }
        return (step, value)
      }, uniquingKeysWith: { $1 })
  }

  package var digests: [Int: StepDigests] {
    Dictionary(
      lines(of: .digest).compactMap { line in
        guard let step = line.step, let digests = StepDigests(journal: line) else { return nil }
        return (step, digests)
      }, uniquingKeysWith: { $1 })
  }

  /// The last step that a line speaks of.
  package var lastStep: Int { lines.compactMap(\.step).max() ?? 0 }

  /// The settings that the run began with.
  package var settings: SettingValue? { lines(of: .start).last?["settings"] }
}

extension SettingValue {
  fileprivate var step: Int? {
    guard case .integer(let step)? = self["step"] else { return nil }
    return step
  }

  /// A number as the journal writes it: JSON where JSON has one, else "nan", "inf", "-inf".
  package var double: Double? {
    switch self {
    case .integer(let value): Double(value)
    case .unsigned(let value): Double(value)
    case .number(let value): value
    case .text("nan"): .nan
    case .text("inf"): .infinity
    case .text("-inf"): -.infinity
    default: nil
    }
  }
}
