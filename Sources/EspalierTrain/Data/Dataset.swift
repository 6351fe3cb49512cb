public import EspalierNN
public import EspalierTensor

/// Samples by index. A value that any thread may read: ranks of one process share it.
public protocol Dataset: Sendable {
  /// One line for people: "launch/data/pride.txt, 684767 bytes, 5349 samples of 128 bytes".
  var description: String { get }
  var sampleCount: Int { get }
  /// What one sample's inputs look like.
  var inputs: DatasetInputs { get }
  /// How many different targets there are: the logits that a model needs.
  var classCount: Int { get }
  /// Every target is a byte of text, so loss / ln 2 is bits per byte.
  var targetsAreBytes: Bool { get }
  /// What a sample takes in a `Batch`, inputs and targets, in bytes.
  var bytesPerSample: Int { get }
  /// A hash of everything that decides which samples there are: a resumed run tells by it that the data are the same.
  var contentHash: UInt64 { get }

  /// The samples at `indices`, in that order; an empty list gives a batch of no samples.
  /// - Precondition: every index is below `sampleCount`.
  /// - Throws: `DataError` when the data cannot be read.
  func batch(of indices: [UInt64]) throws -> Batch
}

/// What one sample's inputs look like.
public enum DatasetInputs: Sendable, Equatable {
  /// `time` tokens below `vocabulary`.
  case tokens(vocabulary: Int, time: Int)
  /// Dense features of a shape, without the dimension of samples.
  case features(Shape)
}

/// What a run learns from and what it is measured on.
public struct DataSplits: Sendable {
  public let training: any Dataset
  /// Nil where the recipe asks for none.
  public let validation: (any Dataset)?

  public init(training: any Dataset, validation: (any Dataset)?) {
    self.training = training
    self.validation = validation
  }

  /// One hash of both.
  public var contentHash: UInt64 {
    var hash = ContentHash(seed: 2)
    hash.add(training.contentHash)
    hash.add(validation?.contentHash ?? 0)
    return hash.value
  }
}

/// Options that open a data set.
public protocol DataSettings: Settings {
  /// One sentence for `espalier list`.
  static var summary: String { get }
  /// Opens the data.
  /// - Parameter context: the tokens that the model reads at once; sets without a time dimension pass over it.
  /// - Throws: `DataError`.
  func open(context: Int) throws -> DataSplits
}

/// The data sets that a recipe may name.
public enum DataCatalogue {
  public static let standard: [String: any Settings.Type] = [
    "images": ImageSettings.self,
    "synthetic": SyntheticSettings.self,
    "text": TextSettings.self,
  ]

  /// Opens what a recipe chose.
  /// - Throws: `DataError`, or `SettingsError` where the name stands for no data set.
  public static func open(
    _ choice: Choice, context: Int, table: [String: any Settings.Type] = standard
  ) throws -> DataSplits {
    guard let type = table[choice.name] as? any DataSettings.Type else {
      throw SettingsError(
        .unknownChoice, subject: "data.\(choice.name)", reason: "unknown data '\(choice.name)'",
        remedy: NearestName.hint(choice.name, in: table.keys.sorted()))
    }
    return try Self.open(choice, as: type, context: context)
  }

  private static func open<S: DataSettings>(_ choice: Choice, as type: S.Type, context: Int) throws -> DataSplits {
    try choice.settings(as: S.self).open(context: context)
  }
}

/// Data that are missing, unreadable or too small, in one sentence.
public struct DataError: Error, Equatable, CustomStringConvertible {
  public enum Kind: Sendable, Equatable {
    case missing, unreadable, empty, tooShort, tooLarge, notZstd, truncatedZstd, badSplit
    // Images.
    case notGzip, truncatedGzip, notIDX, notNpy, badDescription, unsupportedType
    case truncated, trailingBytes, countMismatch, sizeMismatch, badLabel, badPixel
  }

  public let kind: Kind
  /// The path or the key at fault.
  public let subject: String
  public let reason: String
  public let remedy: String

  public init(_ kind: Kind, subject: String, reason: String, remedy: String) {
    self.kind = kind
    self.subject = subject
    self.reason = reason
    self.remedy = remedy
  }

  public var description: String { "\(subject): \(reason); \(remedy)" }
}

/// A running 64-bit hash of bytes and numbers; not for signatures.
package struct ContentHash {
  package private(set) var value: UInt64

  package init(seed: UInt64) { value = RandomKey.mix(seed) }

  package mutating func add(_ number: UInt64) {
    value = RandomKey.mix(value ^ RandomKey.mix(number)) &+ 0x9e37_79b9_7f4a_7c15
  }

  /// Adds the bytes and their count, eight at a time in little-endian order.
  package mutating func add(_ bytes: UnsafeRawBufferPointer) {
    add(UInt64(bytes.count))
    var hash = value
    var offset = 0
    while offset + 8 <= bytes.count {
      let word = UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
      hash = RandomKey.mix(hash ^ word) &+ 0x9e37_79b9_7f4a_7c15
      offset += 8
    }
    var tail: UInt64 = 0
    for index in offset..<bytes.count { tail |= UInt64(bytes[index]) << UInt64(8 * (index - offset)) }
    value = RandomKey.mix(hash ^ tail)
  }
}
