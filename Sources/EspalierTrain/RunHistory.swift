package import EspalierState

/// What a checkpoint tells of its run, oldest first.
package struct RunHistory: Codable, Sendable {
  package struct Event: Codable, Sendable, Hashable {
    /// Steps done before it.
    package let step: Int
    /// "start", "resume", "reshard", "phase", "saved".
    package let kind: String
    package let description: String
    /// Changed settings, reasons why bits may differ.
    package let details: [String]
  }

  package let runID: String
  package let step: Int
  package let events: [Event]

  /// - Throws: `RunError` for a state that is no trainer's.
  package init(_ reader: CheckpointReader) throws {
    let state = try TrainingState(from: reader)
    runID = state.runID
    step = state.step
    var events = state.lineage.map(Self.event)
    for border in try Self.borders(state, reader.path) {
      // A phase begins after whatever else happened at its border before it: a start, a resume.
      let place = events.firstIndex { $0.step > border.step } ?? events.count
      events.insert(border, at: place)
    }
    let world = reader.world
    events.append(
      Event(
        step: state.step, kind: "saved",
        description:
          "\(reader.manifest.created), save \(reader.saveID), \(Self.ranks(world.ranks)), ZeRO \(world.stage)",
        details: []))
    self.events = events
  }

  private static func event(_ entry: LineageEntry) -> Event {
    var description = "on \(ranks(entry.ranks)) (\(entry.transport), ZeRO \(entry.stage); \(entry.kernels))"
    if let from = entry.from {
      description =
        "to \(ranks(entry.ranks)), ZeRO \(entry.stage), from \(ranks(from.ranks)), ZeRO \(from.stage), save \(from.saveID)"
    }
    return Event(
      step: entry.step, kind: entry.event.rawValue, description: description,
      details: entry.changes.map { "changed: \($0)" }
        + (entry.outsidePromise ?? []).map { "outside the promise of one result: \($0)" })
  }

  /// The beginnings of phases up to the step of the state. A phase that counts in passes has no border that the settings tell;
  /// those after it are left out.
  private static func borders(_ state: TrainingState, _ path: String) throws -> [Event] {
    guard
      case .mapping(let settings) = try SettingsFile(text: state.settings, name: "settings of \(path)").value(),
      case .list(let phases)? = settings["schedule"]
    else { return [] }
    var events: [Event] = []
    var first = 0
    for (number, phase) in phases.enumerated() where first < state.step || number == 0 {
      guard case .mapping(let choice) = phase, let (name, options) = choice.first else { break }
      events.append(
        Event(step: first, kind: "phase", description: "\(number): \(name) \(options.recipeText)", details: []))
      guard case .mapping(let entries) = options, case .integer(let steps)? = entries["steps"], steps > 0 else { break }
      let (sum, overflow) = first.addingReportingOverflow(Int(steps))
      guard !overflow else { break }
      first = sum
    }
    return events
  }

  private static func ranks(_ count: Int) -> String { "\(count) rank\(count == 1 ? "" : "s")" }
}
