public import EspalierNN
import EspalierTensor
import Foundation

/// How pixels become what a model reads: one recipe for training and test images.
struct ImagePreparation: Sendable, Equatable {
  /// As the model sees it.
  let shape: ImageShape
  let mean: Double
  let deviation: Double
  let augment: AugmentationSettings

  /// - Throws: `DataError` where the settings do not fit the images.
  init(_ settings: ImageSettings, _ training: ImagePixels, path: String) throws {
    let own = training.shape
    let channels = settings.channels == 0 ? own.channels : settings.channels
    guard channels == own.channels || own.channels == 1 else {
      throw DataError(
        .sizeMismatch, subject: path,
        reason: "data.images.channels is \(channels), and its images have \(own.channels)",
        remedy: "only grey images can be repeated; leave channels out")
    }
    guard settings.pad == 0 || settings.pad >= max(own.height, own.width) else {
      throw DataError(
        .sizeMismatch, subject: path,
        reason: "data.images.pad (\(settings.pad)) is smaller than its images of \(own.height) x \(own.width)",
        remedy: "choose a side of \(max(own.height, own.width)) or more, or leave pad out")
    }
    shape = ImageShape(
      channels: channels, height: settings.pad == 0 ? own.height : settings.pad,
      width: settings.pad == 0 ? own.width : settings.pad)
    augment = settings.augment
    guard augment.pad < max(shape.height, shape.width) else {
      throw DataError(
        .sizeMismatch, subject: path,
        reason: "data.images.augment.pad (\(augment.pad)) moves images of \(shape) out of sight",
        remedy: "choose a few pixels, as 4")
    }
    switch settings.normalize {
    case .none: (mean, deviation) = (0, 1)
    case .given(let mean, let deviation): (self.mean, self.deviation) = (mean, deviation)
    case .auto:
      (mean, deviation) = training.statistics()
      guard deviation > 0, deviation.isFinite else {
        throw DataError(
          .badPixel, subject: path,
          reason: "its pixels have a deviation of \(deviation), by which data.images.normalize: auto cannot divide",
          remedy: "look at the images, or write normalize: none")
      }
    }
  }

  /// A value of 0 to 1 as the model reads it.
  func prepared(_ value: Double) -> Float { Float((value - mean) / deviation) }
}

/// Images with their classes; pixels stay as the file has them until a batch asks for them.
public struct ImageDataset: LabelledDataset, AugmentedDataset {
  public let description: String
  public let labels: [Int32]
  public let classCount: Int
  public let contentHash: UInt64
  /// As the model sees them.
  public let shape: ImageShape
  /// What is taken from a pixel of 0 to 1, and what it is then divided by.
  public let mean: Double
  public let deviation: Double
  /// By class; empty where the folder has no names.
  public let classNames: [String]
  public let augmentation: ImageAugmentation?
  private let pixels: ImagePixels
  private let preparation: ImagePreparation
  /// What each byte becomes.
  private let table: [Float]

  init(_ name: String, _ images: LabelledImages, _ files: ImageFolder, _ preparation: ImagePreparation) {
    pixels = images.pixels
    labels = images.labels
    self.preparation = preparation
    shape = preparation.shape
    mean = preparation.mean
    deviation = preparation.deviation
    classCount = files.classCount
    classNames = files.classNames
    table = (0...255).map { preparation.prepared(ImagePixels.value($0)) }
    let augment = preparation.augment
    augmentation =
      augment == AugmentationSettings()
      ? nil
      : ImageAugmentation(
        shape: preparation.shape, pad: augment.pad, flip: augment.flip, fill: preparation.prepared(0))
    description =
      "\(name): \(images.pixels.count) images of \(images.pixels.shape) (\(files.format)), \(files.classCount) classes"
    var hash = ContentHash(seed: 8)
    pixels.hash(into: &hash)
    labels.withUnsafeBytes { hash.add($0) }
    for number in [shape.channels, shape.height, shape.width, files.classCount] { hash.add(UInt64(number)) }
    hash.add(mean.bitPattern)
    hash.add(deviation.bitPattern)
    contentHash = hash.value
  }

  /// Mean and standard deviation of all pixels of 0 to 1, as the files have them.
  /// - Complexity: the pixels.
  package func pixelStatistics() -> (mean: Double, deviation: Double) { pixels.statistics() }

  public var sampleCount: Int { labels.count }
  public var inputs: DatasetInputs { .features([shape.channels, shape.height, shape.width]) }
  public var targetsAreBytes: Bool { false }
  public var bytesPerSample: Int { 4 * (shape.count + 1) }

  public func batch(of indices: [UInt64]) throws -> Batch {
    for index in indices { require(index < UInt64(sampleCount), "sample \(index) is none of \(sampleCount)") }
    let total = indices.count * shape.count
    let values = [Float](unsafeUninitializedCapacity: total) { target, count in
      if shape.count > pixels.shape.count { target.initialize(repeating: preparation.prepared(0)) }
      pixels.data.withUnsafeBytes { bytes in
        for (row, index) in indices.enumerated() {
          write(image: Int(index), of: bytes, to: target, at: row * shape.count)
        }
      }
      count = total
    }
    return Batch(
      inputs: .features(values, [indices.count, shape.channels, shape.height, shape.width]),
      targets: Indices(indices.map { labels[Int($0)] }, shape: [indices.count]), samples: indices)
  }

  /// Writes one image into the middle of its square.
  private func write(
    image: Int, of bytes: UnsafeRawBufferPointer, to target: UnsafeMutableBufferPointer<Float>, at start: Int
  ) {
    let own = pixels.shape, plane = own.height * own.width
    let top = (shape.height - own.height) / 2, left = (shape.width - own.width) / 2
    for channel in 0..<shape.channels {
      // Elements from the first of the file.
      let first = image * own.count + (own.channels == 1 ? 0 : channel * plane)
      for y in 0..<own.height {
        let line = start + (channel * shape.height + top + y) * shape.width + left
        let source = first + y * own.width
        switch pixels.element {
        case .byte:
          for x in 0..<own.width { target[line + x] = table[Int(bytes[pixels.offset + source + x])] }
        case .float:
          for x in 0..<own.width {
            let value = ImagePixels.float(bytes, pixels.offset + 4 * (source + x))
            target[line + x] = preparation.prepared(Double(value))
          }
        }
      }
    }
  }
}
