/// Which rows of the head compete when a sample is measured. One run can be measured in several views, of the same
/// outputs.
package struct TaskView: RawRepresentable, Hashable, Sendable {
  package let rawValue: String

  package init(rawValue: String) { self.rawValue = rawValue }

  /// All rows that the head has: the task of a sample is not known.
  package static let `class` = TaskView(rawValue: "class")
  /// The rows of the sample's task: foreign ones are masked.
  package static let task = TaskView(rawValue: "task")

  /// For people: what decides an answer.
  package var title: String {
    switch self {
    case .class: "among all classes"
    case .task: "among the classes of the task"
    default: rawValue
    }
  }
}

extension TaskView: Comparable {
  /// `class` first: the harder question.
  package static func < (first: TaskView, second: TaskView) -> Bool { first.rawValue < second.rawValue }
}

extension TaskView: Codable, CodingKeyRepresentable {
  private struct Key: CodingKey {
    let stringValue: String
    var intValue: Int? { nil }
    init(stringValue: String) { self.stringValue = stringValue }
    init?(intValue: Int) { nil }
  }

  package var codingKey: any CodingKey { Key(stringValue: rawValue) }

  package init?(codingKey: some CodingKey) { self.init(rawValue: codingKey.stringValue) }

  package init(from decoder: any Decoder) throws {
    self.init(rawValue: try decoder.singleValueContainer().decode(String.self))
  }

  package func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(rawValue)
  }
}
