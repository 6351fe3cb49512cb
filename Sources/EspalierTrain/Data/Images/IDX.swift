import Foundation

/// The format of the MNIST files: two zero bytes, a type, the number of dimensions, each dimension as a big-endian 32-bit number, and
/// the elements, row-major.
/// - LeCun, Cortes, Burges: The MNIST database of handwritten digits, "File formats".
enum IDX {
  /// Images of bytes: `[count, height, width]` or `[count, channels, height, width]`.
  /// - Throws: `DataError`.
  static func images(_ data: Data, file: String) throws -> ImagePixels {
    let (sizes, offset) = try header(data, file: file, dimensions: 3...4, what: "images")
    let shape = ImageShape(
      channels: sizes.count == 4 ? sizes[1] : 1, height: sizes[sizes.count - 2], width: sizes[sizes.count - 1])
    return ImagePixels(data: data, offset: offset, element: .byte, count: sizes[0], shape: shape)
  }

  /// One byte a label.
  /// - Throws: `DataError`.
  static func labels(_ data: Data, file: String) throws -> [Int32] {
    let (sizes, offset) = try header(data, file: file, dimensions: 1...1, what: "labels")
    return data.withUnsafeBytes { bytes in bytes[offset..<offset + sizes[0]].map { Int32($0) } }
  }

  private static func header(
    _ data: Data, file: String, dimensions: ClosedRange<Int>, what: String
  ) throws -> (sizes: [Int], offset: Int) {
    let magic = data.prefix(4).map { Int($0) }
    guard magic.count == 4, magic[0] == 0, magic[1] == 0, (8...14).contains(magic[2]), magic[3] > 0 else {
      let got = magic.map { String(format: "%02x", $0) }.joined(separator: " ")
      throw DataError(
        .notIDX, subject: file, reason: "this is no IDX file: it begins with \(got.isEmpty ? "nothing" : got)",
        remedy: what == "images" ? "IDX images begin with 00 00 08 03" : "IDX labels begin with 00 00 08 01")
    }
    guard magic[2] == 8 else {
      throw DataError(
        .unsupportedType, subject: file, reason: "its elements are of IDX type \(magic[2]), and bytes (8) are read",
        remedy: "write it with bytes, or as .npy")
    }
    guard dimensions.contains(magic[3]) else {
      throw DataError(
        .notIDX, subject: file, reason: "it has \(magic[3]) dimensions, and IDX \(what) have \(dimensions.lowerBound)",
        remedy: "see whether images and labels have each other's names")
    }
    let offset = 4 + 4 * magic[3]
    guard data.count >= offset else { throw truncated(file, "its header of \(offset) bytes", data.count) }
    let sizes = (0..<magic[3]).map { dimension in
      data[4 + 4 * dimension..<8 + 4 * dimension].reduce(0) { $0 << 8 | Int($1) }
    }
    var bytes = offset
    var product = 1
    for size in sizes {
      let (next, overflow) = product.multipliedReportingOverflow(by: size)
      guard !overflow, next < Int.max / 2 else {
        throw DataError(
          .notIDX, subject: file, reason: "its dimensions \(sizes) are more than can be counted",
          remedy: "fetch the file again")
      }
      product = next
    }
    bytes += product
    guard sizes.dropFirst().allSatisfy({ $0 > 0 }) else {
      throw DataError(
        .empty, subject: file,
        reason: "its images have \(sizes.dropFirst().map(String.init).joined(separator: " x ")) pixels",
        remedy: "fetch the file again")
    }
    guard data.count >= bytes else {
      throw truncated(file, "\(sizes[0]) \(what), \(bytes) bytes with the header", data.count)
    }
    guard data.count == bytes else {
      throw DataError(
        .trailingBytes, subject: file, reason: "\(data.count - bytes) bytes follow its last \(what.dropLast())",
        remedy: "fetch the file again, or cut it to \(bytes) bytes")
    }
    return (sizes, offset)
  }

  private static func truncated(_ file: String, _ expected: String, _ count: Int) -> DataError {
    DataError(
      .truncated, subject: file, reason: "it should hold \(expected), and has \(count) bytes",
      remedy: "fetch it again; it was cut short")
  }
}
