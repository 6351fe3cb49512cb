import Foundation

/// A report on its way to disk.
enum WrittenFile {
  /// Writes the file whole or not at all.
  /// - Parameters:
  ///   - what: "the report"
  ///   - option: of the command line, that names another file.
  /// - Throws: `RunError` for a file that cannot be written; what was there stays.
  static func write(_ text: String, to path: String, what: String, option: String) throws {
    do { try Data(text.utf8).write(to: URL(filePath: path), options: .atomic) } catch {
      throw RunError(
        .saveFailed, subject: path, reason: "\(what) cannot be written (\(error.localizedDescription))",
        remedy: "free space or choose another file with \(option)")
    }
  }
}
