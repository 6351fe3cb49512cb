/// Options that a file may set: every field has a default in code, so a file states only what differs.
///
/// No field is an `Optional` (nil vanishes from encoded defaults and would look unknown): use an enum or a sentinel.
public protocol Settings: Codable, Sendable, Equatable {
  init()
  /// One entry for each coding key, in the order of the declaration; `espalier describe` prints them.
  static var fields: [SettingField] { get }
}

/// Of a choice that has no options.
public struct NoOptions: Settings {
  /// The only value.
  public init() {}
  /// None.
  public static let fields: [SettingField] = []
}

/// What `espalier describe` says of one option.
public struct SettingField: Sendable, Equatable {
  /// The coding key.
  public let key: String
  /// The unit, or what may stand there: "tokens", "1/step", "constant | cosine | wsd".
  public let unit: String
  /// One sentence.
  public let meaning: String

  /// A field of its parts.
  public init(_ key: String, unit: String = "", _ meaning: String) {
    self.key = key
    self.unit = unit
    self.meaning = meaning
  }
}
