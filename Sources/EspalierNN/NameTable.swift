/// What another program calls the weights of a model: one line a weight, `*` for the number of a block.
///
/// A weight that is one here and several there is cut along its first axis; that is all that a table can express. Where
/// numbers themselves would differ (another order of features, transposed products), a table does not apply and says so.
public struct NameTable: Sendable, Equatable {
  /// One of the names that a weight has elsewhere, and how much of its first axis.
  public struct Part: Sendable, Equatable {
    /// `model.layers.*.self_attn.q_proj.weight`
    public let name: String
    /// Rows, in proportion to the other parts' shares.
    public let share: Int

    /// A part of its name and share.
    public init(_ name: String, share: Int = 1) {
      self.name = name
      self.share = share
    }
  }

  /// One weight.
  public struct Rule: Sendable, Equatable {
    /// The name here.
    public let name: String
    /// The names elsewhere, in the order of the rows.
    public let parts: [Part]

    /// A weight that is whole in both places.
    public init(_ name: String, _ other: String) { self.init(name, [Part(other)]) }

    /// A weight that is several elsewhere.
    public init(_ name: String, _ parts: [Part]) {
      self.name = name
      self.parts = parts
    }
  }

  /// What `--names` takes.
  public let name: String
  /// One sentence: whose names they are.
  public let summary: String
  /// Every weight of the model.
  public let rules: [Rule]
  /// Names elsewhere of tensors that repeat another of theirs, as files may hold a tied head twice; by name.
  public let copies: [String: String]
  /// Names elsewhere of what is computed rather than learned.
  public let ignored: [String]
  /// Why the table does not apply to this configuration; nil where it does.
  public let refusal: String?

  /// A table of its parts.
  public init(
    _ name: String, _ summary: String, rules: [Rule], copies: [String: String] = [:], ignored: [String] = [],
    refusal: String? = nil
  ) {
    self.name = name
    self.summary = summary
    self.rules = rules
    self.copies = copies
    self.ignored = ignored
    self.refusal = refusal
  }

  /// The table that changes nothing.
  public static let identityName = "espalier"

  /// The parts of a weight elsewhere; nil where no rule knows it.
  package func parts(of weight: String) -> [Part]? {
    for rule in rules {
      guard let number = Self.match(rule.name, weight) else { continue }
      return rule.parts.map { Part(Self.fill($0.name, number), share: $0.share) }
    }
    return nil
  }

  /// Whether a tensor elsewhere is one that has no place here, and is not missed.
  package func ignores(_ name: String) -> Bool { ignored.contains { Self.match($0, name) != nil } }

  /// What `*` stands for, digits or nothing; nil where the name does not fit.
  private static func match(_ pattern: String, _ name: String) -> Substring? {
    guard let star = pattern.firstIndex(of: "*") else { return pattern == name ? "" : nil }
    let (head, tail) = (pattern[..<star], pattern[pattern.index(after: star)...])
    guard name.hasPrefix(head), name.hasSuffix(tail), name.count > head.count + tail.count else { return nil }
    let number = name.dropFirst(head.count).dropLast(tail.count)
    return number.utf8.allSatisfy { 0x30...0x39 ~= $0 } ? number : nil
  }

  private static func fill(_ pattern: String, _ number: Substring) -> String {
    pattern.split(separator: "*", omittingEmptySubsequences: false).joined(separator: String(number))
  }
}

/// A model whose weights other programs know under names of their own.
public protocol NamedElsewhere: Model {
  /// The tables of a configuration as a recipe states it: what the data decide may still be open.
  static func nameTables(_ configuration: Configuration) -> [NameTable]
}
