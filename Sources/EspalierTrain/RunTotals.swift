import EspalierState

/// What a run has cost so far, over all ranks and resumes.
package struct RunTotals: Codable, Sendable, Equatable {
  /// Floating-point operations of the products of all training steps, counted from the shapes.
  package var operations = 0.0
  /// Samples that went through a training pass, repeated ones again.
  package var samples = 0
  /// Seconds of training steps and growths on rank 0: information only, nothing depends on it.
  package var seconds = 0.0

  package init() {}

  /// Adds a step.
  package mutating func add(samples count: Int, operationsPerSample: Int, seconds: Double) {
    operations += Double(count) * Double(operationsPerSample)
    samples += count
    self.seconds += seconds
  }
}

/// How far a run is when a line of the journal is written.
public struct RunProgress: Sendable, Equatable {
  /// Of the schedule, from 0.
  public let phase: Int
  /// Growths done.
  public let growths: Int
  /// Floating-point operations of the products of all training steps so far.
  public let operations: Double
  public let samples: Int
  /// Targets learned from.
  public let targets: Int
  /// Seconds of training steps and growths.
  public let seconds: Double

  public init(phase: Int, growths: Int = 0, operations: Double, samples: Int, targets: Int, seconds: Double) {
    self.phase = phase
    self.growths = growths
    self.operations = operations
    self.samples = samples
    self.targets = targets
    self.seconds = seconds
  }

  var fields: [String: SettingValue] {
    [
      "phase": .integer(phase), "growths": .integer(growths),
      "total": .mapping([
        "operations": JournalEntry.number(operations), "samples": .integer(samples), "targets": .integer(targets),
        "seconds": JournalEntry.number((seconds * 1000).rounded() / 1000),
      ]),
    ]
  }
}

extension KeyedDecodingContainer {
  // Found before the container's own by the synthesised decoding of `TrainingState`: checkpoints that were written before
  // there were totals and births have none.

  func decode(_ type: RunTotals.Type, forKey key: Key) throws -> RunTotals {
    try decodeIfPresent(type, forKey: key) ?? RunTotals()
  }

  func decode(_ type: [String: BirthRanges].Type, forKey key: Key) throws -> [String: BirthRanges] {
    try decodeIfPresent(type, forKey: key) ?? [:]
  }
}
