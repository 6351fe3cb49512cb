import EspalierNN
import EspalierTensor
import EspalierTrain

/// One data set as it is.
struct DataReport: Encodable {
  struct Sample: Encodable {
    let index: Int
    /// Inputs as text, tokens or numbers.
    let inputs: String
    let targets: String
    /// Only for people.
    let picture: String?

    private enum CodingKeys: CodingKey { case index, inputs, targets }
  }

  let name: String
  let description: String
  let sampleCount: Int
  let bytesPerSample: Int
  let classCount: Int
  let isText: Bool
  let contentHash: String
  /// By class; nil where samples have none.
  let samplesOfClass: [Int]?
  /// Of one sample; nil for tokens.
  let shape: [Int]?
  /// Of images: all pixels of 0 to 1, and what a model is given of them.
  let pixels: Pixels?
  let samples: [Sample]

  struct Pixels: Encodable {
    let mean: Double
    let deviation: Double
    let subtracted: Double
    let divisor: Double
  }

  init(name: String, _ data: any Dataset, samples count: Int) throws {
    self.name = name
    description = data.description
    sampleCount = data.sampleCount
    bytesPerSample = data.bytesPerSample
    classCount = data.classCount
    isText = data.targetsAreBytes
    let digits = String(data.contentHash, radix: 16)
    contentHash = String(repeating: "0", count: 16 - digits.count) + digits
    samplesOfClass = (data as? any LabelledDataset)?.classCounts
    let shape: Shape? = if case .features(let shape) = data.inputs { shape } else { nil }
    self.shape = shape?.dimensions
    let images = data as? ImageDataset ?? (data as? SubsetDataset)?.base as? ImageDataset
    pixels = images.map {
      let (mean, deviation) = $0.pixelStatistics()
      return Pixels(mean: mean, deviation: deviation, subtracted: $0.mean, divisor: $0.deviation)
    }
    samples = try (0..<min(count, data.sampleCount)).map { index in
      let batch = try data.batch(of: [UInt64(index)])
      return Sample(
        index: index, inputs: Self.inputs(batch.inputs, asText: data.targetsAreBytes),
        targets: data.targetsAreBytes
          ? Self.text(batch.targets.values) : Self.list(batch.targets.values.map(String.init)),
        picture: Self.picture(batch.inputs))
    }
  }

  var text: String {
    var rows = [
      (name, description),
      ("samples", "\(Amount.grouped(sampleCount)) of \(Amount.count(bytesPerSample, "byte")) in a batch"),
      ("classes", "\(classCount)" + (samplesOfClass.map { ", of \(Self.counts($0))" } ?? "")),
    ]
    if let shape, shape.count > 1 { rows.append(("shape", shape.map(String.init).joined(separator: " x "))) }
    if let pixels {
      rows.append(
        ("pixels", "mean \(Amount.fixed(pixels.mean, 5)), deviation \(Amount.fixed(pixels.deviation, 5)) of 0 to 1"))
      rows.append(
        ("read as", "(pixel − \(Amount.fixed(pixels.subtracted, 5))) / \(Amount.fixed(pixels.divisor, 5))"))
    }
    var text = TextTable.pairs(rows + [("hash", contentHash)])
    for sample in samples {
      if let picture = sample.picture {
        text += "sample \(sample.index), class \(sample.targets)\n\(picture)"
        continue
      }
      // Of text the targets are the inputs, one byte on.
      text += "sample \(sample.index)\n  inputs   \(isText ? sample.inputs.debugDescription : sample.inputs)\n"
      if !isText { text += "  targets  \(sample.targets)\n" }
    }
    return text
  }

  /// "500 samples each", "498 to 510 samples each".
  private static func counts(_ counts: [Int]) -> String {
    let (least, most) = (counts.min() ?? 0, counts.max() ?? 0)
    return (least == most ? "" : "\(Amount.grouped(least)) to ") + "\(Amount.count(most, "sample")) each"
  }

  private static func inputs(_ inputs: Batch.Inputs, asText: Bool) -> String {
    switch inputs {
    case .tokens(let tokens): asText ? text(tokens.values) : list(tokens.values.map(String.init))
    case .features(let values, _): list(values.map { Amount.fixed(Double($0), 3) })
    }
  }

  /// One image `[1, channels, height, width]` as characters, two rows a line: the sum of its channels, from its least to its largest.
  private static func picture(_ inputs: Batch.Inputs) -> String? {
    guard case .features(let values, let shape) = inputs, shape.dimensions.count == 4, shape[3] <= 100 else {
      return nil
    }
    let (channels, height, width) = (shape[1], shape[2], shape[3])
    let lines = (0..<(height + 1) / 2).map { line in
      (0..<width).map { x in
        var sum: Float = 0, count = 0
        for y in 2 * line..<min(2 * line + 2, height) {
          for channel in 0..<channels { sum += values[(channel * height + y) * width + x] }
          count += channels
        }
        return sum / Float(count)
      }
    }
    let all = lines.joined()
    guard let least = all.min(), let most = all.max() else { return nil }
    let shades = Array(" .:-=+*#%@")
    return lines.map { line in
      var text = "  "
      for value in line { text.append(shades[most > least ? Int((value - least) / (most - least) * 9.99) : 0]) }
      while text.last == " " { text.removeLast() }
      return text + "\n"
    }.joined()
  }

  private static func text(_ bytes: [Int32]) -> String {
    String(decoding: bytes.map { UInt8(truncatingIfNeeded: $0) }, as: UTF8.self)
  }

  private static func list(_ words: [String]) -> String {
    words.prefix(16).joined(separator: " ") + (words.count > 16 ? " … (\(words.count))" : "")
  }
}

/// The tasks of a recipe.
enum SequenceReport {
  static func text(_ tasks: [TaskData]) -> String {
    TextTable.columns(
      ["task", "classes", "rows", "training", "held out", "test"],
      tasks.enumerated().map { index, task in
        [
          "\(index)", task.name, rows(task.rows), "\(task.training.sampleCount)", "\(task.heldOut?.sampleCount ?? 0)",
          "\(task.test.sampleCount)",
        ]
      })
  }

  /// Each task's sets, in the order of the sequence.
  static func sets(_ tasks: [TaskData]) throws -> [DataReport] {
    try tasks.enumerated().flatMap { index, task in
      try [("training", task.training), ("held out", task.heldOut), ("test", task.test)].compactMap { kind, set in
        try set.map { try DataReport(name: "task \(index), \(kind)", $0, samples: 0) }
      }
    }
  }

  /// Rows of one task are neighbours.
  private static func rows(_ rows: [Int32]) -> String {
    guard let first = rows.first, let last = rows.last, first != last else { return rows.map(String.init).joined() }
    return "\(first)–\(last)"
  }
}
