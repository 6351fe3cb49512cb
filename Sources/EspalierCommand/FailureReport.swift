import EspalierTrain
import Foundation

/// How a failure reaches a person: one line on standard error, from one rank.
enum FailureReport {
  /// Prints an error, unless another rank does.
  /// - Returns: the exit code.
  @discardableResult
  static func printUnlessToldElsewhere(_ error: any Error) -> Int32 {
    if error is RefusedByRankZero || error is RefusedByPeer {
      // The rank that knows speaks first: this one may end the job as soon as it returns.
      Thread.sleep(forTimeInterval: 0.3)
    } else {
      print(error)
    }
    return 1
  }

  static func print(_ error: any Error) { warn("error: " + sentence(error)) }

  /// Writes a line to standard error in one piece, so that lines of several ranks do not mix.
  static func warn(_ line: String) {
    try? FileHandle.standardError.write(contentsOf: Data((line + "\n").utf8))
  }

  /// The error without line breaks and without the names of types.
  static func sentence(_ error: any Error) -> String {
    let isOurs = type(of: error) is any CustomStringConvertible.Type
    let text = isOurs ? "\(error)" : error.localizedDescription
    return text.split(separator: "\n").joined(separator: " ")
  }
}
