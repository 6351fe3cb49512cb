import Foundation

/// Columns for a terminal.
enum TextTable {
  /// "name   value", one pair a line.
  static func pairs(_ rows: [(String, String)], indent: Int = 0) -> String {
    let width = rows.map(\.0.count).max() ?? 0
    let margin = String(repeating: " ", count: indent)
    return rows.map { margin + left($0.0, width) + "  " + $0.1 + "\n" }.joined()
  }

  /// A heading and rows of equally many cells; the first column stands left, the others as well unless they are numbers.
  static func columns(_ heading: [String], _ rows: [[String]], areNumbers: Bool = false) -> String {
    let all = [heading] + rows
    let widths = heading.indices.map { column in all.map { $0[column].count }.max() ?? 0 }
    return all.map { row in
      var line = left(row[0], widths[0])
      for column in row.indices.dropFirst() { line += "  " + (areNumbers ? right : left)(row[column], widths[column]) }
      while line.last == " " { line.removeLast() }
      return line + "\n"
    }.joined()
  }

  private static func left(_ text: String, _ width: Int) -> String {
    text + String(repeating: " ", count: max(0, width - text.count))
  }

  private static func right(_ text: String, _ width: Int) -> String {
    String(repeating: " ", count: max(0, width - text.count)) + text
  }
}

/// Numbers for people, whatever the locale.
enum Amount {
  /// "0 B", "286.3 KiB", "1.2 GiB".
  static func bytes(_ count: Int) -> String { scaled(Double(count), by: 1024, ["B", "KiB", "MiB", "GiB", "TiB"]) }

  /// "0", "81.2 million".
  static func operations(_ count: Int) -> String {
    scaled(Double(count), by: 1000, ["FLOP", "kFLOP", "MFLOP", "GFLOP", "TFLOP", "PFLOP"])
  }

  /// "1,234,567"
  static func grouped(_ number: Int) -> String {
    var groups: [Substring] = []
    var digits = String(number.magnitude)[...]
    while digits.count > 3 {
      groups.insert(digits.suffix(3), at: 0)
      digits = digits.dropLast(3)
    }
    groups.insert(digits, at: 0)
    return (number < 0 ? "-" : "") + groups.joined(separator: ",")
  }

  static func fixed(_ value: Double, _ digits: Int) -> String { String(format: "%.\(digits)f", locale: nil, value) }

  static func count(_ number: Int, _ noun: String) -> String { "\(grouped(number)) \(noun)\(number == 1 ? "" : "s")" }

  private static func scaled(_ value: Double, by factor: Double, _ units: [String]) -> String {
    var value = value
    var unit = 0
    while value >= factor, unit + 1 < units.count {
      value /= factor
      unit += 1
    }
    return "\(unit == 0 ? String(Int(value)) : fixed(value, 1)) \(units[unit])"
  }
}
