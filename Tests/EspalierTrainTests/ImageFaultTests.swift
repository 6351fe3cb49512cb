import EspalierNN
import EspalierTrain
import Foundation
import Testing

/// Folders that are refused, each under its own kind.
@Suite struct ImageFaultTests {
  private typealias Fixture = ImageFixture

  struct Fault: Sendable, CustomTestStringConvertible {
    let kind: DataError.Kind
    let testDescription: String
    /// Changes a whole folder of IDX files.
    let change: @Sendable (TemporaryFolder) throws -> Void
  }

  private static let images = "train-images-idx3-ubyte", labels = "train-labels-idx1-ubyte"

  private static func replacing(_ name: String, _ bytes: [UInt8]) -> @Sendable (TemporaryFolder) throws -> Void {
    { try $0.write(name, bytes) }
  }

  private static func npy(_ images: [UInt8], _ labels: [UInt8]? = nil) -> @Sendable (TemporaryFolder) throws -> Void {
    { folder in
      try FileManager.default.removeItem(atPath: folder.path + "/" + Self.images)
      try folder.write("train-images.npy", images)
      try folder.write("train-labels.npy", labels ?? Fixture.npy("|u1", [Fixture.count], Fixture.labels))
    }
  }

  private static func zipped(_ bytes: [UInt8]) -> @Sendable (TemporaryFolder) throws -> Void {
    { folder in
      try FileManager.default.removeItem(atPath: folder.path + "/" + Self.images)
      try folder.write(Self.images + ".gz", bytes)
    }
  }

  static let faults: [Fault] = {
    let whole = Fixture.idx(Fixture.sizes, Fixture.pixels(0))
    let packed = Fixture.gzip(whole)
    var wrongSum = packed
    wrongSum[packed.count - 8] ^= 1
    return [
      Fault(kind: .notIDX, testDescription: "another magic", change: replacing(images, [1] + whole.dropFirst())),
      Fault(kind: .notIDX, testDescription: "no bytes", change: replacing(images, [])),
      Fault(
        kind: .notIDX, testDescription: "labels for images", change: replacing(images, Fixture.idx([8], Fixture.labels))
      ),
      Fault(kind: .notIDX, testDescription: "images for labels", change: replacing(labels, whole)),
      Fault(
        kind: .notIDX, testDescription: "more than can be counted",
        change: replacing(images, Fixture.idx([0xffff_ffff, 0xffff_ffff, 0xffff_ffff], []))),
      Fault(
        kind: .unsupportedType, testDescription: "floats",
        change: replacing(images, Fixture.idx(Fixture.sizes, [], type: 13))),
      Fault(kind: .truncated, testDescription: "cut short", change: replacing(images, whole.dropLast())),
      Fault(kind: .truncated, testDescription: "cut in its header", change: replacing(images, Array(whole[..<9]))),
      Fault(kind: .trailingBytes, testDescription: "a byte too many", change: replacing(images, whole + [0])),
      Fault(
        kind: .countMismatch, testDescription: "a label less",
        change: replacing(labels, Fixture.idx([7], Fixture.labels.dropLast()))),
      Fault(
        kind: .sizeMismatch, testDescription: "test images of another size",
        change: replacing("t10k-images-idx3-ubyte", Fixture.idx([8, 4, 3], Fixture.pixels(1)))),
      Fault(
        kind: .empty, testDescription: "no images",
        change: { folder in
          try folder.write(images, Fixture.idx([0, 3, 4], []))
          try folder.write(labels, Fixture.idx([0], []))
        }),
      Fault(
        kind: .empty, testDescription: "images of no pixels", change: replacing(images, Fixture.idx([8, 0, 4], []))),
      Fault(
        kind: .badPixel, testDescription: "one grey alone",
        change: replacing(images, Fixture.idx(Fixture.sizes, [UInt8](repeating: 7, count: 96)))),
      Fault(
        kind: .missing, testDescription: "no labels",
        change: { try FileManager.default.removeItem(atPath: $0.path + "/" + labels) }),
      Fault(
        kind: .missing, testDescription: "no test set",
        change: { try FileManager.default.removeItem(atPath: $0.path + "/t10k-labels-idx1-ubyte") }),
      Fault(
        kind: .missing, testDescription: "nothing known",
        change: { try FileManager.default.removeItem(atPath: $0.path + "/" + images) }),
      Fault(kind: .notGzip, testDescription: "plain bytes called .gz", change: zipped(whole)),
      Fault(kind: .notGzip, testDescription: "a wrong checksum", change: zipped(wrongSum)),
      Fault(kind: .notGzip, testDescription: "something behind gzip data", change: zipped(packed + [1, 2, 3])),
      Fault(kind: .truncatedGzip, testDescription: "gzip cut short", change: zipped(packed.dropLast(9))),
      Fault(kind: .truncatedGzip, testDescription: "an empty .gz", change: zipped([])),
      Fault(
        kind: .badLabel, testDescription: "fewer names than classes",
        change: replacing("classes.txt", Array("a\nb\nc\n".utf8))),
      Fault(kind: .notNpy, testDescription: "IDX called .npy", change: npy(whole)),
      Fault(
        kind: .truncated, testDescription: ".npy cut short",
        change: npy(Fixture.npy("|u1", Fixture.sizes, Fixture.pixels(0)).dropLast())),
      Fault(
        kind: .trailingBytes, testDescription: ".npy with a byte too many",
        change: npy(Fixture.npy("|u1", Fixture.sizes, Fixture.pixels(0) + [0]))),
      Fault(
        kind: .unsupportedType, testDescription: ".npy of doubles",
        change: npy(Fixture.npy("<f8", [1, 1, 1], [UInt8](repeating: 0, count: 8)))),
      Fault(
        kind: .sizeMismatch, testDescription: ".npy without channels",
        change: npy(Fixture.npy("|u1", [1, 5, 6, 7], [UInt8](repeating: 0, count: 210)))),
      Fault(
        kind: .badPixel, testDescription: "a pixel that is no number",
        change: npy(
          Fixture.npy("<f4", [1, 1, 2], Fixture.floats([1, .nan])), Fixture.npy("|u1", [1], [0]))),
      Fault(
        kind: .badLabel, testDescription: "a negative class",
        change: npy(
          Fixture.npy("|u1", [1, 1, 2], [1, 2]), Fixture.npy("<i4", [1], [255, 255, 255, 255]))),
    ]
  }()

