package import EspalierState

/// Where the training states of two checkpoints differ: settings, and the rest in short.
package struct StateDifference: Codable, Sendable {
  package let settings: [SettingsChange]
  /// "position: 96 and 192"; of histories only that they differ.
  package let other: [String]

  /// States that this build cannot read as a trainer's are compared member by member.
  package init(_ first: CheckpointReader, _ second: CheckpointReader) throws {
    let (a, b) = (first.manifest.state, second.manifest.state)
    let texts = [a, b].map { $0["settings"]?.text }
    if let old = texts[0], let new = texts[1], old != new {
      settings = SettingsChange.compare(
        old: try SettingsFile(text: old, name: "settings of \(first.path)").value(),
        new: try SettingsFile(text: new, name: "settings of \(second.path)").value(), sameData: true)
    } else {
      settings = []
    }
    let keys = (a.members ?? []).map(\.key) + (b.members ?? []).map(\.key).filter { a[$0] == nil }
    other = keys.filter { $0 != "settings" && a[$0]?.canonical != b[$0]?.canonical }.map { key in
      guard key != "lineage" else { return "the histories differ (espalier log)" }
      let values = [a, b].map { state in
        state[key].map { String(decoding: $0.canonical, as: UTF8.self) } ?? "nothing"
      }
      return "\(key): \(values[0]) and \(values[1])"
    }
  }
}
