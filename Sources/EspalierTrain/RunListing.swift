import EspalierState
import Foundation

/// The runs below a folder, with how far each is and what became of it.
package struct RunListing: Codable, Sendable {
  package struct Run: Codable, Sendable, Equatable {
    package enum State: String, Codable, Sendable {
      /// Its lock is held by a process that lives.
      case running
      /// The schedule ended.
      case finished
      /// It stopped as it was asked to, and can be resumed.
      case stopped
      /// It ended without saying so: an error, a kill, a crash.
      case failed
      /// A process of another host holds the lock; whether it lives cannot be known from here.
      case elsewhere
    }

    package let path: String
    package let state: State
    /// Steps done.
    package let step: Int
    /// Of the last step in the journal, in nats; absent before the first, and where it is not finite.
    package let loss: Double?
    /// Of the last evaluation.
    package let validationLoss: Double?
    /// Of all files of the run.
    package let bytes: Int
    package let checkpoints: Int
    /// Seconds since 1970: the newest file.
    package let lastChange: Double
    /// "process 4711 on node-1, since …" where the run has a lock.
    package let holder: String?
  }

  /// The latest first.
  package let runs: [Run]

  /// Looks at `folder` itself and at the folders below it, down to three levels; a run's own folders are not entered.
  /// - Throws: `RunError` where there is no such folder.
  package init(below folder: String) throws {
    var isFolder: ObjCBool = false
    guard FileManager.default.fileExists(atPath: folder, isDirectory: &isFolder), isFolder.boolValue else {
      throw RunError(
        .noRun, subject: folder, reason: "there is no such folder",
        remedy: "name the folder that --run directories lie in")
    }
    runs = Self.find(folder, levels: 3).map(Run.init).sorted { ($1.lastChange, $0.path) < ($0.lastChange, $1.path) }
  }

  private static func find(_ folder: String, levels: Int) -> [String] {
    let files = FileManager.default
    var isFolder: ObjCBool = false
    guard files.fileExists(atPath: folder, isDirectory: &isFolder), isFolder.boolValue else { return [] }
    if ["metrics.jsonl", "checkpoints", "lock"].contains(where: { files.fileExists(atPath: "\(folder)/\($0)") }) {
      return [folder]
    }
    guard levels > 0 else { return [] }
    let names = (try? files.contentsOfDirectory(atPath: folder)) ?? []
    return names.filter { !$0.hasPrefix(".") }.flatMap {
      find(folder == "." ? $0 : "\(folder)/\($0)", levels: levels - 1)
    }
  }
}

extension RunListing.Run {
  /// - Parameter path: of a run directory.
  package init(_ path: String) {
    let journal = JournalReader(run: path)
    let checkpoints = (try? CheckpointDirectory(run: path).list()) ?? []
    let lock = RunLock.status(of: path)
    self.path = path
    state = Self.state(lock, journal)
    step = max(journal.lastStep, checkpoints.last?.step ?? 0)
    func last(_ kind: JournalEntry.Kind) -> Double? {
      journal.lines(of: kind).last?["loss"]?.double.flatMap { $0.isFinite ? $0 : nil }
    }
    loss = last(.step)
    validationLoss = last(.evaluation)
    self.checkpoints = checkpoints.count
    (bytes, lastChange) = Self.contents(of: path)
    holder =
      switch lock {
      case .free: nil
      case .held(let holder), .abandoned(let holder), .elsewhere(let holder): "\(holder)"
      }
  }

  private static func state(_ lock: RunLock.Status, _ journal: JournalReader) -> State {
    switch lock {
    case .held: return .running
    case .elsewhere: return .elsewhere
    case .free, .abandoned: break
    }
    // A resumed run that failed has an old end before its newest lines.
    guard let last = journal.lines.last, last["kind"] == .text(JournalEntry.Kind.finish.rawValue) else {
      return .failed
    }
    return last["reason"] == .text("done") ? .finished : .stopped
  }

  private static func contents(of path: String) -> (bytes: Int, lastChange: Double) {
    let keys: Set<URLResourceKey> = [.fileSizeKey, .contentModificationDateKey, .isRegularFileKey]
    let files = FileManager.default.enumerator(at: URL(filePath: path), includingPropertiesForKeys: Array(keys))
    var bytes = 0, newest = 0.0
    while let file = files?.nextObject() as? URL {
      // A file that goes while we look, as a checkpoint that retires, counts no more.
      guard let values = try? file.resourceValues(forKeys: keys), values.isRegularFile == true else { continue }
      bytes += values.fileSize ?? 0
      newest = max(newest, values.contentModificationDate?.timeIntervalSince1970 ?? 0)
    }
    return (bytes, newest)
  }
}
