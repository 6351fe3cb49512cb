import EspalierNN
import Foundation

/// How the files of a folder of images are called and read.
enum ImageFormat: String, CaseIterable {
  case idx = "IDX"
  case npy = ".npy"
  case raw
  case folders = "a folder a class"

  /// For people who look for the right name.
  var example: String {
    switch self {
    case .idx: "train-images-idx3-ubyte"
    case .npy: "train-images.npy"
    case .raw: "train-images.raw with shape.yaml"
    case .folders: "train/CLASS/IMAGE.npy"
    }
  }

  /// The names that the images or labels of a part may have.
  private func names(_ part: String, isLabels: Bool) -> [String] {
    let kind = isLabels ? "labels" : "images"
    let plain =
      switch self {
      case .idx: ["-", "."].map { "\(part)-\(kind)\($0)idx\(isLabels ? 1 : 3)-ubyte" }
      case .npy: ["\(part)-\(kind).npy"]
      case .raw: ["\(part)-\(kind).raw"]
      case .folders: [part]
      }
    return self == .folders ? plain : plain + plain.map { $0 + ".gz" }
  }

  func isThere(_ files: Set<String>, in folder: String) -> Bool {
    let names = names("train", isLabels: false)
    guard self == .folders else { return names.contains(where: files.contains) }
    return !ClassFolders.classes(folder + "/train").isEmpty
  }

  /// Reads images and labels of the first part that is there.
  /// - Throws: `DataError`, or `SettingsError` for a description of raw arrays.
  func read(
    _ folder: String, _ parts: [String], what: String, remedy: String, room: inout ImageRoom
  ) throws -> LabelledImages {
    func file(isLabels: Bool) throws -> String {
      let known = parts.flatMap { names($0, isLabels: isLabels) }
      for name in known where FileManager.default.fileExists(atPath: folder + "/" + name) { return folder + "/" + name }
      throw DataError(
        .missing, subject: folder,
        reason: "it has no \(what) \(isLabels ? "labels" : "images") (looked for \(known.joined(separator: ", ")))",
        remedy: remedy)
    }
    let imageFile = try file(isLabels: false)
    if self == .folders { return try ClassFolders.read(folder, part: imageFile, room: &room) }
    let labelFile = try file(isLabels: true)
    let pixels: ImagePixels, labels: [Int32]
    switch self {
    case .npy:
      pixels = try NpyImages.images(room.load(imageFile), file: imageFile)
      labels = try NpyImages.labels(room.load(labelFile), file: labelFile)
    case .raw:
      let arrays = try Self.rawArrays(folder, for: imageFile)
      pixels = try arrays.images(room.load(imageFile), file: imageFile)
      labels = try arrays.labels(room.load(labelFile), file: labelFile)
    default:
      pixels = try IDX.images(room.load(imageFile), file: imageFile)
      labels = try IDX.labels(room.load(labelFile), file: labelFile)
    }
    guard pixels.count > 0 else {
      throw DataError(.empty, subject: imageFile, reason: "it holds no images", remedy: "fetch the file again")
    }
    guard pixels.count == labels.count else {
      throw DataError(
        .countMismatch, subject: labelFile,
        reason: "it has \(labels.count) labels, and \(imageFile) has \(pixels.count) images",
        remedy: "fetch both files again, from one place")
    }
    return LabelledImages(pixels: pixels, labels: labels)
  }

  /// What the folder says of its raw arrays.
  static func rawArrays(_ folder: String, for file: String) throws -> RawArrays {
    for name in ["shape.yaml", "shape.yml", "shape.json"]
    where FileManager.default.fileExists(atPath: folder + "/" + name) {
      return try SettingsFile(path: folder + "/" + name).load(RawArrays.self)
    }
    throw DataError(
      .badDescription, subject: file, reason: "no shape.yaml beside it says how large its images are",
      remedy: "write one, as: shape: [28, 28]")
  }
}
