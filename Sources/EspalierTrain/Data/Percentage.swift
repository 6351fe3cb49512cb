/// A part of something as a recipe writes it: `5%`, `0.05`, or `none`.
enum Percentage {
  /// The part from 0 to below 1; nil for what is no such part.
  static func fraction(_ text: String) -> Double? {
    let text = text.trimmed
    if text.isEmpty || text == "none" { return 0 }
    let part = text.hasSuffix("%") ? Double(text.dropLast().trimmed).map { $0 / 100 } : Double(text)
    guard let part, part >= 0, part < 1 else { return nil }
    return part
  }
}

extension StringProtocol {
  /// Without spaces at both ends.
  var trimmed: String {
    String(drop(while: \.isWhitespace).reversed().drop(while: \.isWhitespace).reversed())
  }
}
