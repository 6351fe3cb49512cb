import EspalierTensor
import Foundation

/// The dimensions of one image.
public struct ImageShape: Sendable, Equatable, CustomStringConvertible {
  public let channels: Int
  public let height: Int
  public let width: Int

  public init(channels: Int, height: Int, width: Int) {
    self.channels = channels
    self.height = height
    self.width = width
  }

  public var count: Int { channels * height * width }
  /// "28 x 28", "3 x 32 x 32".
  public var description: String { (channels == 1 ? "" : "\(channels) x ") + "\(height) x \(width)" }
}

/// Images as a file holds them, one after the other, each `[channels, height, width]`, row-major: mapped, or unpacked once.
struct ImagePixels: Sendable {
  enum Element: Sendable, Equatable {
    /// 0 to 255, read as 0 to 1.
    case byte
    /// float32, little-endian, read as it is.
    case float

    var byteCount: Int { self == .byte ? 1 : 4 }
  }

  let data: Data
  /// Where the first image begins.
  let offset: Int
  let element: Element
  let count: Int
  let shape: ImageShape

  /// What one value of a byte stands for.
  static func value(_ byte: UInt8) -> Double { Double(byte) / 255 }

  private var region: Range<Int> { offset..<offset + count * shape.count * element.byteCount }

  func hash(into hash: inout ContentHash) {
    data.withUnsafeBytes { bytes in
      for start in stride(from: region.lowerBound, to: region.upperBound, by: 1 << 22) {
        ProgressCounter.tick()
        hash.add(UnsafeRawBufferPointer(rebasing: bytes[start..<min(start + 1 << 22, region.upperBound)]))
      }
    }
    for number in [count, shape.channels, shape.height, shape.width, element.byteCount] { hash.add(UInt64(number)) }
  }

  /// Mean and standard deviation (÷ n) of all values, in double; of bytes they are sums of integers and exact to the last division.
  func statistics() -> (mean: Double, deviation: Double) {
    let total = count * shape.count
    guard total > 0 else { return (0, 0) }
    switch element {
    case .byte:
      var histogram = [Int](repeating: 0, count: 256)
      data.withUnsafeBytes { bytes in
        for place in region { histogram[Int(bytes[place])] += 1 }
      }
      var (sum, squares) = (0, 0)
      for (value, count) in histogram.enumerated() {
        sum += value * count
        squares += value * value * count
      }
      let mean = Double(sum) / Double(total)
      let variance = max(Double(squares) / Double(total) - mean * mean, 0)
      return (mean / 255, variance.squareRoot() / 255)
    case .float:
      return data.withUnsafeBytes { bytes in
        func value(_ index: Int) -> Double { Double(Self.float(bytes, offset + 4 * index)) }
        var sum = 0.0, squares = 0.0
        for index in 0..<total { sum += value(index) }
        let mean = sum / Double(total)
        for index in 0..<total { squares += (value(index) - mean) * (value(index) - mean) }
        return (mean, (squares / Double(total)).squareRoot())
      }
    }
  }

  /// The first image with a float that is infinite or not a number.
  var firstNonFinite: Int? {
    data.withUnsafeBytes { bytes in
      (0..<count * shape.count).first { !Self.float(bytes, offset + 4 * $0).isFinite }
    }.map { $0 / shape.count }
  }

  /// The float32 at a byte.
  @inline(__always)
  static func float(_ bytes: UnsafeRawBufferPointer, _ offset: Int) -> Float {
    Float(bitPattern: UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt32.self)))
  }
}
