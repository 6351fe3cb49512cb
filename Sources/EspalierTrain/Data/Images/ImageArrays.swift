import EspalierNN
import EspalierState
import Foundation

/// The type of stored labels.
enum LabelType: String, Codable, Sendable, CaseIterable {
  case uint8, int32, int64

  var byteCount: Int {
    switch self {
    case .uint8: 1
    case .int32: 4
    case .int64: 8
    }
  }
}

/// Images and labels in arrays of known dimensions, from wherever those are known.
enum ImageArrays {
  /// - Parameter dimensions: `[count, height, width]`, `[count, channels, height, width]` or `[count, height, width, channels]`: the
  ///   channels are the smaller of the two, 1 to 4.
  /// - Throws: `DataError`.
  static func pixels(
    _ data: Data, offset: Int, element: ImagePixels.Element, dimensions: [Int], file: String
  ) throws -> ImagePixels {
    let sizes = dimensions.dropFirst()
    guard dimensions.count == 3 || dimensions.count == 4, sizes.allSatisfy({ $0 > 0 }) else {
      throw DataError(
        .sizeMismatch, subject: file,
        reason: "an array of \(text(dimensions)) is no images",
        remedy: "store [count, height, width] or [count, channels, height, width]")
    }
    let pixels: ImagePixels
    if dimensions.count == 3 {
      pixels = ImagePixels(
        data: data, offset: offset, element: element, count: dimensions[0],
        shape: ImageShape(channels: 1, height: dimensions[1], width: dimensions[2]))
    } else if dimensions[1] <= 4, dimensions[1] <= dimensions[3] {
      pixels = ImagePixels(
        data: data, offset: offset, element: element, count: dimensions[0],
        shape: ImageShape(channels: dimensions[1], height: dimensions[2], width: dimensions[3]))
    } else if dimensions[3] <= 4 {
      pixels = channelsFirst(
        data, offset: offset, element: element, count: dimensions[0],
        shape: ImageShape(channels: dimensions[3], height: dimensions[1], width: dimensions[2]))
    } else {
      throw DataError(
        .sizeMismatch, subject: file,
        reason: "no dimension of \(text(dimensions)) can be channels, of which images have 1 to 4",
        remedy: "store [count, height, width] or [count, channels, height, width]")
    }
    if element == .float, let image = pixels.firstNonFinite {
      throw DataError(
        .badPixel, subject: file, reason: "image \(image) has a pixel that is infinite or not a number",
        remedy: "mend it where it was made")
    }
    return pixels
  }

  /// Little-endian numbers, checked to be classes.
  /// - Throws: `DataError`.
  static func labels(_ data: Data, offset: Int, type: LabelType, count: Int, file: String) throws -> [Int32] {
    try data.withUnsafeBytes { bytes in
      try (0..<count).map { index in
        let place = offset + index * type.byteCount
        let label =
          switch type {
          case .uint8: Int64(bytes[place])
          case .int32: Int64(Int32(littleEndian: bytes.loadUnaligned(fromByteOffset: place, as: Int32.self)))
          case .int64: Int64(littleEndian: bytes.loadUnaligned(fromByteOffset: place, as: Int64.self))
          }
        guard label >= 0, label < ImageFolder.maximumClasses else {
          throw DataError(
            .badLabel, subject: file, reason: "sample \(index) is of class \(label)",
            remedy: "classes are counted from 0, up to \(ImageFolder.maximumClasses - 1)")
        }
        return Int32(label)
      }
    }
  }

  private static func text(_ dimensions: [Int]) -> String {
    "shape [\(dimensions.map(String.init).joined(separator: ", "))]"
  }

  /// A copy of `[count, height, width, channels]` as `[count, channels, height, width]`.
  private static func channelsFirst(
    _ data: Data, offset: Int, element: ImagePixels.Element, count: Int, shape: ImageShape
  ) -> ImagePixels {
    let width = element.byteCount, plane = shape.height * shape.width
    var result = Data(count: count * shape.count * width)
    result.withUnsafeMutableBytes { (target: UnsafeMutableRawBufferPointer) in
      data.withUnsafeBytes { (source: UnsafeRawBufferPointer) in
        for image in 0..<count {
          for pixel in 0..<plane {
            for channel in 0..<shape.channels {
              let from = offset + (image * shape.count + pixel * shape.channels + channel) * width
              let to = (image * shape.count + channel * plane + pixel) * width
              for byte in 0..<width { target[to + byte] = source[from + byte] }
            }
          }
        }
      }
    }
    return ImagePixels(data: result, offset: 0, element: element, count: count, shape: shape)
  }
}

