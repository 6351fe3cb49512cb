import Foundation

/// trace.json: a JSON array of events in the format of Chrome's tracing, one event a line.
///
/// A rank is a process of the picture, its threads are rows. The file appears whole or not at all.
/// The format: "Trace Event Format" by the Chromium authors; Perfetto reads it as well.
package struct TraceFile {
  private let path: String
  private let file: FileHandle
  private var isEmpty = true

  private var temporary: String { path + ".partial" }

  init(_ path: String) throws {
    self.path = path
    let temporary = path + ".partial"
    try Data("[\n".utf8).write(to: URL(filePath: temporary))
    file = try FileHandle(forWritingTo: URL(filePath: temporary))
    try file.seekToEnd()
  }

  /// Adds the events of one rank, as `events` makes them.
  mutating func append(_ events: [UInt8]) throws {
    guard !events.isEmpty else { return }
    if !isEmpty { try file.write(contentsOf: Data(",\n".utf8)) }
    try file.write(contentsOf: Data(events))
    isEmpty = false
  }

  /// Puts the file in its place.
  func close() throws {
    try file.write(contentsOf: Data("\n]\n".utf8))
    try file.close()
    guard rename(temporary, path) == 0 else { throw POSIXError(POSIXErrorCode(rawValue: errno) ?? .EIO) }
  }

  /// A rank's events as JSON objects with commas between them: its names first, then its spans by their begin.
  /// - Parameters:
  ///   - name: of the rank, as the picture shows it; `label` stands beside it.
  ///   - shift: nanoseconds that bring the rank's clock to the time of the picture.
  package static func events(
    _ spans: [TraceSpan], rank: Int, name: String, label: String, shift: Int64, dropped: Int
  ) -> [UInt8] {
    var names = JSONNames()
    var lines = [
      #"{"ph":"M","name":"process_name","pid":\#(rank),"tid":0,"args":{"name":\#(names[name])}}"#,
      #"{"ph":"M","name":"process_sort_index","pid":\#(rank),"tid":0,"args":{"sort_index":\#(rank)}}"#,
      #"{"ph":"M","name":"process_labels","pid":\#(rank),"tid":0,"args":{"labels":\#(names[label])}}"#,
    ]
    for row in TraceSpan.Row.allCases {
      lines.append(
        #"{"ph":"M","name":"thread_name","pid":\#(rank),"tid":\#(row.rawValue),"args":{"name":"\#(row)"}}"#)
    }
    if dropped > 0 {
      lines.append(
        #"{"ph":"M","name":"dropped_events","pid":\#(rank),"tid":0,"args":{"count":\#(dropped)}}"#)
    }
    // Spans are recorded as they end; viewers want the outer one of two that begin together first.
    for span in spans.sorted(by: { ($0.begin, $1.end) < ($1.begin, $0.end) }) {
      var arguments: [String] = []
      if span.sequence >= 0 { arguments.append(#""sequence":\#(span.sequence)"#) }
      if span.bytes > 0 { arguments.append(#""bytes":\#(span.bytes)"#) }
      lines.append(
        #"{"ph":"X","name":\#(names[span.name]),"cat":"\#(span.category.rawValue)","pid":\#(rank),"tid":\#(span.row.rawValue),"#
          + #""ts":\#(microseconds(span.begin + shift)),"dur":\#(microseconds(span.end - span.begin)),"args":{\#(arguments.joined(separator: ","))}}"#
      )
    }
    return Array(lines.joined(separator: ",\n").utf8)
  }

  /// Nanoseconds as decimal microseconds, exactly.
  private static func microseconds(_ nanoseconds: Int64) -> String {
    let (whole, rest) = nanoseconds.magnitude.quotientAndRemainder(dividingBy: 1000)
    let digits = String(rest)
    return (nanoseconds < 0 ? "-" : "") + "\(whole)." + String(repeating: "0", count: 3 - digits.count) + digits
  }
}

/// Names as JSON strings; a trace has few and repeats them often.
private struct JSONNames {
  private var known: [String: String] = [:]

  subscript(name: String) -> String {
    mutating get {
      if let found = known[name] { return found }
      let text = SettingValue.text(name).canonicalJSON
      known[name] = text
      return text
    }
  }
}
