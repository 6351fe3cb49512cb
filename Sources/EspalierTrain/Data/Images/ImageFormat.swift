import Foundation

/// How the files of a folder of images are called and read.
enum ImageFormat: String, CaseIterable {
  case idx = "IDX"

  /// For people who look for the right name.
  var example: String {
    switch self {
    case .idx: "train-images-idx3-ubyte (or .gz)"
    }
  }

  /// The names that the images or labels of a part may have.
  private func names(_ part: String, isLabels: Bool) -> [String] {
    let kind = isLabels ? "labels" : "images"
    let plain =
      switch self {
      case .idx: ["-", "."].map { "\(part)-\(kind)\($0)idx\(isLabels ? 1 : 3)-ubyte" }
      }
    return plain + plain.map { $0 + ".gz" }
  }

  func isThere(_ files: Set<String>) -> Bool {
    names("train", isLabels: false).contains(where: files.contains)
  }

  /// Reads images and labels of the first part that is there.
  /// - Throws: `DataError`.
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
    let imageFile = try file(isLabels: false), labelFile = try file(isLabels: true)
    let pixels: ImagePixels, labels: [Int32]
    switch self {
    case .idx:
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
}