  @Test("every fault is refused under its own kind, in one sentence with a remedy", arguments: faults)
  func refused(_ fault: Fault) throws {
    let folder = try Fixture.folder()
    _ = try ImageSettings(path: folder.path).open(context: 0)
    try fault.change(folder)
    let error = #expect(throws: DataError.self) { try ImageSettings(path: folder.path).open(context: 0) }
    #expect(error?.kind == fault.kind, "\(String(describing: error))")
    #expect(error?.remedy.isEmpty == false && error?.subject.hasPrefix(folder.path) == true)
  }

  @Test("a file that unpacks beyond the limit is refused before it fills the memory")
  func limit() throws {
    let folder = try Fixture.folder("IDX.gz")
    var settings = ImageSettings(path: folder.path)
    // Images have 112 bytes with their header and labels 16, in two parts.
    settings.maximumBytes = 256
    _ = try settings.open(context: 0)
    settings.maximumBytes = 255
    let error = #expect(throws: DataError.self) { try settings.open(context: 0) }
    #expect(error?.kind == .tooLarge)
    settings.maximumBytes = 111
    #expect(throws: DataError.self) { try settings.open(context: 0) }
  }

  @Test("every truncation of a file is refused, plain and packed")
  func truncations() throws {
    let whole = Fixture.idx(Fixture.sizes, Fixture.pixels(0))
    for (name, bytes) in [("IDX", whole), ("IDX.gz", Fixture.gzip(whole))] {
      let folder = try Fixture.folder(name)
      let file = Self.images + (name == "IDX" ? "" : ".gz")
      for length in 0..<bytes.count {
        try folder.write(file, Array(bytes[..<length]))
        #expect(throws: DataError.self, "\(name), \(length) bytes") {
          try ImageSettings(path: folder.path).open(context: 0)
        }
      }
      try folder.write(file, bytes)
      _ = try ImageSettings(path: folder.path).open(context: 0)
    }
  }

  @Test("a folder a class is refused for an unknown class, another size and more than one image a file")
  func classFolders() throws {
    func kind(_ name: String, _ bytes: [UInt8]) throws -> DataError.Kind? {
      let folder = try TemporaryFolder()
      for file in ["train/a/1.npy", "train/b/1.npy", "test/a/1.npy"] {
        try folder.write(file, Fixture.npy("|u1", [2, 2], [1, 2, 3, 4]))
      }
      _ = try ImageSettings(path: folder.path).open(context: 0)
      try folder.write(name, bytes)
      return #expect(throws: DataError.self) { try ImageSettings(path: folder.path).open(context: 0) }?.kind
    }
    let good = Fixture.npy("|u1", [2, 2], [1, 2, 3, 4])
    #expect(try kind("test/c/1.npy", good) == .badLabel)
    #expect(try kind("train/a/2.npy", Fixture.npy("|u1", [1, 4], [1, 2, 3, 4])) == .sizeMismatch)
    #expect(try kind("train/a/2.npy", Fixture.npy("<f4", [2, 2], Fixture.floats([1, 2, 3, 4]))) == .sizeMismatch)
    #expect(
      try kind("train/a/2.npy", Fixture.npy("|u1", [5, 5, 2, 2], [UInt8](repeating: 1, count: 100))) == .sizeMismatch)
    #expect(try kind("train/a/2.raw", [1, 2, 3, 4]) == .badDescription)
  }

  @Test("settings that do not fit the images name their key")
  func settings() throws {
    let folder = try Fixture.folder()
    func refusal(_ change: (inout ImageSettings) -> Void) -> String {
      var settings = ImageSettings(path: folder.path)
      change(&settings)
      do {
        _ = try settings.open(context: 0)
        return "accepted"
      } catch { return "\(error)" }
    }
    #expect(refusal { $0.pad = 3 }.contains("data.images.pad (3) is smaller than its images of 3 x 4"))
    #expect(refusal { $0.augment.pad = 4 }.contains("data.images.augment.pad (4)"))
    #expect(refusal { $0.path = folder.path + "/nowhere" }.contains("there is no such folder"))
    #expect(refusal { $0.path = folder.path + "/train-labels-idx1-ubyte" }.contains("this is a file"))
    #expect(refusal { $0.path = "" }.contains("data.images.path"))
  }

  @Test(
    "a recipe's mistakes are refused with their line",
    arguments: [
      (
        "normalize: automatic",
        "recipe.yaml line 1: data.images.normalize cannot be read: it is none, auto or [mean, deviation]"
      ),
      ("normalize: [0.5, 0]", "recipe.yaml line 1: data.images.normalize divides by a deviation of 0.0"),
      (
        "validation: 100%",
        "recipe.yaml line 1: data.images.validation must be test, none or a part below 100%, got '100%'"
      ),
      ("augment: { padding: 4 }", "recipe.yaml line 1: unknown key 'data.images.augment.padding'"),
      ("channels: 7", "recipe.yaml line 1: data.images.channels must be a whole number from 0 to 4"),
    ])
  func recipe(options: String, expected: String) {
    #expect(
      refusal("data: { images: { \(options) } }").hasPrefix(expected), "\(refusal("data: { images: { \(options) } }"))")
  }

  @Test("normalize survives a recipe in all its forms", arguments: ["none", "auto", "[0.28735, 0.35438]", "[0, 1]"])
  func normalize(text: String) throws {
    let run = try load("data: { images: { normalize: \(text) } }")
    let settings = try run.data.settings(as: ImageSettings.self)
    let expected: [String: PixelNormalization] = [
      "none": .none, "auto": .auto, "[0.28735, 0.35438]": .given(mean: 0.28735, deviation: 0.35438),
      "[0, 1]": .given(mean: 0, deviation: 1),
    ]
    #expect(settings.normalize == expected[text])
    #expect(try RunSettings(canonicalJSON: run.canonicalJSON(), name: "state", choices: sampleChoices) == run)
  }
}
