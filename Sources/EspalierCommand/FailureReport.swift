import EspalierState
import EspalierTrain
import Foundation

/// How a failure reaches a person: one line on standard error, from one rank.
enum FailureReport {
  /// Prints the error of this rank, unless another rank of an MPI job tells of it.
  ///
  /// What is decided from shared numbers fails on every rank alike. The others then leave the word to rank 0, which ends the job and
  /// them with it; where it stays silent, it was their own failure after all.
  /// - Returns: the exit code.
  static func printOnce(_ error: any Error) -> Int32 {
    let rank = Launcher.announcedRank
    let isShared = error is RunError || error is RelayoutError || error is SettingsError || error is CommandError
    let isToldElsewhere = error is RefusedByRankZero || error is RefusedByPeer
    if isToldElsewhere || (isShared && rank != 0) {
      // The job's end must be able to end this wait.
      signal(SIGTERM, SIG_DFL)
      Thread.sleep(forTimeInterval: 2)
    }
    if !isToldElsewhere { warn("error: " + (rank == 0 ? "" : "rank \(rank): ") + sentence(error)) }
    return 1
  }

  static func print(_ error: any Error) { warn("error: " + sentence(error)) }

  /// Writes a line to standard error in one piece, so that lines of several ranks do not mix.
  static func warn(_ line: String) {
    try? FileHandle.standardError.write(contentsOf: Data((line + "\n").utf8))
  }

  /// The same for what every rank of a job reads alike: rank 0 alone speaks.
  static func warnOnce(_ line: String) { if Launcher.announcedRank == 0 { warn(line) } }

  /// The error without line breaks and without the names of types.
  static func sentence(_ error: any Error) -> String {
    let isOurs = type(of: error) is any CustomStringConvertible.Type
    let text = isOurs ? "\(error)" : error.localizedDescription
    return text.split(separator: "\n").joined(separator: " ")
  }
}
