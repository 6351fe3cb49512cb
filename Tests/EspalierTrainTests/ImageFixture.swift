import Foundation

/// Small image files, byte by byte as their formats say, written by nothing that the readers share.
enum ImageFixture {
  /// Eight images a part of 3 × 4 pixels, of classes 0 to 3, without pattern.
  static let height = 3, width = 4, count = 8

  static func pixels(_ part: Int) -> [UInt8] {
    var state: UInt32 = 12345 &+ UInt32(part) &* 777
    return (0..<count * height * width).map { _ in
      state = state &* 1_664_525 &+ 1_013_904_223
      return UInt8(state >> 24)
    }
  }

  static let labels: [UInt8] = [0, 3, 1, 2, 2, 0, 1, 3]

  static func bigEndian(_ numbers: [Int]) -> [UInt8] {
    numbers.flatMap { number in [24, 16, 8, 0].map { UInt8(number >> $0 & 255) } }
  }

  static func idx(_ sizes: [Int], _ elements: [UInt8], type: UInt8 = 8) -> [UInt8] {
    [0, 0, type, UInt8(sizes.count)] + bigEndian(sizes) + elements
  }

  static func npy(_ type: String, _ shape: [Int], _ elements: [UInt8], version: UInt8 = 1) -> [UInt8] {
    let list = shape.map(String.init).joined(separator: ", ") + (shape.count == 1 ? "," : "")
    let text = "{'descr': '\(type)', 'fortran_order': False, 'shape': (\(list)), }\n"
    let length = text.utf8.count
    let lengthBytes =
      version == 1 ? [UInt8(length & 255), UInt8(length >> 8)] : [UInt8(length & 255), UInt8(length >> 8), 0, 0]
    return [0x93] + Array("NUMPY".utf8) + [version, 0] + lengthBytes + Array(text.utf8) + elements
  }

  static func floats(_ values: [Float]) -> [UInt8] {
    values.flatMap { value in (0..<4).map { UInt8(truncatingIfNeeded: value.bitPattern >> (8 * UInt32($0))) } }
  }

  static func integers(_ values: [UInt8], bytes: Int) -> [UInt8] {
    values.flatMap { [$0] + [UInt8](repeating: 0, count: bytes - 1) }
  }

  /// One gzip member of stored blocks (RFC 1951 section 3.2.4, RFC 1952).
  static func gzip(_ bytes: [UInt8]) -> [UInt8] {
    func little(_ number: UInt32) -> [UInt8] { (0..<4).map { UInt8(truncatingIfNeeded: number >> (8 * UInt32($0))) } }
    var result: [UInt8] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255]
    let blocks = stride(from: 0, to: max(bytes.count, 1), by: 50).map { bytes[$0..<min($0 + 50, bytes.count)] }
    for (index, block) in blocks.enumerated() {
      let size = UInt16(block.count)
      result += [
        index == blocks.count - 1 ? 1 : 0, UInt8(size & 255), UInt8(size >> 8), ~UInt8(size & 255), ~UInt8(size >> 8),
      ]
      result += block
    }
    var crc: UInt32 = 0xffff_ffff
    for byte in bytes {
      crc ^= UInt32(byte)
      for _ in 0..<8 { crc = crc & 1 == 1 ? crc >> 1 ^ 0xedb8_8320 : crc >> 1 }
    }
    return result + little(~crc) + little(UInt32(bytes.count))
  }

  static let parts = ["train", "t10k"]
  static let sizes = [count, height, width]

  static func writeIDX(_ folder: TemporaryFolder, zipped: Bool = false) throws {
    for (index, part) in parts.enumerated() {
      for (name, bytes) in [
        ("\(part)-images-idx3-ubyte", idx(sizes, pixels(index))), ("\(part)-labels-idx1-ubyte", idx([count], labels)),
      ] {
        try folder.write(zipped ? name + ".gz" : name, zipped ? gzip(bytes) : bytes)
      }
    }
  }

  /// The same images in every format and type of labels that is read, by name.
  static let writers: [(name: String, write: @Sendable (TemporaryFolder) throws -> Void)] = [
    ("IDX", { try writeIDX($0) }),
    ("IDX.gz", { try writeIDX($0, zipped: true) }),
    (
      "IDX of two gzip members, under the names of kanji-100",
      { folder in
        for (index, part) in ["train", "test"].enumerated() {
          let images = idx(sizes, pixels(index))
          try folder.write("\(part)-images-idx3-ubyte.gz", gzip(Array(images[..<30])) + gzip(Array(images[30...])))
          try folder.write("\(part)-labels-idx1-ubyte.gz", gzip(idx([count], labels)))
        }
      }
    ),
    (
      "IDX of four dimensions",
      { folder in
        for (index, part) in parts.enumerated() {
          try folder.write("\(part)-images.idx3-ubyte", idx([count, 1, height, width], pixels(index)))
          try folder.write("\(part)-labels.idx1-ubyte", idx([count], labels))
        }
      }
    ),
    (
      "npy, labels int64",
      { folder in
        for (index, part) in ["train", "test"].enumerated() {
          try folder.write("\(part)-images.npy", npy("|u1", sizes, pixels(index)))
          try folder.write("\(part)-labels.npy", npy("<i8", [count], integers(labels, bytes: 8), version: 2))
        }
      }
    ),
    (
      "npy.gz, channels behind, labels int32",
      { folder in
        for (index, part) in ["train", "test"].enumerated() {
          try folder.write("\(part)-images.npy.gz", gzip(npy("|u1", sizes + [1], pixels(index), version: 3)))
          try folder.write("\(part)-labels.npy.gz", gzip(npy("<i4", [count], integers(labels, bytes: 4))))
        }
      }
    ),
    (
      "raw",
      { folder in
        try folder.write("shape.yaml", "shape: [\(height), \(width)]\nlabels: int32\n")
        for (index, part) in ["train", "test"].enumerated() {
          try folder.write("\(part)-images.raw", pixels(index))
          try folder.write("\(part)-labels.raw", integers(labels, bytes: 4))
        }
      }
    ),
  ]

  /// A folder of images as `writers[name]` makes it.
  static func folder(_ name: String = "IDX") throws -> TemporaryFolder {
    let folder = try TemporaryFolder()
    try writers.first { $0.name == name }?.write(folder)
    return folder
  }
}
