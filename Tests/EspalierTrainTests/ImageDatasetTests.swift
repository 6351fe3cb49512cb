import EspalierNN
import EspalierTensor
import EspalierTrain
import Foundation
import Testing

/// Values of a batch of images, and its shape.
func imageValues(_ batch: Batch) -> ([Float], Shape) {
  guard case .features(let values, let shape) = batch.inputs else { return ([], []) }
  return (values, shape)
}

@Suite struct ImageDatasetTests {
  private static let all = Array(0..<UInt64(ImageFixture.count))

  @Test("every format gives the same images, bit for bit", arguments: ImageFixture.writers.map(\.name))
  func formats(_ name: String) throws {
    let folder = try ImageFixture.folder(name)
    let splits = try ImageSettings(path: folder.path).open(context: 0)
    let reference = try ImageFixture.folder()
    let expected = try ImageSettings(path: reference.path).open(context: 0)
    #expect(splits.contentHash == expected.contentHash)
    let pairs = [
      (splits.training, expected.training, 0), (try #require(splits.validation), try #require(expected.validation), 1),
    ]
    for (set, other, part) in pairs {
      let batch = try set.batch(of: Self.all)
      #expect(try batch == other.batch(of: Self.all))
      #expect(batch.targets.values == ImageFixture.labels.map { Int32($0) })
      #expect((set as? any LabelledDataset)?.labels == batch.targets.values)
      // Independent: mean and deviation of the training pixels in double.
      let training = ImageFixture.pixels(0).map { Double($0) / 255 }
      let mean = training.reduce(0, +) / Double(training.count)
      let variance = training.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(training.count)
      let (values, shape) = imageValues(batch)
      #expect(shape == [8, 1, 3, 4])
      for (value, pixel) in zip(values, ImageFixture.pixels(part)) {
        #expect(abs(Double(value) - (Double(pixel) / 255 - mean) / variance.squareRoot()) < 1e-6)
      }
    }
  }

  @Test("a folder a class reads its files in the order of their names")
  func classFolders() throws {
    let folder = try TemporaryFolder()
    let images = (0..<6).map { image in (0..<12).map { UInt8(image * 20 + $0) } }
    for (index, name) in [
      "train/cat/b.npy", "train/bird/a.npy", "train/bird/c.npy", "test/cat/x.npy", "test/bird/y.npy",
    ]
    .enumerated() {
      try folder.write(name, ImageFixture.npy("|u1", [3, 4], images[index]))
    }
    var settings = ImageSettings(path: folder.path)
    settings.normalize = .none
    let splits = try settings.open(context: 0)
    let batch = try splits.training.batch(of: [0, 1, 2])
    #expect(batch.targets.values == [0, 0, 1])
    #expect(imageValues(batch).0 == (images[1] + images[2] + images[0]).map { Float(Double($0) / 255) })
    #expect((splits.training as? ImageDataset)?.classNames == ["bird", "cat"])
    #expect(try splits.validation?.batch(of: [0, 1]).targets.values == [0, 1])
  }

  @Test("classes that are numbers are themselves, whatever the order of their names; raw images need their shape")
  func numberedFolders() throws {
    let folder = try TemporaryFolder()
    for (name, value) in [("train/10/a.raw", 1), ("train/2/a.raw", 2), ("test/2/a.raw", 3), ("test/10/a.raw", 4)] {
      try folder.write(name, [UInt8](repeating: UInt8(value), count: 4))
    }
    var settings = ImageSettings(path: folder.path)
    settings.normalize = .none
    let error = #expect(throws: DataError.self) { try settings.open(context: 0) }
    #expect(error?.kind == .badDescription)
    try folder.write("shape.json", "{\"shape\": [2, 2]}")
    let batch = try settings.open(context: 0).training.batch(of: [0, 1])
    #expect(batch.targets.values == [2, 10])
    #expect(imageValues(batch).0[0] == Float(2 / 255.0))
  }

  @Test("floats are read as they are, with channels first or behind")
  func floats() throws {
    let values: [Float] = (0..<120).map { Float($0) / 4 - 3 }
    var behind = values
    for place in 0..<120 {
      let (image, channel, pixel) = (place / 60, place / 20 % 3, place % 20)
      behind[image * 60 + pixel * 3 + channel] = values[place]
    }
    for (shape, stored) in [([2, 3, 4, 5], values), ([2, 4, 5, 3], behind)] {
      let folder = try TemporaryFolder()
      try folder.write("train-images.npy", ImageFixture.npy("<f4", shape, ImageFixture.floats(stored)))
      try folder.write("train-labels.npy", ImageFixture.npy("|u1", [2], [1, 0]))
      var settings = ImageSettings(path: folder.path)
      settings.validation = "none"
      settings.normalize = .none
      let splits = try settings.open(context: 0)
      #expect(splits.validation == nil)
      let (read, readShape) = imageValues(try splits.training.batch(of: [0, 1]))
      #expect(readShape == [2, 3, 4, 5] && read == values, "\(shape)")
      settings.normalize = .given(mean: 1, deviation: 2)
      #expect(imageValues(try settings.open(context: 0).training.batch(of: [1])).0[0] == (values[60] - 1) / 2)
    }
  }

  @Test("padding puts black around each image before it is normalised, and grey is repeated")
  func padding() throws {
    let folder = try ImageFixture.folder()
    var settings = ImageSettings(path: folder.path)
    settings.normalize = .given(mean: 0.25, deviation: 0.5)
    let plain = try settings.open(context: 0)
    settings.pad = 7
    settings.channels = 3
    let set = try settings.open(context: 0).training
    #expect(set.inputs == .features([3, 7, 7]) && set.bytesPerSample == 4 * (147 + 1))
    #expect(set.contentHash != plain.training.contentHash)
    let small = imageValues(try plain.training.batch(of: [5, 2])).0
    let large = imageValues(try set.batch(of: [5, 2])).0
    for (place, value) in large.enumerated() {
      let (image, y, x) = (place / 147, place / 7 % 7, place % 7)
      // 3 rows in 7: two above; 4 columns in 7: one to the left.
      let inside = (2..<5).contains(y) && (1..<5).contains(x)
      let expected = inside ? small[image * 12 + (y - 2) * 4 + x - 1] : -0.5
      #expect(value == expected, "image \(image), row \(y), column \(x)")
    }
    #expect(large.count == 2 * 147)
  }

  @Test("a sample is the same in every batch, and a batch of none is empty")
  func keyed() throws {
    let folder = try ImageFixture.folder()
    let set = try ImageSettings(path: folder.path).open(context: 0).training
    let both = imageValues(try set.batch(of: [6, 1])).0
    #expect(imageValues(try set.batch(of: [1])).0[...] == both[12...])
    #expect(try set.batch(of: [6, 1]).samples == [6, 1])
    #expect(imageValues(try set.batch(of: [])).1 == [0, 1, 3, 4])
  }

  @Test("a validation part is drawn class by class, is apart from the rest, and leaves the test set alone")
  func part() throws {
    let folder = try ImageFixture.folder()
    try FileManager.default.removeItem(atPath: folder.path + "/t10k-images-idx3-ubyte")
    var settings = ImageSettings(path: folder.path)
    settings.validation = "50%"
    let splits = try settings.open(context: 0)
    let drawn = try #require(splits.validation as? SubsetDataset),
      kept = try #require(splits.training as? SubsetDataset)
    #expect(Set(drawn.indices).union(kept.indices) == Set(0..<8) && drawn.indices.count == 4)
    #expect(drawn.classCounts == [1, 1, 1, 1] && kept.classCounts == [1, 1, 1, 1])
    #expect(try drawn.batch(of: [0]).samples == [UInt64(drawn.indices[0])])
    settings.splitSeed = 2
    #expect(try settings.open(context: 0).contentHash != splits.contentHash)
    settings.validation = "80%"
    let error = #expect(throws: DataError.self) { try settings.open(context: 0) }
    #expect(error?.kind == .badSplit)
  }

  @Test("the shipped Fashion-MNIST has the figures of its source")
  func fashion() throws {
    let path = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent().appending(path: "launch/data/fashion-mini").path
    let splits = try ImageSettings(path: path).open(context: 0)
    let training = try #require(splits.training as? ImageDataset),
      test = try #require(splits.validation as? ImageDataset)
    #expect(abs(training.mean - 0.28735) < 5e-6 && abs(training.deviation - 0.35438) < 5e-6)
    #expect(test.mean == training.mean && test.deviation == training.deviation)
    #expect(training.classCounts == [Int](repeating: 500, count: 10))
    #expect(test.classCounts == [Int](repeating: 100, count: 10))
    #expect(training.inputs == .features([1, 28, 28]) && training.classCount == 10)
    #expect(training.labels.prefix(8) == [9, 0, 0, 3, 0, 2, 7, 2])
    // The sums of the bytes of two images, taken from the files with other software.
    for (sample, sum) in [(UInt64(0), 76_247.0), (4999, 52_817.0)] {
      let values = imageValues(try training.batch(of: [sample])).0
      let total = values.reduce(0) { $0 + (Double($1) * training.deviation + training.mean) * 255 }
      #expect(abs(total - sum) < 0.01, "\(total)")
    }
  }
}
