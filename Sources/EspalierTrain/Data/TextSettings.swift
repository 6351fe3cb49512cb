public import EspalierNN
import EspalierTensor

/// Text as bytes: every byte is a token, 256 in all.
public struct TextSettings: CheckedSettings, DataSettings {
  public var path = ""
  public var validation = "5%"
  public var splitSeed: UInt64 = 1
  public var maximumBytes = 16 << 30

  public init() {}

  public init(path: String, validation: String = "5%") {
    self.path = path
    self.validation = validation
  }

  public static let summary =
    "Text as bytes: a file, a folder or a pattern, plain or zstd; every byte is a token of 256."

  public static let fields = [
    SettingField(
      "path", unit: "path",
      "A file, a folder or a pattern with * and ?; plain text or zstd (.zst); several files are read end to end in the order of their paths."
    ),
    SettingField(
      "validation", unit: "percent | path | none",
      "What the model is measured on: a part of the text, in blocks drawn by splitSeed, or a text of its own."),
    SettingField(
      "splitSeed", unit: "0 to 2^64-1",
      "Draws the blocks of the validation set; apart from the run's seed, so that runs of several seeds are measured on one set."
    ),
    SettingField("maximumBytes", unit: "bytes", "The most that the text may have, unpacked."),
  ]

  public static let limits: [String: SettingLimit] = ["maximumBytes": .positive]

  enum Validation: Equatable {
    case none
    case part(Double)
    case path(String)
  }

  /// Nil for a percentage that cannot be.
  var parsedValidation: Validation? {
    let text = validation.trimmed
    if text.isEmpty || text == "none" || text == "0%" || text == "0" { return Validation.none }
    if text.hasSuffix("%") {
      guard let percent = Double(text.dropLast().trimmed), percent > 0, percent < 100 else { return nil }
      return .part(percent / 100)
    }
    if let number = Double(text) { return number > 0 && number < 1 ? .part(number) : nil }
    return .path(text)
  }

  public func problems() -> [SettingProblem] {
    parsedValidation == nil
      ? [
        SettingProblem(
          "validation",
          "data.text.validation must be a part from 0% to below 100%, a path or none, got '\(validation)'",
          remedy: "write it as 5%")
      ] : []
  }

  public func open(context: Int) throws -> DataSplits {
    let bytes = try TextBytes(path: path, maximumBytes: maximumBytes)
    let name = bytes.paths.count == 1 ? path : "\(path) (\(bytes.paths.count) files)"
    switch parsedValidation ?? Validation.none {
    case .none:
      return DataSplits(
        training: try TextDataset(name, bytes, runs: [0..<bytes.count], context: context), validation: nil)
    case .path(let path):
      let other = try TextBytes(path: path, maximumBytes: maximumBytes)
      return DataSplits(
        training: try TextDataset(name, bytes, runs: [0..<bytes.count], context: context),
        validation: try TextDataset(path, other, runs: [0..<other.count], context: context))
    case .part(let fraction):
      let split = try TextSplit(name, byteCount: bytes.count, context: context, fraction: fraction, seed: splitSeed)
      return DataSplits(
        training: try TextDataset(name, bytes, runs: split.training, context: context),
        validation: try TextDataset(name + ", validation part", bytes, runs: split.validation, context: context))
    }
  }
}

/// Cuts a text in two by blocks, some of which are drawn for validation.
///
/// Blocks have max(min(16384, bytes / 64), 4 · context + 1) bytes, the last one the rest; of n blocks, round(fraction · n), but at
/// least one and not all, are validation: those whose place in a keyed permutation comes first. Neighbouring blocks of one kind
/// make one run, and no window crosses the end of a run, so no byte is in both sets.
package struct TextSplit: Equatable {
  package let training: [Range<Int>]
  package let validation: [Range<Int>]

  /// - Throws: `DataError` of kind `.badSplit` for a text of fewer than two blocks.
  package init(_ name: String, byteCount: Int, context: Int, fraction: Double, seed: UInt64) throws {
    let size = max(min(16_384, byteCount / 64), 4 * context + 1)
    // A rest that is shorter than a block belongs to the last one.
    let count = byteCount / size
    guard count >= 2 else {
      throw DataError(
        .badSplit, subject: name,
        reason:
          "\(byteCount) bytes are too few to cut a validation part off for a context of \(context) (\(2 * size) are needed)",
        remedy: "use more text, a shorter model.context, or data.text.validation: none or a file of its own")
    }
    let drawn = min(max(Int((fraction * Double(count)).rounded()), 1), count - 1)
    let order = EpochOrder(sampleCount: count, key: RandomKey(seed: seed).child("text.validation"))
    let chosen = Set((0..<UInt64(drawn)).map { order.sample(epoch: 0, place: $0) })
    var training: [Range<Int>] = [], validation: [Range<Int>] = []
    for block in 0..<count {
      let range = block * size..<(block == count - 1 ? byteCount : (block + 1) * size)
      if chosen.contains(UInt64(block)) { Self.add(range, to: &validation) } else { Self.add(range, to: &training) }
    }
    self.training = training
    self.validation = validation
  }

  private static func add(_ range: Range<Int>, to runs: inout [Range<Int>]) {
    if let last = runs.last, last.upperBound == range.lowerBound {
      runs[runs.count - 1] = last.lowerBound..<range.upperBound
    } else {
      runs.append(range)
    }
  }
}
