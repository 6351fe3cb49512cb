public import EspalierNN
import EspalierTensor

/// Tasks made of numbers alone, for tests and first steps: every sample is computed from its index.
public struct SyntheticSettings: CheckedSettings, DataSettings {
  public enum Kind: String, Codable, Sendable, CaseIterable { case shift, copy, classes }

  public var kind = Kind.shift
  public var samples = 4096
  public var validation = 512
  public var vocabulary = 32
  public var classes = 10
  public var features = 32
  public var noise = 0.5
  public var seed: UInt64 = 1

  public init() {}

  public static let summary =
    "Tasks made of numbers alone, for tests and first steps: shift and copy (tokens), classes (features)."

  public static let fields = [
    SettingField(
      "kind", unit: "shift | copy | classes",
      "shift: each token is the last one plus a step that the sample begins with; copy: the second half repeats the first; classes: normal clouds about one centre a class."
    ),
    SettingField("samples", unit: "samples", "Samples to learn from."),
    SettingField("validation", unit: "samples, 0 = none", "Samples to be measured on, other ones."),
    SettingField("vocabulary", unit: "tokens", "How many different tokens shift and copy have."),
    SettingField("classes", unit: "classes", "How many classes there are."),
    SettingField("features", unit: "numbers/sample", "The width of a sample of classes."),
    SettingField(
      "noise", unit: "standard deviations",
      "How far samples of classes lie from their centre; centres are normal with deviation 1."),
    SettingField(
      "seed", unit: "0 to 2^64-1",
      "Keys the samples; apart from the run's seed, so that runs of several seeds have one task."),
  ]

  public static let limits: [String: SettingLimit] = [
    "samples": .positive, "validation": .notNegative, "vocabulary": .within(2...1_000_000),
    "classes": .within(2...1_000_000),
    "features": .within(1...1_000_000), "noise": .notNegative,
  ]

  public func open(context: Int) throws -> DataSplits {
    func set(_ indices: Range<UInt64>) -> any Dataset {
      kind == .classes
        ? SyntheticClasses(self, context: context, indices: indices)
        : SyntheticDataset(self, context: context, indices: indices)
    }
    return DataSplits(
      training: set(0..<UInt64(samples)),
      validation: validation == 0 ? nil : set(UInt64(samples)..<UInt64(samples) + UInt64(validation)))
  }
}

extension SyntheticSettings {
  var key: RandomKey { RandomKey(seed: seed).child("synthetic").child(kind.rawValue) }

  /// The hash of some samples of the endless task.
  func contentHash(context: Int, range: Range<UInt64>) -> UInt64 {
    var hash = ContentHash(seed: 4)
    hash.add(key.state)
    for number in [context, vocabulary, classes, features] { hash.add(UInt64(number)) }
    hash.add(noise.bitPattern)
    hash.add(range.lowerBound)
    hash.add(range.upperBound)
    return hash.value
  }
}

/// A synthetic task of tokens. Sample i is a function of the settings and i alone; nothing is stored.
public struct SyntheticDataset: Dataset {
  private let settings: SyntheticSettings
  private let context: Int
  /// Which samples of the endless task these are.
  private let range: Range<UInt64>
  private let key: RandomKey

  init(_ settings: SyntheticSettings, context: Int, indices: Range<UInt64>) {
    require(context > 0, "a sample has at least one token, got a context of \(context)")
    self.settings = settings
    self.context = context
    range = indices
    key = settings.key
  }

  public var sampleCount: Int { range.count }
  public var targetsAreBytes: Bool { false }
  public var classCount: Int { settings.vocabulary }
  public var inputs: DatasetInputs { .tokens(vocabulary: settings.vocabulary, time: context) }
  public var bytesPerSample: Int { 4 * 2 * context }

  public var description: String {
    "synthetic \(settings.kind.rawValue): \(sampleCount) samples of \(context) tokens of \(settings.vocabulary)"
  }

  public var contentHash: UInt64 { settings.contentHash(context: context, range: range) }

  public func batch(of indices: [UInt64]) throws -> Batch {
    for index in indices { require(index < UInt64(sampleCount), "sample \(index) is none of \(sampleCount)") }
    var inputs: [Int32] = [], targets: [Int32] = []
    for index in indices {
      let tokens = tokens(key.child(range.lowerBound + index))
      inputs += tokens.dropLast()
      // What is drawn by chance cannot be learnt, so nothing is asked there: the first half of a copy, a shift's first step.
      let firstAsked = settings.kind == .copy ? half : 2
      targets += tokens.indices.dropFirst().map { $0 >= firstAsked ? tokens[$0] : Batch.ignored }
    }
    let shape: Shape = [indices.count, context]
    return Batch(
      inputs: .tokens(Indices(inputs, shape: shape)), targets: Indices(targets, shape: shape), samples: indices)
  }

  /// How many tokens a copy repeats.
  private var half: Int { (context + 2) / 2 }

  /// The context + 1 tokens of a sample, the last of which is only a target.
  private func tokens(_ key: RandomKey) -> [Int32] {
    let count = UInt64(settings.vocabulary)
    switch settings.kind {
    case .copy:
      return (0...context).map { Int32(key.bits(at: UInt64($0 % half)) % count) }
    default:
      let first = key.bits(at: 0) % count, step = key.bits(at: 1) % count
      return (0...context).map { Int32((first + step * (UInt64($0) % count)) % count) }
    }
  }
}
