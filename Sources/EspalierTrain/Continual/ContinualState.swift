import EspalierMethods
package import EspalierState
import Foundation

/// What a checkpoint holds of continual learning, besides slots and records.
package struct ContinualState: Codable, Sendable, Equatable {
  /// By method: what it remembers, as JSON.
  package var memories: [String: String] = [:]
  /// Which samples are records; nil without replay.
  package var reservoir: Reservoir?
  /// Of the task under way; nil where none ends early.
  package var plateau: Plateau?
  /// What was measured.
  package var results: TaskResults?
  /// By layer and task: inputs that methods have added to the model.
  package var added: [String: [Int]]?
}

extension ContinualMethod {
  /// What it remembers, as JSON; keys are sorted.
  func encodedMemory() throws -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys]
    return String(decoding: try encoder.encode([memory]), as: UTF8.self)
  }

  mutating func restoreMemory(_ text: String) throws {
    memory = try JSONDecoder().decode([Memory].self, from: Data(text.utf8))[0]
  }
}
