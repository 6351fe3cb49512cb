import EspalierMethods
import EspalierNN
import EspalierTensor
import EspalierTrain
import Testing

@Suite struct ImageAugmentationTests {
  private static let shape = ImageShape(channels: 2, height: 4, width: 5)
  private static let fill: Float = -9

  /// Images whose values are all different: sample · 1000 + place.
  private func batch(_ samples: [UInt64]) -> Batch {
    let values = samples.flatMap { sample in (0..<40).map { Float(sample) * 1000 + Float($0) } }
    return Batch(
      inputs: .features(values, [samples.count, 2, 4, 5]),
      targets: Indices(samples.map { Int32($0) }, shape: [samples.count]), samples: samples)
  }

  /// A crop out of the padded image, pixel by pixel, and its mirror image.
  private func crop(_ sample: UInt64, down: Int, right: Int, mirrored: Bool) -> [Float] {
    (0..<40).map { place in
      let (channel, y, column) = (place / 20, place / 5 % 4, place % 5)
      let (row, x) = (y + down, (mirrored ? 4 - column : column) + right)
      guard (0..<4).contains(row), (0..<5).contains(x) else { return Self.fill }
      return Float(sample) * 1000 + Float(channel * 20 + row * 5 + x)
    }
  }

  @Test(
    "every image becomes a crop of itself or its mirror image, and all of them come up", arguments: [0, 1, 2, 4],
    [false, true])
  func crops(pad: Int, flip: Bool) {
    let augmentation = ImageAugmentation(shape: Self.shape, pad: pad, flip: flip, fill: Self.fill)
    let samples = Array(1...UInt64(600))
    let result = augmentation.augmented(batch(samples), key: RandomKey(seed: 3))
    #expect(result.samples == samples && result.targets == batch(samples).targets)
    let (values, shape) = imageValues(result)
    #expect(shape == [600, 2, 4, 5])
    var counts: [String: Int] = [:]
    for (row, sample) in samples.enumerated() {
      let image = Array(values[row * 40..<(row + 1) * 40])
      let found = (-pad...pad).flatMap { down in
        (-pad...pad).flatMap { right in
          (flip ? [false, true] : [false]).compactMap { mirrored in
            crop(sample, down: down, right: right, mirrored: mirrored) == image ? "\(down) \(right) \(mirrored)" : nil
          }
        }
      }
      #expect(!found.isEmpty, "sample \(sample)")
      // Shifted out of sight, several crops are one.
      if found.count == 1 { counts[found[0], default: 0] += 1 }
    }
    if pad <= 2 {
      let kinds = (2 * pad + 1) * (2 * pad + 1) * (flip ? 2 : 1)
      #expect(counts.count == kinds)
      // 600 draws of up to 50 kinds: 12 of each on average.
      #expect(counts.values.allSatisfy { $0 < 600 / kinds * 3 }, "\(counts)")
    }
  }

  @Test("what an image becomes depends on key and sample, not on its batch")
  func keyed() {
    let augmentation = ImageAugmentation(shape: Self.shape, pad: 2, flip: true, fill: Self.fill)
    let key = RandomKey(seed: 5)
    let whole = imageValues(augmentation.augmented(batch([3, 9, 4, 9]), key: key)).0
    for (row, sample) in [UInt64(3), 9, 4, 9].enumerated() {
      let alone = imageValues(augmentation.augmented(batch([sample]), key: key)).0
      #expect(alone[...] == whole[row * 40..<(row + 1) * 40], "sample \(sample)")
    }
    let other = imageValues(augmentation.augmented(batch(Array(0..<50)), key: RandomKey(seed: 6))).0
    #expect(imageValues(augmentation.augmented(batch(Array(0..<50)), key: key)).0 != other)
    #expect(imageValues(augmentation.augmented(batch([]), key: key)).1 == [0, 2, 4, 5])
  }

  @Test("a recipe's augmentation reaches every view of its images, filled with normalised black")
  func reaches() throws {
    let folder = try ImageFixture.folder()
    var settings = ImageSettings(path: folder.path)
    #expect((try settings.open(context: 0).training as? any AugmentedDataset)?.augmentation == nil)
    settings.augment.pad = 2
    settings.normalize = .given(mean: 0.5, deviation: 0.25)
    var tasks = TaskSettings()
    tasks.setting = .class
    tasks.perTask = 2
    let splits = try settings.open(context: 0)
    let sequence = try TaskSequence(tasks, splits)
    let expected = ImageAugmentation(shape: ImageShape(channels: 1, height: 3, width: 4), pad: 2, flip: false, fill: -2)
    for set in [splits.training, sequence.tasks[1].training, sequence.joint.training] {
      #expect((set as? any AugmentedDataset)?.augmentation == expected)
    }
  }
}
