import EspalierNN
import Foundation

/// Images and the class of each.
struct LabelledImages: Sendable {
  let pixels: ImagePixels
  let labels: [Int32]
}

/// What a folder of images holds.
package struct ImageFolder: Sendable {
  let training: LabelledImages
  /// Nil where it was not asked for.
  let test: LabelledImages?
  /// "IDX", ".npy", "raw".
  let format: String
  let classCount: Int
  /// By class, from `classes.txt`; empty where there is none.
  let classNames: [String]

  static let maximumClasses = 1_000_000

  /// Reads the files of whatever format the folder has.
  /// - Parameter withTest: whether there must be a test set, which is read then.
  /// - Throws: `DataError`.
  static func read(_ path: String, withTest: Bool, maximumBytes: Int) throws -> ImageFolder {
    let names = try list(path)
    guard let format = ImageFormat.allCases.first(where: { $0.isThere(names, in: path) }) else {
      throw DataError(
        .missing, subject: path, reason: "the folder holds no training images that are known by their names",
        remedy: "they are called \(ImageFormat.allCases.map(\.example).joined(separator: ", or "))")
    }
    var room = ImageRoom(remaining: maximumBytes)
    func part(_ names: [String], _ what: String, remedy: String) throws -> LabelledImages {
      try format.read(path, names, what: what, remedy: remedy, room: &room)
    }
    let training = try part(
      ["train"], "training", remedy: "labels have the names of their images, with labels for images")
    let test =
      withTest
      ? try part(
        ["t10k", "test"], "test",
        remedy: "bring it, or measure on a part of the training set: data.images.validation: 10%")
      : nil
    if let test, test.pixels.shape != training.pixels.shape {
      throw DataError(
        .sizeMismatch, subject: path,
        reason: "its training images are \(training.pixels.shape) and its test images \(test.pixels.shape)",
        remedy: "bring them to one size")
    }
    let classNames = format == .folders ? ClassFolders.classNames(path) : try Self.classNames(path, names)
    let largest = Int(max(training.labels.max() ?? 0, test?.labels.max() ?? 0))
    if !classNames.isEmpty, largest >= classNames.count {
      throw DataError(
        .badLabel, subject: path,
        reason: "classes.txt names \(classNames.count) classes, and a sample is of class \(largest)",
        remedy: "give every class its line, from class 0")
    }
    return ImageFolder(
      training: training, test: test, format: format.rawValue,
      classCount: classNames.isEmpty ? largest + 1 : classNames.count, classNames: classNames)
  }

  /// Whether a folder looks like images.
  package static func isThere(_ path: String) -> Bool {
    guard let names = try? list(path) else { return false }
    return ImageFormat.allCases.contains { $0.isThere(names, in: path) }
  }

  private static func list(_ path: String) throws -> Set<String> {
    guard !path.isEmpty else {
      throw DataError(
        .missing, subject: "data.images.path", reason: "no images are named",
        remedy: "set it to a folder, as launch/data/fashion-mini")
    }
    var isFolder: ObjCBool = false
    guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) else {
      let parent = URL(filePath: path).deletingLastPathComponent().path
      let names = (try? FileManager.default.contentsOfDirectory(atPath: parent)) ?? []
      let near = NearestName.find(URL(filePath: path).lastPathComponent, in: names).map { "did you mean '\($0)'?" }
      throw DataError(
        .missing, subject: path, reason: "there is no such folder",
        remedy: near
          ?? "check data.images.path, which counts from the folder where the command runs (\(FileManager.default.currentDirectoryPath))"
      )
    }
    guard isFolder.boolValue else {
      throw DataError(
        .missing, subject: path, reason: "this is a file, and images are named by their folder",
        remedy: "name the folder that it lies in")
    }
    guard let names = try? FileManager.default.contentsOfDirectory(atPath: path) else {
      throw DataError(.unreadable, subject: path, reason: "the folder cannot be read", remedy: "check its permissions")
    }
    return Set(names)
  }

  private static func classNames(_ path: String, _ names: Set<String>) throws -> [String] {
    guard names.contains("classes.txt") else { return [] }
    let file = path + "/classes.txt"
    guard let text = try? String(contentsOfFile: file, encoding: .utf8) else {
      throw DataError(
        .unreadable, subject: file, reason: "it cannot be read as text", remedy: "write one name of a class a line")
    }
    var lines = text.split(separator: "\n", omittingEmptySubsequences: false).map { String($0.trimmed) }
    while lines.last?.isEmpty == true { lines.removeLast() }
    guard lines.count <= maximumClasses else {
      throw DataError(.tooLarge, subject: file, reason: "it names \(lines.count) classes", remedy: "look at the file")
    }
    return lines
  }
}

/// What is left of `maximumBytes`.
struct ImageRoom {
  private(set) var remaining: Int

  init(remaining: Int) { self.remaining = remaining }

  /// The bytes of a file, unpacked where its name says so.
  /// - Throws: `DataError`.
  mutating func load(_ path: String) throws -> Data {
    let key = "data.images.maximumBytes"
    let data: Data
    if path.hasSuffix(".gz") {
      data = try Gzip.unpack(path, maximumBytes: remaining, key: key)
    } else {
      do {
        data = try Data(contentsOf: URL(filePath: path), options: .mappedIfSafe)
      } catch {
        throw DataError(
          .unreadable, subject: path, reason: "the file cannot be read",
          remedy: "check its permissions and try `head -c 1` on it")
      }
    }
    guard data.count <= remaining else {
      throw DataError(
        .tooLarge, subject: path, reason: "it has more than the \(remaining) bytes that are left of \(key)",
        remedy: "raise it if the file is what you think it is")
    }
    remaining -= data.count
    return data
  }
}
