import Foundation

/// Standard output of the commands.
enum Output {
  /// Writes text as it is. A reader that has gone away, as `head`, is no failure.
  static func write(_ text: String) { try? FileHandle.standardOutput.write(contentsOf: Data(text.utf8)) }

  static func line(_ text: String) { write(text + "\n") }

  /// Writes a value as JSON with sorted keys, indented by two.
  static func json(_ value: some Encodable) throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .prettyPrinted, .withoutEscapingSlashes]
    line(String(decoding: try encoder.encode(value), as: UTF8.self))
  }
}
