import EspalierState
import Foundation

/// Where two runs part: settings, curves, digests in the journals, checkpoints.
package struct RunComparison: Codable, Sendable {
  /// Two curves, held against each other at the steps that both have.
  package struct Curve: Codable, Sendable, Equatable {
    package let commonSteps: Int
    /// The last common step before the values part; absent where they part at once or have no step in common.
    package let lastSameStep: Int?
    /// Absent where all common steps have the same bits.
    package let firstDifference: Difference?
    package let largestDifference: Difference?
  }

  package struct Difference: Codable, Sendable, Equatable {
    package let step: Int
    /// Values as the journal has them: numbers, or "nan", "inf", "-inf".
    package let first: String
    package let second: String
  }

  package struct Digests: Codable, Sendable, Equatable {
    package let commonSteps: Int
    package let lastSameStep: Int?
    package let firstDifferentStep: Int?
    /// At that step, in the order of the forward pass; a segment that one run lacks is among them.
    package let segments: [String]
  }

  package struct Checkpoints: Codable, Sendable, Equatable {
    package let commonSteps: [Int]
    package let lastSameStep: Int?
    package let firstDifferentStep: Int?
    /// "tensor/slot" at that step, in the order of the tensors.
    package let firstDifferentSlot: String?
    package let differentSlots: Int
    /// Checkpoints that could not be read, and why.
    package let notes: [String]
  }

  package let first: String
  package let second: String
  /// `old` is the first run's value, `new` the second's.
  package let settings: [SettingsChange]
  package let loss: Curve
  package let validationLoss: Curve
  package let digests: Digests
  package let checkpoints: Checkpoints

  /// Whether every digest that both runs have, in journal or checkpoint, is the same, and there is at least one.
  package var hasSameDigests: Bool {
    digests.commonSteps + checkpoints.commonSteps.count > 0 && digests.firstDifferentStep == nil
      && checkpoints.firstDifferentStep == nil
  }

  /// Reads journals and checkpoints of two run directories; nothing is written and no lock is touched.
  /// - Throws: `RunError` for a directory without a run.
  package init(_ first: String, _ second: String) throws {
    let journals = try [first, second].map { run in
      let journal = JournalReader(run: run)
      guard !journal.lines.isEmpty || !Self.checkpoints(of: run).isEmpty else {
        throw RunError(
          .noRun, subject: run, reason: "there is neither a metrics.jsonl nor a checkpoint",
          remedy: "name a run directory; espalier runs lists those below a folder")
      }
      return journal
    }
    self.first = first
    self.second = second
    let settings = [(first, journals[0]), (second, journals[1])].map { Self.settings(of: $0, $1) }
    self.settings = SettingsChange.compare(old: settings[0], new: settings[1], sameData: false)
    loss = Curve(journals[0].curve(.step, "loss"), journals[1].curve(.step, "loss"))
    validationLoss = Curve(journals[0].curve(.evaluation, "loss"), journals[1].curve(.evaluation, "loss"))
    digests = Digests(journals[0].digests, journals[1].digests)
    checkpoints = Checkpoints(Self.checkpoints(of: first), Self.checkpoints(of: second))
  }

  /// Of the newest checkpoint that can be read, which knows what a resume has changed; else those that the run began with.
  private static func settings(of run: String, _ journal: JournalReader) -> SettingValue {
    for path in checkpoints(of: run).sorted(by: { $0.key > $1.key }).map(\.value) {
      if let reader = try? CheckpointReader(path), let state = try? TrainingState(from: reader),
        let settings = try? JSONDecoder().decode(SettingValue.self, from: Data(state.settings.utf8))
      {
        return settings
      }
    }
    return journal.settings ?? .mapping([:])
  }

  private static func checkpoints(of run: String) -> [Int: String] {
    let entries = (try? CheckpointDirectory(run: run).list()) ?? []
    return Dictionary(entries.map { ($0.step, $0.path) }, uniquingKeysWith: { $1 })
  }
}

extension RunComparison.Curve {
  package init(_ first: [Int: Double], _ second: [Int: Double]) {
    let steps = first.keys.filter { second[$0] != nil }.sorted()
    let pairs = steps.compactMap { step in first[step].flatMap { a in second[step].map { (step, a, $0) } } }
    // Bits and not values: that 0 = −0 and NaN ≠ NaN would both mislead here.
    let parting = pairs.firstIndex { $0.1.bitPattern != $0.2.bitPattern }
    func difference(_ pair: (Int, Double, Double)) -> RunComparison.Difference {
      RunComparison.Difference(
        step: pair.0, first: JournalEntry.number(pair.1).plainText, second: JournalEntry.number(pair.2).plainText)
    }
    func distance(_ pair: (Int, Double, Double)) -> Double {
      if pair.1.bitPattern == pair.2.bitPattern { return 0 }
      let distance = abs(pair.1 - pair.2)
      return distance.isNaN ? .infinity : distance
    }
    let largest = parting.flatMap { _ in pairs.max { distance($0) < distance($1) } }
    self.init(
      commonSteps: pairs.count, lastSameStep: pairs.prefix(parting ?? pairs.count).last?.0,
      firstDifference: parting.map { difference(pairs[$0]) }, largestDifference: largest.map(difference))
  }
}

extension RunComparison.Digests {
  package init(_ first: [Int: StepDigests], _ second: [Int: StepDigests]) {
    let steps = first.keys.filter { second[$0] != nil }.sorted()
    let parting = steps.firstIndex { first[$0] != second[$0] }
    var segments: [String] = []
    if let parting, let a = first[steps[parting]]?.segments, let b = second[steps[parting]]?.segments {
      segments = a.filter { !b.contains($0) }.map(\.name)
      segments += b.map(\.name).filter { name in !a.contains { $0.name == name } }
    }
    self.init(
      commonSteps: steps.count, lastSameStep: steps.prefix(parting ?? steps.count).last,
      firstDifferentStep: parting.map { steps[$0] }, segments: segments)
  }
}

extension RunComparison.Checkpoints {
  /// - Parameter first: folders by step.
  init(_ first: [Int: String], _ second: [Int: String]) {
    var compared: [Int] = [], notes: [String] = []
    var same: Int?, parting: Int?, slots: [String] = []
    for (step, path) in first.sorted(by: { $0.key < $1.key }) where parting == nil {
      guard let other = second[step] else { continue }
      do {
        let digests = try [path, other].map { Self.digests(try CheckpointReader($0)) }
        compared.append(step)
        let names =
          digests[0].map(\.name)
          + digests[1].map(\.name).filter { name in
            !digests[0].contains { $0.name == name }
          }
        let byName = digests.map { Dictionary($0.map { ($0.name, $0.digest) }, uniquingKeysWith: { $1 }) }
        slots = names.filter { byName[0][$0] != byName[1][$0] }
        if slots.isEmpty { same = step } else { parting = step }
      } catch { notes.append("step \(step): \(error)") }
    }
    self.init(
      commonSteps: compared, lastSameStep: same, firstDifferentStep: parting, firstDifferentSlot: slots.first,
      differentSlots: slots.count, notes: notes)
  }

  private static func digests(_ reader: CheckpointReader) -> [(name: String, digest: Digest)] {
    reader.manifest.tensors.flatMap { tensor in
      tensor.slots.map { ("\(tensor.record.name)/\($0.name)", $0.digest) }
    }
  }
}

extension SettingValue {
  /// A number or text without quotes.
  fileprivate var plainText: String {
    switch self {
    case .number(let value): "\(value)"
    case .text(let text): text
    default: recipeText
    }
  }
}
