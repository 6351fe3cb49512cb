import EspalierComm
package import EspalierMethods
package import EspalierState
import EspalierTensor
package import EspalierTrain
import Foundation

/// Whole runs on in-process ranks, with every check on.
package enum Runs {
  /// What one rank had counted when its run ended.
  package struct RankFigures: Sendable {
    package let samples: Int
    package let bytesSent: Int
    package let bytesReceived: Int
    package let state: StateBytes
    package let poolHighWaterBytes: Int
    package let slabBytes: Int
  }

  package struct Result: Sendable {
    package let outcome: TrainingOutcome
    package let digests: StateDigests
    package let ranks: [RankFigures]
  }

  /// Trains `recipe` (YAML text) in `directory`.
  package static func train(
    _ recipe: String, set overrides: [String] = [], ranks: Int = 1, in directory: String, resumes: Bool = false,
    allowing allowed: [String] = [], stopsAfter: Int = 0, traceSteps: Int = 0, catalogue: Catalogue = .standard,
    fileSystem: FileSystem = .real
  ) throws -> Result {
    let settings = try RunSettings(
      recipe: SettingsFile(text: recipe, name: "recipe"),
      overrides: ["checks.memory=true", "checks.collectives=true"] + overrides, choices: catalogue.choices)
    let run = try ResolvedRun(settings, catalogue: catalogue)
    var options = TrainerOptions(runDirectory: directory)
    options.resumes = resumes
    options.allowed = allowed
    options.catalogue = catalogue
    options.prints = false
    options.stopsAfter = stopsAfter
    options.traceSteps = traceSteps
    options.fileSystem = fileSystem
    let communication = CommunicationOptions(
      deadlineSeconds: 60, checksCollectives: true, chunkElements: 5000, poisonsMemory: true)
    let results = try World.inProcess(ranks: ranks, options: communication) { [options] communicator in
      let trainer = try Trainer(run, communicator, options)
      let before = communicator.statistics
      let outcome = try trainer.train()
      let after = communicator.statistics
      let figures = RankFigures(
        samples: trainer.session.sampleCount, bytesSent: after.bytesSent - before.bytesSent,
        bytesReceived: after.bytesReceived - before.bytesReceived, state: trainer.session.store.bytes,
        poolHighWaterBytes: trainer.session.pool.statistics.highWaterBytes, slabBytes: after.slabBytes)
      return (outcome, try trainer.session.store.digests(), figures)
    }
    return Result(outcome: results[0].0, digests: results[0].1, ranks: results.map(\.2))
  }

  /// Runs `body` with a fresh directory and removes it afterwards.
  package static func inTemporaryDirectory<Value>(_ body: (String) throws -> Value) throws -> Value {
    let directory = FileManager.default.temporaryDirectory.appendingPathComponent("espalier-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: directory) }
    return try body(directory.path)
  }
}
