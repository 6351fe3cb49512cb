import ArgumentParser
import EspalierMethods
import EspalierState
import EspalierTrain
import Foundation

/// A checkpoint on the command line: its folder, or a run directory, which stands for its newest valid one.
struct CheckpointArgument: ParsableArguments {
  @Argument(
    help: ArgumentHelp(
      "The folder of a checkpoint, or a run directory, which stands for its newest valid checkpoint.",
      valueName: "checkpoint"))
  var path: String

  /// Opens the checkpoint. Which one a run directory stands for is said on standard error.
  /// - Parameter full: whether the newest is chosen by reading every byte, or by its manifest and the ends of its shards.
  /// - Throws: `CheckpointError`, or `CommandError` where there is none.
  func open(full: Bool = true) throws -> CheckpointReader { try Self.open(folder, full: full) }

  /// As above, for a path.
  static func open(_ path: String, full: Bool) throws -> CheckpointReader {
    let folder = plain(path)
    guard let run = run(at: folder) else { return try CheckpointReader(folder) }
    let directory = CheckpointDirectory(run: run)
    let found = try directory.newestValid(full: full)
    let says = Launcher.announcedRank == 0
    for refused in found.refused where says {
      for problem in refused.problems.prefix(3) {
        FailureReport.warn("checkpoint \(refused.name) is not used: \(problem)")
      }
    }
    guard let reader = found.reader else {
      throw CommandError(
        .noCheckpoint, subject: folder, reason: "the run has no valid checkpoint",
        remedy: "name the folder of a checkpoint, or train first")
    }
    if says { FailureReport.warn("using \(reader.path), the newest valid checkpoint of \(run)") }
    return reader
  }

  /// The folders of all checkpoints that the path stands for, oldest first.
  /// - Throws: `CommandError` for a run without any.
  func all() throws -> [String] {
    guard let run = Self.run(at: folder) else { return [folder] }
    let found = try CheckpointDirectory(run: run).list().map(\.path)
    guard !found.isEmpty else {
      throw CommandError(
        .noCheckpoint, subject: folder, reason: "the run has no checkpoint",
        remedy: "name the folder of one, or train first")
    }
    return found
  }

  /// The path without a slash at its end.
  private var folder: String { Self.plain(path) }

  private static func plain(_ path: String) -> String {
    var folder = path
    while folder.count > 1, folder.hasSuffix("/") { folder.removeLast() }
    return folder
  }

  /// The run directory that a path names; nil for everything else.
  private static func run(at path: String) -> String? {
    func isFolder(_ path: String) -> Bool {
      var isFolder: ObjCBool = false
      return FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) && isFolder.boolValue
    }
    if isFolder(path + "/checkpoints") { return path }
    let url = URL(filePath: path)
    return url.lastPathComponent == "checkpoints" && isFolder(path) ? url.deletingLastPathComponent().path : nil
  }
}

extension CheckpointReader {
  /// The settings that the run had when it saved, with what `--set` changes.
  func settings(_ catalogue: Catalogue, overrides: [String] = []) throws -> RunSettings {
    let state = try TrainingState(from: self)
    // JSON is YAML in flow style.
    return try RunSettings(
      recipe: SettingsFile(text: state.settings, name: "settings of \(path)"), overrides: overrides,
      choices: catalogue.choices)
  }

  /// Reads and checks every byte.
  /// - Throws: the first thing that is wrong.
  func requireIntact() throws {
    if let first = verify(full: true).first { throw first }
  }
}
