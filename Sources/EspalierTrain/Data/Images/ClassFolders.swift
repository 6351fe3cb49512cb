import Foundation

/// Images as files of their own, in a folder for each class: `train/CLASS/IMAGE.npy` or `.raw`.
///
/// Names that are all whole numbers are the classes themselves; other ones are counted in the order of their bytes. Files are read in
/// that order too, class by class.
enum ClassFolders {
  /// The folders of a part, hidden ones left out.
  static func classes(_ part: String) -> [String] {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: part)) ?? []
    let folders = names.filter { name in
      var isFolder: ObjCBool = false
      return !name.hasPrefix(".") && FileManager.default.fileExists(atPath: part + "/" + name, isDirectory: &isFolder)
        && isFolder.boolValue
    }
    if folders.allSatisfy({ Int($0).map { $0 >= 0 } == true }) {
      return folders.sorted { (Int($0) ?? 0) < (Int($1) ?? 0) }
    }
    return folders.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
  }

  /// The names of the classes, empty where they are numbers.
  static func classNames(_ folder: String) -> [String] {
    let names = classes(folder + "/train")
    return names.allSatisfy { Int($0) != nil } ? [] : names
  }

  /// - Throws: `DataError`.
  static func read(_ folder: String, part: String, room: inout ImageRoom) throws -> LabelledImages {
    let known = classes(folder + "/train")
    let areNumbers = known.allSatisfy { Int($0) != nil }
    var data = Data()
    var labels: [Int32] = []
    var first: ImagePixels?
    for name in classes(part) {
      guard let label = areNumbers ? Int(name) : known.firstIndex(of: name), label < ImageFolder.maximumClasses else {
        throw DataError(
          .badLabel, subject: part + "/" + name, reason: "the class '\(name)' is none of the training set's",
          remedy: "its classes are \(known.prefix(10).joined(separator: ", "))")
      }
      let files = ((try? FileManager.default.contentsOfDirectory(atPath: part + "/" + name)) ?? [])
        .filter { [".npy", ".npy.gz", ".raw", ".raw.gz"].contains(where: $0.hasSuffix) && !$0.hasPrefix(".") }
        .sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
      for file in files.map({ "\(part)/\(name)/\($0)" }) {
        let image =
          file.contains(".npy")
          ? try NpyImages.image(room.load(file), file: file)
          : try ImageFormat.rawArrays(folder, for: file).images(room.load(file), file: file)
        let example = first ?? image
        first = example
        guard image.count == 1, image.shape == example.shape, image.element == example.element else {
          throw DataError(
            .sizeMismatch, subject: file,
            reason: image.count == 1
              ? "its image is \(image.shape) and others are \(example.shape)" : "it holds \(image.count) images",
            remedy: "store one image a file, all of one size and type")
        }
        data.append(image.data[image.offset..<image.offset + image.shape.count * image.element.byteCount])
        labels.append(Int32(label))
      }
    }
    guard let first else {
      throw DataError(
        .empty, subject: part, reason: "its folders hold no .npy or .raw files", remedy: "store one image a file")
    }
    let pixels = ImagePixels(
      data: data, offset: 0, element: first.element, count: labels.count, shape: first.shape)
    return LabelledImages(pixels: pixels, labels: labels)
  }
}
