import EspalierState
import Foundation

/// `tasks.json` in a run directory: the results of a run over tasks, whole at every instant.
package enum TaskFile {
  package static let name = "tasks.json"
  /// A matrix of a thousand tasks is a tenth of it.
  package static let maximumBytes = 256 << 20

  /// The text of the file: sorted keys, the same for the same results.
  package static func text(_ results: TaskResults) throws -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    // Losses of a run that went astray are not finite, as in the journal.
    encoder.nonConformingFloatEncodingStrategy = .convertToString(
      positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
    return String(decoding: try encoder.encode(results), as: UTF8.self) + "\n"
  }

  /// Writes the file so that its name stands for the old results or for all of the new ones, whatever happens
  /// meanwhile.
  /// - Throws: `RunError` of kind `.saveFailed`.
  package static func write(_ results: TaskResults, run: String) throws {
    let path = run + "/" + name
    do { try FileSystem.real.replace(path, with: Array(text(results).utf8)) } catch {
      throw RunError(
        .saveFailed, subject: path, reason: "the results of the tasks cannot be written (\(error))",
        remedy: "free space or make the run directory writable, and resume the run")
    }
  }

  /// Reads the results of a run.
  /// - Parameter path: the run directory, or such a file under any name.
  /// - Throws: `RunError` of kind `.noTasks`, `.damagedTasks` or `.newerTasks`.
  package static func read(_ path: String) throws -> TaskResults {
    var isDirectory: ObjCBool = false
    let exists = FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory)
    let file = isDirectory.boolValue ? path + "/" + name : path
    guard exists, let bytes = try? Data(contentsOf: URL(filePath: file)) else {
      throw RunError(
        .noTasks, subject: path,
        reason: isDirectory.boolValue ? "the run has no results of tasks (\(name))" : "there is no such file or folder",
        remedy: "name the run directory of a recipe with tasks that has measured one")
    }
    guard bytes.count <= maximumBytes else {
      throw damaged(file, "it has \(bytes.count) bytes, more than \(maximumBytes)")
    }
    return try results(Array(bytes), of: file)
  }

  private static func results(_ bytes: [UInt8], of file: String) throws -> TaskResults {
    let document: StrictJSON
    do { document = try StrictJSON(parsing: bytes) } catch { throw damaged(file, "\(error)") }
    guard document["format"]?.text == TaskResults.format else {
      throw RunError(
        .noTasks, subject: file, reason: "the file does not call itself '\(TaskResults.format)'",
        remedy: "name a run directory, or a \(name) that a run has written")
    }
    guard let version = document["version"]?.integer, version > 0 else { throw damaged(file, "it states no version") }
    guard version <= TaskResults.version else {
      throw RunError(
        .newerTasks, subject: file,
        reason: "results of version \(version), and this build reads up to \(TaskResults.version)",
        remedy: "use the build that wrote them")
    }
    let decoder = JSONDecoder()
    decoder.nonConformingFloatDecodingStrategy = .convertFromString(
      positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
    do { return try decoder.decode(TaskResults.self, from: Data(bytes)) } catch let error as DecodingError {
      throw damaged(file, sentence(error))
    }
  }

  private static func damaged(_ file: String, _ reason: String) -> RunError {
    RunError(
      .damagedTasks, subject: file, reason: "the results cannot be read: \(reason)",
      remedy: "resume the run, which writes them anew, or take them from a copy")
  }

  /// "views.class.accuracy.rows.0.entries: …"
  private static func sentence(_ error: DecodingError) -> String {
    let (reason, path): (String, [any CodingKey]) =
      switch error {
      case .keyNotFound(let key, let context): ("'\(key.stringValue)' is missing", context.codingPath)
      case .typeMismatch(let type, let context): ("it is no \(type)", context.codingPath)
      case .valueNotFound(let type, let context): ("there is null for \(type)", context.codingPath)
      case .dataCorrupted(let context): (context.debugDescription, context.codingPath)
      @unknown default: ("\(error)", [])
      }
    let place = path.map { $0.intValue.map(String.init) ?? $0.stringValue }.joined(separator: ".")
    return place.isEmpty ? reason : "\(place): \(reason)"
  }
}
