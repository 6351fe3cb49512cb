public import EspalierNN
import EspalierTensor

/// Images with a class each, from files that a person has.
///
///     data: { images: { path: launch/data/fashion-mini } }
public struct ImageSettings: CheckedSettings, DataSettings {
  public var path = ""
  public var validation = "test"
  public var splitSeed: UInt64 = 1
  public var normalize = PixelNormalization.auto
  public var pad = 0
  public var channels = 0
  public var augment = AugmentationSettings()
  public var maximumBytes = 4 << 30

  public init() {}

  public init(path: String) { self.path = path }

  public static let summary =
    "Images with a class each: a folder of IDX files (MNIST's format, plain or gzip), .npy arrays, or raw arrays."

  public static let fields = [
    SettingField(
      "path", unit: "path",
      "A folder with images and labels to learn from and others to be measured on: train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-… or test-… (also .gz), train-images.npy and so on, or raw arrays with a shape.yaml."
    ),
    SettingField(
      "validation", unit: "test | percent | none",
      "What the model is measured on: the folder's test set, or a part of each class of the training set, drawn by splitSeed, which leaves the test set for later."
    ),
    SettingField(
      "splitSeed", unit: "0 to 2^64-1",
      "Draws that part; apart from the run's seed, so that runs of several seeds are measured on one set."),
    SettingField(
      "normalize", unit: "none | auto | [mean, deviation]",
      "What is taken from every pixel of 0 to 1 and what it is then divided by; auto: of all pixels of the training set."
    ),
    SettingField(
      "pad", unit: "pixels/side, 0 = as it is", "Puts each image into the middle of a black square of this side."),
    SettingField("channels", unit: "channels, 0 = as it is", "Repeats grey images to so many channels."),
    SettingField("augment", "How training images are disturbed, each by its own chance at each step."),
    SettingField("maximumBytes", unit: "bytes", "The most that the files may have, unpacked."),
  ]

  public static let limits: [String: SettingLimit] = [
    "pad": .within(0...4096), "channels": .within(0...4), "maximumBytes": .positive,
  ]

  enum Validation: Equatable {
    case none, test
    case part(Double)
  }

  /// Nil for what is no such part.
  var parsedValidation: Validation? {
    if validation.trimmed == "test" { return .test }
    return Percentage.fraction(validation).map { $0 == 0 ? .none : .part($0) }
  }

  public func problems() -> [SettingProblem] {
    if parsedValidation == nil {
      return [
        SettingProblem(
          "validation", "data.images.validation must be test, none or a part below 100%, got '\(validation)'",
          remedy: "write it as 10%")
      ]
    }
    if case .given(_, let deviation) = normalize, !(deviation > 0) {
      return [
        SettingProblem(
          "normalize", "data.images.normalize divides by a deviation of \(deviation)",
          remedy: "write [mean, deviation] with a deviation above 0, or auto")
      ]
    }
    return []
  }

  public func open(context: Int) throws -> DataSplits {
    let validation = parsedValidation ?? .test
    let files = try ImageFolder.read(path, withTest: validation == .test, maximumBytes: maximumBytes)
    let preparation = try ImagePreparation(self, files.training.pixels, path: path)
    let training = ImageDataset(path, files.training, files, preparation)
    switch validation {
    case .none: return DataSplits(training: training, validation: nil)
    case .test:
      let test = files.test.map { ImageDataset("\(path), test", $0, files, preparation) }
      return DataSplits(training: training, validation: test)
    case .part(let fraction):
      let key = RandomKey(seed: splitSeed).child("images.validation")
      guard
        let split = StratifiedSplit(
          labels: training.labels, samples: Array(training.labels.indices), fraction: fraction, key: key)
      else {
        throw DataError(
          .badSplit, subject: path,
          reason: "data.images.validation (\(self.validation)) leaves a class with nothing to learn from",
          remedy: "take a smaller part, or validation: test")
      }
      func part(_ name: String, _ samples: [Int]) -> SubsetDataset {
        SubsetDataset(training, named: name, indices: samples.map { UInt32($0) })
      }
      return DataSplits(
        training: part("\(path), the rest", split.kept),
        validation: part("\(path), validation part", split.drawn))
    }
  }
}

/// What is taken from a pixel of 0 to 1, and what it is then divided by.
public enum PixelNormalization: Sendable, Equatable {
  case none
  /// Mean and standard deviation of all pixels of the training set.
  case auto
  case given(mean: Double, deviation: Double)
}

extension PixelNormalization: Codable {
  public init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    if let numbers = try? container.decode([Double].self), numbers.count == 2 {
      self = .given(mean: numbers[0], deviation: numbers[1])
      return
    }
    switch try? container.decode(String.self) {
    case "none": self = .none
    case "auto": self = .auto
    default:
      throw DecodingError.dataCorrupted(
        .init(codingPath: decoder.codingPath, debugDescription: "it is none, auto or [mean, deviation]"))
    }
  }

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    switch self {
    case .none: try container.encode("none")
    case .auto: try container.encode("auto")
    case .given(let mean, let deviation): try container.encode([mean, deviation])
    }
  }
}

/// How training images are disturbed.
public struct AugmentationSettings: CheckedSettings {
  public var pad = 0
  public var flip = false

  public init() {}

  public static let fields = [
    SettingField(
      "pad", unit: "pixels, 0 = off", "Moves each image by up to so many pixels in each direction; black follows."),
    SettingField("flip", unit: "true | false", "Mirrors an image left to right, with an even chance."),
  ]

  public static let limits: [String: SettingLimit] = ["pad": .within(0...1024)]
}