/// Images and labels in `.npy` files.
enum NpyImages {
  /// uint8, read as 0 to 1, or float32, read as it is.
  /// - Throws: `DataError`.
  static func images(_ data: Data, file: String) throws -> ImagePixels {
    let (array, element) = try open(data, file: file, types: ["|u1": ImagePixels.Element.byte, "<f4": .float]) {
      $0.byteCount
    }
    return try ImageArrays.pixels(
      data, offset: array.firstByte, element: element, dimensions: array.shape, file: file)
  }

  /// One image: `[height, width]`, or with channels before or behind.
  /// - Throws: `DataError`.
  static func image(_ data: Data, file: String) throws -> ImagePixels {
    let (array, element) = try open(data, file: file, types: ["|u1": ImagePixels.Element.byte, "<f4": .float]) {
      $0.byteCount
    }
    return try ImageArrays.pixels(
      data, offset: array.firstByte, element: element, dimensions: [1] + array.shape, file: file)
  }

  /// uint8, int32 or int64, of one dimension.
  /// - Throws: `DataError`.
  static func labels(_ data: Data, file: String) throws -> [Int32] {
    let (array, type) = try open(
      data, file: file, types: ["|u1": LabelType.uint8, "<i4": .int32, "<i8": .int64]
    ) { $0.byteCount }
    guard array.shape.count == 1 else {
      throw DataError(
        .sizeMismatch, subject: file, reason: "it has \(array.shape.count) dimensions, and labels have one",
        remedy: "store one number a sample")
    }
    return try ImageArrays.labels(data, offset: array.firstByte, type: type, count: array.shape[0], file: file)
  }

  private static func open<T>(
    _ data: Data, file: String, types: [String: T], width: (T) -> Int
  ) throws -> (NpyArray, T) {
    do {
      let array = try NpyArray(DataBytes(name: file, data: data))
      guard let type = types[array.descriptor] else { throw array.unsupported(types.keys.sorted(), file: file) }
      _ = try array.elementCount(width: width(type), fileBytes: data.count, file: file)
      return (array, type)
    } catch let error as InterchangeError {
      let kind: DataError.Kind =
        switch error.kind {
        case .unsupportedType: .unsupportedType
        case .beyondFile, .headerBeyondFile, .tooShort: .truncated
        case .trailingBytes: .trailingBytes
        default: .notNpy
        }
      throw DataError(kind, subject: file, reason: error.reason, remedy: error.remedy)
    }
  }
}

/// The bytes of a file, mapped or unpacked.
private struct DataBytes: ByteSource {
  let name: String
  let data: Data
  var count: Int { data.count }

  func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int) throws {
    data.withUnsafeBytes {
      buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[offset..<offset + buffer.count]))
    }
  }
}

/// What `shape.yaml` beside raw arrays says of them.
///
///     shape: [28, 28]
///     type: uint8
///     labels: uint8
struct RawArrays: CheckedSettings {
  enum Pixel: String, Codable, Sendable, CaseIterable { case uint8, float32 }

  var shape: [Int] = []
  var type = Pixel.uint8
  var labels = LabelType.uint8

  init() {}

  static let fields = [
    SettingField(
      "shape", unit: "list of pixels",
      "One image: [height, width], [channels, height, width] or [height, width, channels]."),
    SettingField("type", unit: "uint8 | float32", "A value of the images, little-endian; bytes are read as 0 to 1."),
    SettingField("labels", unit: "uint8 | int32 | int64", "A label, little-endian."),
  ]

  static let limits: [String: SettingLimit] = ["shape": .within(1...65_536)]

  func problems() -> [SettingProblem] {
    shape.count == 2 || shape.count == 3
      ? []
      : [
        SettingProblem(
          "shape", "shape has \(shape.count) dimensions, and an image has 2, or 3 with its channels",
          remedy: "write it as [28, 28] or [3, 32, 32]")
      ]
  }

  private var element: ImagePixels.Element { type == .uint8 ? .byte : .float }

  /// - Throws: `DataError`.
  func images(_ data: Data, file: String) throws -> ImagePixels {
    let size = shape.reduce(1, *) * element.byteCount
    guard data.count.isMultiple(of: size) else {
      throw DataError(
        .truncated, subject: file,
        reason: "its \(data.count) bytes are not whole images of \(size) bytes, as shape.yaml has them",
        remedy: "see whether shape and type are right, or fetch it again")
    }
    return try ImageArrays.pixels(
      data, offset: 0, element: element, dimensions: [data.count / size] + shape, file: file)
  }

  /// - Throws: `DataError`.
  func labels(_ data: Data, file: String) throws -> [Int32] {
    guard data.count.isMultiple(of: labels.byteCount) else {
      throw DataError(
        .truncated, subject: file, reason: "its \(data.count) bytes are not whole labels of \(labels.rawValue)",
        remedy: "see whether labels in shape.yaml is right, or fetch it again")
    }
    return try ImageArrays.labels(
      data, offset: 0, type: labels, count: data.count / labels.byteCount, file: file)
  }
}
